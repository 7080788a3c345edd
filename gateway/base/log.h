// Logs go to stderr: one readable line each on a terminal, one JSON object a line otherwise.
//
// Whoever logs waits for nobody: where stderr takes nothing for a while, lines wait in memory, and
// beyond 1 MiB they are dropped and counted.
//
//   Log()->info("listening for postbacks on {}", address);
//
// Never a phone number or a message body in a log line.

#pragma once

#include <cstdint>
#include <string>
#include <string_view>

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

// One of those of LogOptions; anything else changes nothing.
void SetLogLevel(const std::string& level);

// Writes {"time":…,"NAME":RECORD} as a line among the others, whatever their format and level.
// `record` is JSON.
void LogRecord(std::string_view name, std::string_view record);

// Before the end of the process: returns once what was logged is written, at the latest after 0.2
// s.
void FlushLog();

// Since the start of the process.
uint64_t DroppedLogLines();

}  // namespace mmsmo
