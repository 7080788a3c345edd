// Bytes as text that others hand around without looking inside: cursors and ack ids.

#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

namespace mmsmo::embedded {

// How the check is made. Texts that are made by the million take the fast one.
enum class OpaqueCheck { kFnv1a, kXxh3 };

// URL-safe base64 of the bytes and a 32-bit check of them, which tells a mistyped text from a stale
// one.
std::string EncodeOpaque(std::string bytes, OpaqueCheck check = OpaqueCheck::kFnv1a);
// Likewise, into memory that `text` may have already.
void EncodeOpaque(std::string bytes, OpaqueCheck check, std::string* text);

// The `size` bytes; nothing for what EncodeOpaque did not make of so many.
std::optional<std::string> DecodeOpaque(std::string_view text, size_t size,
                                        OpaqueCheck check = OpaqueCheck::kFnv1a);

}  // namespace mmsmo::embedded
