// What stops a body from being decoded, and where.

#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "gateway/postback/reason.h"

namespace mmsmo::postback {

// The root element or value has depth 1.
inline constexpr int kMaxDepth = 64;

struct SyntaxError {
  Reason reason = Reason::kNone;
  size_t offset = 0;      // in the text, in bytes
  std::string_view what;  // static text
};

// "what, at line 3, column 14", both counted from 1, columns in characters.
std::string Describe(const SyntaxError& error, std::string_view text);

}  // namespace mmsmo::postback
