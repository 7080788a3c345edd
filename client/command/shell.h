// Runs a command as the shell does.

#pragma once

#include <string>

#include "absl/status/statusor.h"

namespace mmsmo::command {

// Runs `command` with /bin/sh and `input` as its standard input; the rest is this process's.
// Returns its exit code, or 128 and the number of the signal that ended it. A process group of its
// own keeps the terminal's Ctrl-C from it. Internal where it cannot be run.
absl::StatusOr<int> RunShell(const std::string& command, const std::string& input);

}  // namespace mmsmo::command
