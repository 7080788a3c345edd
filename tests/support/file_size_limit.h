#pragma once

#include <sys/resource.h>

#include <csignal>

namespace mmsmo {

// While it lives, no file of this process can grow: every write to the disk fails, as on a broken
// one.
class NoFileMayGrow {
 public:
  NoFileMayGrow() {
    std::signal(SIGXFSZ, SIG_IGN);
    getrlimit(RLIMIT_FSIZE, &before_);
    const rlimit none{.rlim_cur = 0, .rlim_max = before_.rlim_max};
    setrlimit(RLIMIT_FSIZE, &none);
  }
  ~NoFileMayGrow() { setrlimit(RLIMIT_FSIZE, &before_); }
  NoFileMayGrow(const NoFileMayGrow&) = delete;
  NoFileMayGrow& operator=(const NoFileMayGrow&) = delete;

 private:
  rlimit before_{};
};

}  // namespace mmsmo
