// Durations as people write them: 500ms, 30s, 10m, 2h, 7d.

#pragma once

#include <CLI/CLI.hpp>
#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"

namespace mmsmo::command {

// A whole number and a unit, up to 36500d. InvalidArgument for anything else.
absl::StatusOr<std::chrono::milliseconds> ParseDuration(std::string_view text);

// In the largest unit that leaves a whole number.
std::string FormatDuration(std::chrono::milliseconds duration);

// For options that are numbers of seconds.
inline std::chrono::milliseconds Millis(double seconds) {
  return std::chrono::milliseconds(static_cast<int64_t>(seconds * 1000));
}

// For options that are read with ParseDuration.
CLI::Validator IsDuration();

}  // namespace mmsmo::command
