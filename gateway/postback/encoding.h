// From the encodings that a postback may be in to UTF-8.

#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

namespace mmsmo::postback {

enum class Encoding { kUtf8, kAscii, kLatin1, kUtf16Le, kUtf16Be, kUtf32Le, kUtf32Be };

struct ByteOrderMark {
  Encoding encoding;
  size_t size;  // bytes
};
std::optional<ByteOrderMark> FindByteOrderMark(std::string_view bytes);

// What a charset parameter or an XML declaration names, in any case.
enum class NamedEncoding {
  kUtf8,
  kAscii,
  kLatin1,
  kWide,  // UTF-16 or UTF-32, of whichever byte order
  kUnknown,
};
NamedEncoding EncodingNamed(std::string_view name);

// The same text in UTF-8: `bytes` itself where it is that already, else in `buffer`. Nothing where
// the bytes are not valid in the encoding; then `*error_offset` is where.
std::optional<std::string_view> ToUtf8(std::string_view bytes, Encoding encoding,
                                       std::string* buffer, size_t* error_offset);

// Appends a code point below U+110000 that is no surrogate.
void AppendUtf8(char32_t code_point, std::string* out);

}  // namespace mmsmo::postback
