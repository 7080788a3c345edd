// From the encodings that a postback may be in to UTF-8: those of the WHATWG Encoding Standard
// (https://encoding.spec.whatwg.org), and UTF-32.

#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

namespace mmsmo::postback {

struct Encoding {
  const char* name;  // as ICU has it, but for those that it lacks

  // UTF-16 or UTF-32, of whichever byte order.
  bool IsWide() const;

  friend bool operator==(const Encoding& a, const Encoding& b) {
    return std::string_view(a.name) == b.name;
  }
};

inline constexpr Encoding kUtf8{"UTF-8"};
inline constexpr Encoding kAscii{"US-ASCII"};
inline constexpr Encoding kUtf16Le{"UTF-16LE"};
inline constexpr Encoding kUtf16Be{"UTF-16BE"};
inline constexpr Encoding kUtf32Le{"UTF-32LE"};
inline constexpr Encoding kUtf32Be{"UTF-32BE"};

struct ByteOrderMark {
  Encoding encoding;
  size_t size;  // bytes
};
std::optional<ByteOrderMark> FindByteOrderMark(std::string_view bytes);

// What a label of the standard names, in any case, with or without white space around it. Labels
// are wider than the encodings that they seem to be: ISO-8859-1 and US-ASCII are windows-1252.
std::optional<Encoding> EncodingLabelled(std::string_view label);

// Whether a label means US-ASCII, for formats that know it as a part of UTF-8.
bool IsAsciiLabel(std::string_view label);

// The same text in UTF-8: `bytes` itself where it is that already, else in `buffer`. Nothing where
// the bytes are not valid in the encoding; then `*error_offset` is where.
std::optional<std::string_view> ToUtf8(std::string_view bytes, const Encoding& encoding,
                                       std::string* buffer, size_t* error_offset);

// Appends a code point below U+110000 that is no surrogate.
void AppendUtf8(char32_t code_point, std::string* out);

}  // namespace mmsmo::postback
