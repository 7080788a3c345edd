#include "gateway/rpc/peer_uids.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <charconv>
#include <utility>

namespace mmsmo::rpc {
namespace {

constexpr std::string_view kPrefix = "fd:";
constexpr int kTries = 1'000;

// 0 for what is no socket.
ino_t InodeOf(int fd) {
  struct stat found {};
  return fstat(fd, &found) == 0 && S_ISSOCK(found.st_mode) ? found.st_ino : 0;
}

}  // namespace

bool PeerUids::IsReserved(int fd, uid_t uid, TimePoint now) const {
  const auto it = connections_.find(fd);
  return it != connections_.end() && it->second.uid != uid &&
         now < it->second.last_seen + kReserved;
}

int PeerUids::Add(int fd, uid_t uid, TimePoint now) {
  MutexLock lock(&mu_);
  for (int tries = 0; fd >= 0 && IsReserved(fd, uid, now); ++tries) {
    const int other = tries < kTries ? fcntl(fd, F_DUPFD_CLOEXEC, fd + 1) : -1;
    close(std::exchange(fd, other));
  }
  if (fd >= 0)
    connections_.insert_or_assign(fd,
                                  Connection{.uid = uid, .inode = InodeOf(fd), .last_seen = now});
  return fd;
}

void PeerUids::Look(TimePoint now) {
  MutexLock lock(&mu_);
  for (auto it = connections_.begin(); it != connections_.end();) {
    Connection& connection = it->second;
    if (InodeOf(it->first) == connection.inode) connection.last_seen = now;
    const auto here = it++;
    if (now >= connection.last_seen + kReserved) connections_.erase(here);
  }
}

std::optional<uid_t> PeerUids::Of(std::string_view peer) const {
  if (!peer.starts_with(kPrefix)) return std::nullopt;
  peer.remove_prefix(kPrefix.size());
  int fd = -1;
  const auto [end, error] = std::from_chars(peer.data(), peer.data() + peer.size(), fd);
  if (error != std::errc() || end != peer.data() + peer.size()) return std::nullopt;
  MutexLock lock(&mu_);
  const auto it = connections_.find(fd);
  if (it == connections_.end()) return std::nullopt;
  return it->second.uid;
}

}  // namespace mmsmo::rpc
