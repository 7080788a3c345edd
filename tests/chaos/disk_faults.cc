// A library to preload into a gateway: a disk that is full, slow, failing, or loses its power, and
// a clock that jumps.
//
// MMSMO_FAULTS names a file of one Settings, which a test maps and changes while the process runs.
// What happens to files below the directory MMSMO_FAULTS_ROOT is written down in the file
// MMSMO_FAULTS_JOURNAL, so that a test can take back what no sync has made durable, as a loss of
// power would: a kill alone leaves everything that was written. What paths stood for before they
// were unlinked or replaced is kept in the directory MMSMO_FAULTS_GRAVES, named by its inode.
//
// The journal's lines: "create INODE PATH", "link INODE PATH", "rename INODE REPLACED FROM TO",
// "unlink INODE PATH", "sync INODE SIZE", "lost INODE SIZE" where a sync has failed, "dirsync".

#include <dlfcn.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <cstdarg>
#include <cstdint>
#include <cstdlib>
#include <ctime>
#include <string>
#include <string_view>

#include "fmt/format.h"

namespace {

// As tests/chaos/disk.py packs it.
struct Settings {
  std::atomic<int64_t> clock_offset_micros;
  std::atomic<int64_t> sync_delay_micros;
  std::atomic<int64_t> write_error;  // an errno, or 0
  std::atomic<int64_t> sync_error;   // likewise
  std::atomic<int64_t> reads_hang;   // while it is not 0
};

// What is behind this library's function: the C library's.
template <typename Function>
Function* Next(const char* name) {
  return reinterpret_cast<Function*>(dlsym(RTLD_NEXT, name));
}

int NextOpen(const char* path, int flags, mode_t mode = 0) {
  static auto* const next = Next<int(const char*, int, ...)>("open");
  return next(path, flags | O_CLOEXEC, mode);
}

std::string Variable(const char* name) {
  const char* const value = std::getenv(name);
  return value == nullptr ? "" : value;
}

ino_t InodeOf(const char* path) {
  struct stat status {};
  return lstat(path, &status) == 0 ? status.st_ino : 0;
}

class Disk {
 public:
  enum class Kind : uint8_t { kOther, kFile, kDirectory };

  static Disk& Instance() {
    static Disk* const disk = new Disk;  // never destroyed: used until the very end
    return *disk;
  }

  const Settings& settings() const { return *settings_; }
  bool Watches(std::string_view path) const { return path.starts_with(root_); }
  Kind KindOf(int fd) const {
    return fd >= 0 && fd < kMaxFiles ? kinds_[static_cast<size_t>(fd)].load() : Kind::kOther;
  }
  void SetKind(int fd, Kind kind) {
    if (fd >= 0 && fd < kMaxFiles) kinds_[static_cast<size_t>(fd)] = kind;
  }

  template <typename... Args>
  void Note(fmt::format_string<Args...> format, Args&&... args) const {
    static auto* const next = Next<ssize_t(int, const void*, size_t)>("write");
    const std::string line = fmt::format(format, std::forward<Args>(args)...) + "\n";
    if (next(journal_, line.data(), line.size()) != static_cast<ssize_t>(line.size())) std::abort();
  }

  // Keeps what the path stands for; returns its inode, or 0 where there is nothing.
  ino_t Bury(const char* path) const {
    static auto* const next = Next<int(const char*, const char*)>("link");
    const ino_t inode = InodeOf(path);
    if (inode != 0) next(path, fmt::format("{}/{}", graves_, inode).c_str());  // or it is there
    return inode;
  }

 private:
  static constexpr int kMaxFiles = 1 << 16;

  Disk()
      : root_(Variable("MMSMO_FAULTS_ROOT")),
        graves_(Variable("MMSMO_FAULTS_GRAVES")),
        journal_(NextOpen(Variable("MMSMO_FAULTS_JOURNAL").c_str(), O_WRONLY | O_CREAT | O_APPEND,
                          0600)) {
    const int fd = NextOpen(Variable("MMSMO_FAULTS").c_str(), O_RDONLY);
    void* const mapped = mmap(nullptr, sizeof(Settings), PROT_READ, MAP_SHARED, fd, 0);
    if (mapped == MAP_FAILED || journal_ < 0 || root_.empty() || graves_.empty()) {
      fmt::print(stderr, "the variables MMSMO_FAULTS… are not as they must be\n");
      std::abort();
    }
    settings_ = static_cast<const Settings*>(mapped);
  }

  const std::string root_;
  const std::string graves_;
  const int journal_;
  const Settings* settings_ = nullptr;
  std::array<std::atomic<Kind>, kMaxFiles> kinds_{};
};

int Fail(int64_t error) {
  errno = static_cast<int>(error);
  return -1;
}

int64_t WriteError() { return Disk::Instance().settings().write_error; }

int Open(const char* path, int flags, mode_t mode) {
  Disk& disk = Disk::Instance();
  if (!disk.Watches(path)) return NextOpen(path, flags, mode);
  const bool creates = (flags & O_CREAT) != 0 && InodeOf(path) == 0;
  if (const int64_t error = WriteError(); creates && error != 0) return Fail(error);
  const int fd = NextOpen(path, flags, mode);
  struct stat status {};
  if (fd < 0 || fstat(fd, &status) != 0) return fd;
  disk.SetKind(fd, S_ISDIR(status.st_mode) ? Disk::Kind::kDirectory : Disk::Kind::kFile);
  if (creates) disk.Note("create {} {}", status.st_ino, path);
  return fd;
}

void WaitToRead(int fd) {
  const Disk& disk = Disk::Instance();
  if (disk.KindOf(fd) != Disk::Kind::kFile) return;
  while (disk.settings().reads_hang != 0) usleep(1'000);
}

int Sync(const char* name, int fd) {
  auto* const next = Next<int(int)>(name);
  const Disk& disk = Disk::Instance();
  const Disk::Kind kind = disk.KindOf(fd);
  if (kind == Disk::Kind::kOther) return next(fd);
  struct stat before {};
  fstat(fd, &before);  // what is written during the sync may be left out of it
  if (const int64_t delay = disk.settings().sync_delay_micros; delay > 0) {
    usleep(static_cast<useconds_t>(delay));
  }
  const int64_t error = disk.settings().sync_error;
  const int result = error != 0 ? Fail(error) : next(fd);
  if (kind == Disk::Kind::kFile) {
    disk.Note("{} {} {}", result == 0 ? "sync" : "lost", before.st_ino, before.st_size);
  } else if (result == 0) {
    disk.Note("dirsync");
  }
  return result;
}

// These compute deadlines from the clock, which the kernel holds against the true time: they would
// never wait, or for days.
bool WaitsByTheClock(const void* caller) {
  Dl_info info;
  if (dladdr(caller, &info) == 0 || info.dli_fname == nullptr) return false;
  const std::string_view library = info.dli_fname;
  return library.find("libgpr") != library.npos || library.find("libgrpc") != library.npos ||
         library.find("libabsl") != library.npos;
}

// Does half of a write that is to fail, so that the file ends anywhere.
template <typename Write>
ssize_t DoWrite(int fd, size_t size, Write write) {
  const int64_t error = Disk::Instance().KindOf(fd) == Disk::Kind::kFile ? WriteError() : 0;
  if (error == 0) return write(size);
  const ssize_t written = size > 1 ? write(size / 2) : 0;
  return written > 0 ? written : Fail(error);
}

}  // namespace

extern "C" {

int open(const char* path, int flags, ...) {
  va_list arguments;
  va_start(arguments, flags);
  const mode_t mode = (flags & O_CREAT) != 0 ? va_arg(arguments, mode_t) : 0;
  va_end(arguments);
  return Open(path, flags, mode);
}

int open64(const char* path, int flags, ...) {
  va_list arguments;
  va_start(arguments, flags);
  const mode_t mode = (flags & O_CREAT) != 0 ? va_arg(arguments, mode_t) : 0;
  va_end(arguments);
  return Open(path, flags, mode);
}

int close(int fd) {
  static auto* const next = Next<int(int)>("close");
  Disk::Instance().SetKind(fd, Disk::Kind::kOther);
  return next(fd);
}

ssize_t write(int fd, const void* data, size_t size) {
  static auto* const next = Next<ssize_t(int, const void*, size_t)>("write");
  return DoWrite(fd, size, [=](size_t part) { return next(fd, data, part); });
}

ssize_t pwrite(int fd, const void* data, size_t size, off_t offset) {
  static auto* const next = Next<ssize_t(int, const void*, size_t, off_t)>("pwrite");
  return DoWrite(fd, size, [=](size_t part) { return next(fd, data, part, offset); });
}

ssize_t pread(int fd, void* data, size_t size, off_t offset) {
  static auto* const next = Next<ssize_t(int, void*, size_t, off_t)>("pread");
  WaitToRead(fd);
  return next(fd, data, size, offset);
}

ssize_t pread64(int fd, void* data, size_t size, off_t offset) {
  return pread(fd, data, size, offset);
}

int fallocate(int fd, int mode, off_t offset, off_t size) {
  static auto* const next = Next<int(int, int, off_t, off_t)>("fallocate");
  const int64_t error = Disk::Instance().KindOf(fd) == Disk::Kind::kFile ? WriteError() : 0;
  return error != 0 ? Fail(error) : next(fd, mode, offset, size);
}

int fsync(int fd) { return Sync("fsync", fd); }

int fdatasync(int fd) { return Sync("fdatasync", fd); }

int link(const char* from, const char* to) {
  static auto* const next = Next<int(const char*, const char*)>("link");
  const int result = next(from, to);
  const Disk& disk = Disk::Instance();
  if (result == 0 && disk.Watches(to)) disk.Note("link {} {}", InodeOf(to), to);
  return result;
}

int rename(const char* from, const char* to) {
  static auto* const next = Next<int(const char*, const char*)>("rename");
  const Disk& disk = Disk::Instance();
  if (!disk.Watches(to)) return next(from, to);
  disk.Note("rename {} {} {} {}", InodeOf(from), disk.Bury(to), from, to);
  return next(from, to);
}

int unlink(const char* path) {
  static auto* const next = Next<int(const char*)>("unlink");
  const Disk& disk = Disk::Instance();
  if (!disk.Watches(path)) return next(path);
  disk.Note("unlink {} {}", disk.Bury(path), path);
  return next(path);
}

int clock_gettime(clockid_t clock, struct timespec* time) {
  // Without dlsym or memory for the other clocks: allocators ask for the time, too.
  const auto result = static_cast<int>(syscall(SYS_clock_gettime, clock, time));
  if (result != 0 || clock != CLOCK_REALTIME) return result;
  if (WaitsByTheClock(__builtin_return_address(0))) return result;
  constexpr int64_t kMicrosPerSecond = 1'000'000;
  const int64_t micros = time->tv_sec * kMicrosPerSecond + time->tv_nsec / 1000 +
                         Disk::Instance().settings().clock_offset_micros;
  time->tv_sec = micros / kMicrosPerSecond;
  time->tv_nsec = micros % kMicrosPerSecond * 1000;
  return result;
}

}  // extern "C"
