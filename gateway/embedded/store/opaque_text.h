// Bytes as text that others hand around without looking inside: cursors and ack ids.

#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

namespace mmsmo::embedded {

// URL-safe base64 of the bytes and a 32-bit check of them, which tells a mistyped text from a stale
// one.
std::string EncodeOpaque(std::string bytes);

// The `size` bytes; nothing for what EncodeOpaque did not make of so many.
std::optional<std::string> DecodeOpaque(std::string_view text, size_t size);

}  // namespace mmsmo::embedded
