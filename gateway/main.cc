#include <fcntl.h>
#include <unistd.h>

#include <cstddef>
#include <cstdio>

#include "gateway/base/log.h"
#include "gateway/base/status.h"
#include "gateway/config.h"
#include "gateway/gateway.h"

// Of tcmalloc, which the sanitizers take the place of.
extern "C" [[gnu::weak]] int MallocExtension_SetNumericProperty(const char* property, size_t value);

namespace {

// What all threads together may keep of freed memory for themselves. More saves no time that could
// be measured.
constexpr size_t kThreadCacheBytes = 4 << 20;

int Print(const mmsmo::CommandLine& line) {
  std::FILE* const file = line.exit_code == 0 ? stdout : stderr;
  if (std::fputs(line.print.c_str(), file) >= 0 && std::fflush(file) == 0) return line.exit_code;
  if (file == stdout) std::perror("mmsmo-gateway: standard output");
  return file == stdout ? 1 : line.exit_code;
}

int Run(int argc, char** argv) {
  const mmsmo::CommandLine line = mmsmo::ParseCommandLine(argc, argv);
  if (line.exit) {
    return Print(line);
  }
  if (auto status =
          mmsmo::InitLog({.level = line.config.log_level, .format = line.config.log_format});
      !status.ok()) {
    mmsmo::Log()->error("{}", mmsmo::MessageOf(status));
    return 2;
  }
  const mmsmo::ReadConfig read = [argc, argv]() -> absl::StatusOr<mmsmo::Config> {
    mmsmo::CommandLine again = mmsmo::ParseCommandLine(argc, argv);
    if (again.exit) return mmsmo::InvalidArgument("{}", again.print);
    return std::move(again.config);
  };
  if (auto status = mmsmo::RunGateway(line.config, read); !status.ok()) {
    mmsmo::Log()->error("{}", mmsmo::MessageOf(status));
    return status.code() == absl::StatusCode::kInvalidArgument ? 2 : 1;
  }
  return 0;
}

}  // namespace

// Exit codes: 0 after a clean end, 1 when the gateway could not start, 2 for a wrong setting.
int main(int argc, char** argv) {
  // No file of the journal may get the number of a standard stream that was closed.
  for (const int fd : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) {
    if (fcntl(fd, F_GETFD) == -1) open("/dev/null", fd == STDIN_FILENO ? O_WRONLY : O_RDONLY);
  }
  if (&MallocExtension_SetNumericProperty != nullptr) {
    MallocExtension_SetNumericProperty("tcmalloc.max_total_thread_cache_bytes", kThreadCacheBytes);
  }
  const int exit_code = Run(argc, argv);
  mmsmo::FlushLog();
  return exit_code;
}
