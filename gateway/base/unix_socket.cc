#include "gateway/base/unix_socket.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <system_error>

#include "gateway/base/status.h"

namespace mmsmo {
namespace {

constexpr std::string_view kPrefix = "unix:";
constexpr size_t kMaxPath = sizeof(sockaddr_un::sun_path) - 1;
constexpr int kBacklog = 4096;

class Descriptor {
 public:
  explicit Descriptor(int fd) : fd_(fd) {}
  ~Descriptor() {
    if (fd_ >= 0) close(fd_);
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  int get() const { return fd_; }

 private:
  const int fd_;
};

int NewSocket() { return socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0); }

sockaddr_un AddressOf(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::copy(path.begin(), path.end(), address.sun_path);
  return address;
}

// Where a socket's system call fails: errno.
template <typename Call>
int OnAddress(Call call, int fd, const sockaddr_un& address) {
  return call(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0 ? 0 : errno;
}

std::string DirectoryOf(const std::string& path) {
  const size_t slash = path.rfind('/');
  if (slash == std::string::npos) return ".";
  return slash == 0 ? "/" : path.substr(0, slash);
}

absl::Status CannotListen(std::string_view setting, const std::string& path, int error) {
  return FailedPrecondition("{}: cannot listen on unix:{}: {}; give a path that this user may make",
                            setting, path, std::generic_category().message(error));
}

// Makes room where a killed process left its socket, and nowhere else.
absl::Status RemoveStale(std::string_view setting, const std::string& path) {
  struct stat found {};
  if (lstat(path.c_str(), &found) != 0)
    return errno == ENOENT ? absl::OkStatus() : CannotListen(setting, path, errno);
  if (!S_ISSOCK(found.st_mode)) {
    return FailedPrecondition("{}: {} is there, and is no socket; choose another path, or move it",
                              setting, path);
  }
  if (found.st_uid != geteuid()) {
    return FailedPrecondition(
        "{}: {} is a socket of another user (uid {}, this one is {}); choose another path, or "
        "remove it",
        setting, path, found.st_uid, geteuid());
  }
  const Descriptor probe(NewSocket());
  if (probe.get() < 0) return CannotListen(setting, path, errno);
  // Whoever is busy, or takes another kind of connection, serves it too.
  if (OnAddress(connect, probe.get(), AddressOf(path)) != ECONNREFUSED) {
    return FailedPrecondition(
        "{}: {} is served by another process; stop it, or choose another path", setting, path);
  }
  return unlink(path.c_str()) == 0 ? absl::OkStatus() : CannotListen(setting, path, errno);
}

}  // namespace

bool IsUnixAddress(std::string_view listen) { return listen.starts_with(kPrefix); }

absl::StatusOr<std::unique_ptr<UnixSocket>> UnixSocket::Listen(std::string_view setting,
                                                               std::string_view listen,
                                                               mode_t mode) {
  std::string path(listen.substr(kPrefix.size()));
  if (path.empty() || path.size() > kMaxPath || path.find('\0') != std::string::npos) {
    return InvalidArgument("{}: a unix socket's path has from 1 to {} bytes", setting, kMaxPath);
  }
  const int fd = NewSocket();
  if (fd < 0) return CannotListen(setting, path, errno);
  std::unique_ptr<UnixSocket> made(new UnixSocket(fd, std::move(path)));
  if (auto status = made->Bind(setting, mode); !status.ok()) return status;
  return made;
}

absl::Status UnixSocket::Bind(std::string_view setting, mode_t mode) {
  // Of two that start at the same time, the second must not take the first one's socket for stale
  // before it listens.
  const Descriptor directory(open(DirectoryOf(path_).c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (directory.get() >= 0) flock(directory.get(), LOCK_EX);
  if (auto status = RemoveStale(setting, path_); !status.ok()) return status;
  if (const int error = OnAddress(bind, fd_, AddressOf(path_)); error != 0)
    return CannotListen(setting, path_, error);
  struct stat made {};
  bound_ = lstat(path_.c_str(), &made) == 0;
  device_ = made.st_dev;
  inode_ = made.st_ino;
  // Nobody can connect before it listens.
  const bool ok = bound_ && chmod(path_.c_str(), mode) == 0 && listen(fd_, kBacklog) == 0;
  return ok ? absl::OkStatus() : CannotListen(setting, path_, errno);
}

UnixSocket::~UnixSocket() {
  struct stat found {};
  if (bound_ && lstat(path_.c_str(), &found) == 0 && found.st_dev == device_ &&
      found.st_ino == inode_) {
    unlink(path_.c_str());
  }
  close(fd_);
}

int UnixSocket::Duplicate() const { return fcntl(fd_, F_DUPFD_CLOEXEC, 0); }

}  // namespace mmsmo
