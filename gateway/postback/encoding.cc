#include "gateway/postback/encoding.h"

#include <simdjson.h>
#include <unicode/ucnv.h>
#include <unicode/utf16.h>
#include <unicode/utf8.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <memory>

#include "gateway/postback/ascii.h"

namespace mmsmo::postback {
namespace {

using std::string_view_literals::operator""sv;

// The standard's name for what nobody may be made to read: every byte is wrong.
constexpr Encoding kReplacement{"replacement"};
// These two ICU does not have.
constexpr Encoding kLatin10{"ISO-8859-16"};
constexpr Encoding kUserDefined{"x-user-defined"};

struct Labels {
  Encoding encoding;
  std::string_view labels;  // each between spaces
};

// The standard's table, section 4.2.
constexpr Labels kLabels[] = {
    {kUtf8, " unicode-1-1-utf-8 unicode11utf8 unicode20utf8 utf-8 utf8 x-unicode20utf8 "},
    {Encoding{"IBM866"}, " 866 cp866 csibm866 ibm866 "},
    {Encoding{"ISO-8859-2"},
     " csisolatin2 iso-8859-2 iso-ir-101 iso8859-2 iso88592 iso_8859-2 iso_8859-2:1987 l2 "
     "latin2 "},
    {Encoding{"ISO-8859-3"},
     " csisolatin3 iso-8859-3 iso-ir-109 iso8859-3 iso88593 iso_8859-3 iso_8859-3:1988 l3 "
     "latin3 "},
    {Encoding{"ISO-8859-4"},
     " csisolatin4 iso-8859-4 iso-ir-110 iso8859-4 iso88594 iso_8859-4 iso_8859-4:1988 l4 "
     "latin4 "},
    {Encoding{"ISO-8859-5"},
     " csisolatincyrillic cyrillic iso-8859-5 iso-ir-144 iso8859-5 iso88595 iso_8859-5 "
     "iso_8859-5:1988 "},
    {Encoding{"ISO-8859-6"},
     " arabic asmo-708 csiso88596e csiso88596i csisolatinarabic ecma-114 iso-8859-6 "
     "iso-8859-6-e iso-8859-6-i iso-ir-127 iso8859-6 iso88596 iso_8859-6 iso_8859-6:1987 "},
    {Encoding{"ISO-8859-7"},
     " csisolatingreek ecma-118 elot_928 greek greek8 iso-8859-7 iso-ir-126 iso8859-7 "
     "iso88597 iso_8859-7 iso_8859-7:1987 sun_eu_greek "},
    {Encoding{"ISO-8859-8"},
     " csiso88598e csisolatinhebrew hebrew iso-8859-8 iso-8859-8-e iso-ir-138 iso8859-8 "
     "iso88598 iso_8859-8 iso_8859-8:1988 visual "},
    {Encoding{"ISO-8859-8"}, " csiso88598i iso-8859-8-i logical "},
    {Encoding{"ISO-8859-10"},
     " csisolatin6 iso-8859-10 iso-ir-157 iso8859-10 iso885910 l6 latin6 "},
    {Encoding{"ISO-8859-13"}, " iso-8859-13 iso8859-13 iso885913 "},
    {Encoding{"ISO-8859-14"}, " iso-8859-14 iso8859-14 iso885914 "},
    {Encoding{"ISO-8859-15"}, " csisolatin9 iso-8859-15 iso8859-15 iso885915 iso_8859-15 l9 "},
    {kLatin10, " iso-8859-16 "},
    {Encoding{"KOI8-R"}, " cskoi8r koi koi8 koi8-r koi8_r "},
    {Encoding{"KOI8-U"}, " koi8-ru koi8-u "},
    {Encoding{"macintosh"}, " csmacintosh mac macintosh x-mac-roman "},
    {Encoding{"windows-874-2000"},
     " dos-874 iso-8859-11 iso8859-11 iso885911 tis-620 windows-874 "},
    {Encoding{"windows-1250"}, " cp1250 windows-1250 x-cp1250 "},
    {Encoding{"windows-1251"}, " cp1251 windows-1251 x-cp1251 "},
    {Encoding{"windows-1252"},
     " ansi_x3.4-1968 ascii cp1252 cp819 csisolatin1 ibm819 iso-8859-1 iso-ir-100 "
     "iso8859-1 iso88591 iso_8859-1 iso_8859-1:1987 l1 latin1 us-ascii windows-1252 "
     "x-cp1252 "},
    {Encoding{"windows-1253"}, " cp1253 windows-1253 x-cp1253 "},
    {Encoding{"windows-1254"},
     " cp1254 csisolatin5 iso-8859-9 iso-ir-148 iso8859-9 iso88599 iso_8859-9 "
     "iso_8859-9:1989 l5 latin5 windows-1254 x-cp1254 "},
    {Encoding{"windows-1255"}, " cp1255 windows-1255 x-cp1255 "},
    {Encoding{"windows-1256"}, " cp1256 windows-1256 x-cp1256 "},
    {Encoding{"windows-1257"}, " cp1257 windows-1257 x-cp1257 "},
    {Encoding{"windows-1258"}, " cp1258 windows-1258 x-cp1258 "},
    {Encoding{"x-mac-cyrillic"}, " x-mac-cyrillic x-mac-ukrainian "},
    {Encoding{"gb18030"},
     " chinese csgb2312 csiso58gb231280 gb2312 gb_2312 gb_2312-80 gbk iso-ir-58 x-gbk "},
    {Encoding{"gb18030"}, " gb18030 "},
    {Encoding{"Big5-HKSCS"}, " big5 big5-hkscs cn-big5 csbig5 x-x-big5 "},
    {Encoding{"EUC-JP"}, " cseucpkdfmtjapanese euc-jp x-euc-jp "},
    {Encoding{"ISO-2022-JP"}, " csiso2022jp iso-2022-jp "},
    {Encoding{"windows-31j"},
     " csshiftjis ms932 ms_kanji shift-jis shift_jis sjis windows-31j x-sjis "},
    {Encoding{"windows-949"},
     " cseuckr csksc56011987 euc-kr iso-ir-149 korean ks_c_5601-1987 ks_c_5601-1989 "
     "ksc5601 ksc_5601 windows-949 "},
    {kReplacement, " csiso2022kr hz-gb-2312 iso-2022-cn iso-2022-cn-ext iso-2022-kr replacement "},
    {kUtf16Be, " unicodefffe utf-16be "},
    {kUtf16Le, " csunicode iso-10646-ucs-2 ucs-2 unicode unicodefeff utf-16 utf-16le "},
    {kUserDefined, " x-user-defined "},
};

// ISO-8859-16 from 0xa0 on; before that it is Unicode.
constexpr std::array<char16_t, 96> kLatin10Table = {
    0x00a0, 0x0104, 0x0105, 0x0141, 0x20ac, 0x201e, 0x0160, 0x00a7, 0x0161, 0x00a9, 0x0218, 0x00ab,
    0x0179, 0x00ad, 0x017a, 0x017b, 0x00b0, 0x00b1, 0x010c, 0x0142, 0x017d, 0x201d, 0x00b6, 0x00b7,
    0x017e, 0x010d, 0x0219, 0x00bb, 0x0152, 0x0153, 0x0178, 0x017c, 0x00c0, 0x00c1, 0x00c2, 0x0102,
    0x00c4, 0x0106, 0x00c6, 0x00c7, 0x00c8, 0x00c9, 0x00ca, 0x00cb, 0x00cc, 0x00cd, 0x00ce, 0x00cf,
    0x0110, 0x0143, 0x00d2, 0x00d3, 0x00d4, 0x0150, 0x00d6, 0x015a, 0x0170, 0x00d9, 0x00da, 0x00db,
    0x00dc, 0x0118, 0x021a, 0x00df, 0x00e0, 0x00e1, 0x00e2, 0x0103, 0x00e4, 0x0107, 0x00e6, 0x00e7,
    0x00e8, 0x00e9, 0x00ea, 0x00eb, 0x00ec, 0x00ed, 0x00ee, 0x00ef, 0x0111, 0x0144, 0x00f2, 0x00f3,
    0x00f4, 0x0151, 0x00f6, 0x015b, 0x0171, 0x00f9, 0x00fa, 0x00fb, 0x00fc, 0x0119, 0x021b, 0x00ff,
};

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

char32_t CodePointOf(uint8_t byte, const Encoding& encoding) {
  if (encoding == kUserDefined) return byte < 0x80 ? byte : 0xf700 + char32_t{byte};
  return byte < 0xa0 ? byte : kLatin10Table[byte - 0xa0];
}

struct CloseConverter {
  void operator()(UConverter* converter) const { ucnv_close(converter); }
};

// The converter of this thread; null where ICU has none of that name. Most senders keep to one
// encoding.
UConverter* ConverterOf(const Encoding& encoding) {
  static thread_local std::unique_ptr<UConverter, CloseConverter> converter;
  static thread_local Encoding of = kUtf8;
  if (of == encoding && converter) {
    ucnv_resetToUnicode(converter.get());
    return converter.get();
  }
  UErrorCode error = U_ZERO_ERROR;
  converter.reset(ucnv_open(encoding.name, &error));
  if (U_FAILURE(error)) return nullptr;
  of = encoding;
  ucnv_setToUCallBack(converter.get(), UCNV_TO_U_CALLBACK_STOP, nullptr, nullptr, nullptr, &error);
  return converter.get();
}

void AppendUtf16(std::u16string_view text, std::string* out) {
  for (size_t i = 0; i < text.size();) {
    UChar32 c = 0;
    U16_NEXT_UNSAFE(text, i, c);
    AppendUtf8(static_cast<char32_t>(c), out);
  }
}

// Where the bytes are not valid, or their end.
size_t Convert(std::string_view bytes, const Encoding& encoding, std::string* out) {
  UConverter* const converter = ConverterOf(encoding);
  if (converter == nullptr) return 0;
  const char* source = bytes.data();
  const char* const end = source + bytes.size();
  std::u16string text;
  size_t size = 0;
  UErrorCode error = U_BUFFER_OVERFLOW_ERROR;
  while (error == U_BUFFER_OVERFLOW_ERROR) {
    text.resize(text.size() + bytes.size() + 16);  // few bytes become more than one unit each
    UChar* target = text.data() + size;
    error = U_ZERO_ERROR;
    ucnv_toUnicode(converter, &target, text.data() + text.size(), &source, end, nullptr,
                   /*flush=*/true, &error);
    size = static_cast<size_t>(target - text.data());
  }
  if (U_SUCCESS(error)) {
    AppendUtf16(std::u16string_view(text).substr(0, size), out);
    return bytes.size();
  }
  std::array<char, 32> wrong;
  auto wrong_size = static_cast<int8_t>(wrong.size());
  error = U_ZERO_ERROR;
  ucnv_getInvalidChars(converter, wrong.data(), &wrong_size, &error);
  return static_cast<size_t>(source - bytes.data()) - static_cast<size_t>(wrong_size);
}

}  // namespace

bool Encoding::IsWide() const {
  return std::string_view(name).starts_with("UTF-") && *this != kUtf8;
}

std::optional<ByteOrderMark> FindByteOrderMark(std::string_view bytes) {
  if (bytes.starts_with("\xef\xbb\xbf"sv)) return ByteOrderMark{kUtf8, 3};
  // Before UTF-16's, which it begins with.
  if (bytes.starts_with("\xff\xfe\0\0"sv)) return ByteOrderMark{kUtf32Le, 4};
  if (bytes.starts_with("\0\0\xfe\xff"sv)) return ByteOrderMark{kUtf32Be, 4};
  if (bytes.starts_with("\xff\xfe"sv)) return ByteOrderMark{kUtf16Le, 2};
  if (bytes.starts_with("\xfe\xff"sv)) return ByteOrderMark{kUtf16Be, 2};
  return std::nullopt;
}

std::optional<Encoding> EncodingLabelled(std::string_view label) {
  label = Trim(label);
  if (label.empty()) return std::nullopt;
  std::string word = " ";
  for (char c : label) word += c == ' ' ? '\0' : ToLower(c);
  word += ' ';
  for (const Labels& one : kLabels) {
    if (one.labels.find(word) != std::string_view::npos) return one.encoding;
  }
  return std::nullopt;
}

bool IsAsciiLabel(std::string_view label) {
  for (const std::string_view one : {"us-ascii"sv, "ascii"sv, "ansi_x3.4-1968"sv}) {
    if (EqualsIgnoringCase(Trim(label), one)) return true;
  }
  return false;
}

std::optional<std::string_view> ToUtf8(std::string_view bytes, const Encoding& encoding,
                                       std::string* buffer, size_t* error_offset) {
  buffer->clear();
  if (encoding == kUtf8) {
    if (simdjson::validate_utf8(bytes.data(), bytes.size())) return bytes;
    *error_offset = FirstInvalidUtf8(bytes);
    return std::nullopt;
  }
  if (encoding == kAscii || encoding == kReplacement) {
    *error_offset = encoding == kAscii ? FirstNonAscii(bytes) : 0;
    if (*error_offset < bytes.size()) return std::nullopt;
    return bytes;
  }
  if (encoding == kLatin10 || encoding == kUserDefined) {
    for (char c : bytes) AppendUtf8(CodePointOf(static_cast<uint8_t>(c), encoding), buffer);
    return *buffer;
  }
  *error_offset = Convert(bytes, encoding, buffer);
  if (*error_offset < bytes.size()) return std::nullopt;
  return *buffer;
}

void AppendUtf8(char32_t code_point, std::string* out) {
  std::array<uint8_t, U8_MAX_LENGTH> bytes;
  size_t size = 0;
  U8_APPEND_UNSAFE(bytes.data(), size, code_point);
  out->append(reinterpret_cast<const char*>(bytes.data()), size);
}

}  // namespace mmsmo::postback
