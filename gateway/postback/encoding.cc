#include "gateway/postback/encoding.h"

#include <simdjson.h>

#include <array>
#include <cstdint>

#include "gateway/postback/ascii.h"

namespace mmsmo::postback {
namespace {

using std::string_view_literals::operator""sv;

// The names and aliases of IANA's registry that are in use.
constexpr std::array kUtf8Names = {"utf-8"sv, "utf8"sv};
constexpr std::array kAsciiNames = {"us-ascii"sv,       "ascii"sv,    "ansi_x3.4-1968"sv,
                                    "ansi_x3.4-1986"sv, "iso-ir-6"sv, "iso_646.irv:1991"sv,
                                    "iso646-us"sv,      "us"sv,       "ibm367"sv,
                                    "cp367"sv,          "csascii"sv};
constexpr std::array kLatin1Names = {"iso-8859-1"sv, "iso8859-1"sv,       "iso88591"sv,
                                     "iso_8859-1"sv, "iso_8859-1:1987"sv, "iso-ir-100"sv,
                                     "latin1"sv,     "latin-1"sv,         "l1"sv,
                                     "ibm819"sv,     "cp819"sv,           "csisolatin1"sv};
constexpr std::array kWideNames = {
    "utf-16"sv,  "utf16"sv,           "utf-16le"sv, "utf-16be"sv,        "utf16le"sv,  "utf16be"sv,
    "ucs-2"sv,   "iso-10646-ucs-2"sv, "utf-32"sv,   "utf32"sv,           "utf-32le"sv, "utf-32be"sv,
    "utf32le"sv, "utf32be"sv,         "ucs-4"sv,    "iso-10646-ucs-4"sv, "unicode"sv};

template <size_t N>
bool Contains(const std::array<std::string_view, N>& names, std::string_view name) {
  for (std::string_view one : names) {
    if (EqualsIgnoringCase(one, name)) return true;
  }
  return false;
}

size_t FirstNonAscii(std::string_view bytes) {
  size_t i = 0;
  while (i < bytes.size() && static_cast<uint8_t>(bytes[i]) < 0x80) ++i;
  return i;
}

// Where `bytes` stops being UTF-8 (RFC 3629). Only called when it does.
size_t FirstInvalidUtf8(std::string_view bytes) {
  size_t i = 0;
  while (i < bytes.size()) {
    const auto lead = static_cast<uint8_t>(bytes[i]);
    const size_t length = lead < 0x80 ? 1 : lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4;
    if (!simdjson::validate_utf8(bytes.data() + i, std::min(length, bytes.size() - i))) return i;
    i += length;
  }
  return bytes.size();
}

bool IsSurrogate(char32_t c) { return c >= 0xd800 && c <= 0xdfff; }

// Reads units of `width` bytes.
class UnitReader {
 public:
  UnitReader(std::string_view bytes, size_t width, bool little_endian)
      : bytes_(bytes), width_(width), little_endian_(little_endian) {}
  bool AtEnd() const { return at_ == bytes_.size(); }
  size_t offset() const { return at_; }
  std::optional<char32_t> Next() {
    if (bytes_.size() - at_ < width_) return std::nullopt;
    char32_t unit = 0;
    for (size_t i = 0; i < width_; ++i) {
      const size_t from = little_endian_ ? width_ - 1 - i : i;
      unit = unit << 8 | static_cast<uint8_t>(bytes_[at_ + from]);
    }
    at_ += width_;
    return unit;
  }

 private:
  const std::string_view bytes_;
  const size_t width_;
  const bool little_endian_;
  size_t at_ = 0;
};

// Of UTF-16.
std::optional<char32_t> NextCodePoint(UnitReader& units) {
  const std::optional<char32_t> first = units.Next();
  if (!first || !IsSurrogate(*first)) return first;
  if (*first >= 0xdc00) return std::nullopt;
  const std::optional<char32_t> second = units.Next();
  if (!second || *second < 0xdc00 || *second > 0xdfff) return std::nullopt;
  return 0x10000 + ((*first - 0xd800) << 10) + (*second - 0xdc00);
}

bool TranscodeWide(std::string_view bytes, size_t width, bool little_endian, std::string* out,
                   size_t* error_offset) {
  UnitReader units(bytes, width, little_endian);
  while (!units.AtEnd()) {
    *error_offset = units.offset();
    const std::optional<char32_t> c = width == 2 ? NextCodePoint(units) : units.Next();
    if (!c || *c > 0x10ffff || IsSurrogate(*c)) return false;
    AppendUtf8(*c, out);
  }
  return true;
}

}  // namespace

std::optional<ByteOrderMark> FindByteOrderMark(std::string_view bytes) {
  if (bytes.starts_with("\xef\xbb\xbf"sv)) return ByteOrderMark{Encoding::kUtf8, 3};
  // Before UTF-16's, which it begins with.
  if (bytes.starts_with("\xff\xfe\0\0"sv)) return ByteOrderMark{Encoding::kUtf32Le, 4};
  if (bytes.starts_with("\0\0\xfe\xff"sv)) return ByteOrderMark{Encoding::kUtf32Be, 4};
  if (bytes.starts_with("\xff\xfe"sv)) return ByteOrderMark{Encoding::kUtf16Le, 2};
  if (bytes.starts_with("\xfe\xff"sv)) return ByteOrderMark{Encoding::kUtf16Be, 2};
  return std::nullopt;
}

NamedEncoding EncodingNamed(std::string_view name) {
  if (Contains(kUtf8Names, name)) return NamedEncoding::kUtf8;
  if (Contains(kAsciiNames, name)) return NamedEncoding::kAscii;
  if (Contains(kLatin1Names, name)) return NamedEncoding::kLatin1;
  if (Contains(kWideNames, name)) return NamedEncoding::kWide;
  return NamedEncoding::kUnknown;
}

std::optional<std::string_view> ToUtf8(std::string_view bytes, Encoding encoding,
                                       std::string* buffer, size_t* error_offset) {
  buffer->clear();
  bool valid = false;
  switch (encoding) {
    case Encoding::kUtf8:
      if (simdjson::validate_utf8(bytes.data(), bytes.size())) return bytes;
      *error_offset = FirstInvalidUtf8(bytes);
      return std::nullopt;
    case Encoding::kAscii:
      *error_offset = FirstNonAscii(bytes);
      if (*error_offset < bytes.size()) return std::nullopt;
      return bytes;
    case Encoding::kLatin1:
      for (char c : bytes) AppendUtf8(static_cast<uint8_t>(c), buffer);
      return *buffer;
    case Encoding::kUtf16Le:
      valid = TranscodeWide(bytes, 2, true, buffer, error_offset);
      break;
    case Encoding::kUtf16Be:
      valid = TranscodeWide(bytes, 2, false, buffer, error_offset);
      break;
    case Encoding::kUtf32Le:
      valid = TranscodeWide(bytes, 4, true, buffer, error_offset);
      break;
    case Encoding::kUtf32Be:
      valid = TranscodeWide(bytes, 4, false, buffer, error_offset);
      break;
  }
  if (!valid) return std::nullopt;
  return *buffer;
}

void AppendUtf8(char32_t code_point, std::string* out) {
  const auto byte = [out](char32_t value) { out->push_back(static_cast<char>(value)); };
  if (code_point < 0x80) {
    byte(code_point);
  } else if (code_point < 0x800) {
    byte(0xc0 | code_point >> 6);
    byte(0x80 | (code_point & 0x3f));
  } else if (code_point < 0x10000) {
    byte(0xe0 | code_point >> 12);
    byte(0x80 | (code_point >> 6 & 0x3f));
    byte(0x80 | (code_point & 0x3f));
  } else {
    byte(0xf0 | code_point >> 18);
    byte(0x80 | (code_point >> 12 & 0x3f));
    byte(0x80 | (code_point >> 6 & 0x3f));
    byte(0x80 | (code_point & 0x3f));
  }
}

}  // namespace mmsmo::postback
