// What a command says: results on standard output, everything else on standard error.

#pragma once

#include <string_view>

namespace mmsmo::command {

// To standard output. Throws std::system_error where it cannot be written, now or when it is
// flushed; the command fails then.
void Write(std::string_view text);
void Flush();

// Likewise at once, for what goes on whatever happens here: false, and said, where it cannot be
// written.
bool Print(std::string_view text);

// To standard error, as it is; what cannot be written there is lost.
void Say(std::string_view text);

// A line on standard error, without control characters, after what stands on standard output
// already.
void Complain(std::string_view message);

}  // namespace mmsmo::command
