#include <cstdio>

#include "gateway/base/log.h"
#include "gateway/base/status.h"
#include "gateway/config.h"
#include "gateway/gateway.h"

namespace {

int Run(int argc, char** argv) {
  const mmsmo::CommandLine line = mmsmo::ParseCommandLine(argc, argv);
  if (line.exit) {
    std::fputs(line.print.c_str(), line.exit_code == 0 ? stdout : stderr);
    return line.exit_code;
  }
  if (auto status =
          mmsmo::InitLog({.level = line.config.log_level, .format = line.config.log_format});
      !status.ok()) {
    mmsmo::Log()->error("{}", mmsmo::MessageOf(status));
    return 2;
  }
  if (auto status = mmsmo::RunGateway(line.config); !status.ok()) {
    mmsmo::Log()->error("{}", mmsmo::MessageOf(status));
    return status.code() == absl::StatusCode::kInvalidArgument ? 2 : 1;
  }
  return 0;
}

}  // namespace

// Exit codes: 0 after a clean end, 1 when the gateway could not start, 2 for a wrong setting.
int main(int argc, char** argv) {
  const int exit_code = Run(argc, argv);
  mmsmo::FlushLog();
  return exit_code;
}
