// Logs go to stderr: one readable line each on a terminal, one JSON object a line otherwise.
//
//   Log()->info("listening for postbacks on {}", address);
//
// Never a phone number or a message body in a log line.

#pragma once

#include <string>

#include "absl/status/status.h"
#include "spdlog/spdlog.h"

namespace mmsmo {

// The process's logger; usable before InitLog, at level info.
spdlog::logger* Log();

struct LogOptions {
  std::string level = "info";   // debug, info, warning, error
  std::string format = "auto";  // auto, text, json
};

// Call once, before other threads log. InvalidArgument names the option that is wrong.
absl::Status InitLog(const LogOptions& options);

}  // namespace mmsmo
