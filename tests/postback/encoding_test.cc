#include "gateway/postback/encoding.h"

#include <gtest/gtest.h>

namespace mmsmo::postback {
namespace {

using std::string_view_literals::operator""sv;

struct Case {
  std::string_view bytes;
  Encoding encoding;
  std::string_view utf8;
};

TEST(Encoding, ReadsEveryEncoding) {
  const Case cases[] = {
      {"caf\xc3\xa9", Encoding::kUtf8, "café"},
      {"cafe", Encoding::kAscii, "cafe"},
      {"caf\xe9", Encoding::kLatin1, "café"},
      {"\xe9\0\x3d\xd8\x00\xde"sv, Encoding::kUtf16Le, "é😀"},
      {"\0\xe9\xd8\x3d\xde\x00"sv, Encoding::kUtf16Be, "é😀"},
      {"\x00\xe0"sv, Encoding::kUtf16Le, "\xee\x80\x80"},  // behind the surrogates
      {"\x00\xf6\x01\0"sv, Encoding::kUtf32Le, "😀"},
      {"\0\x01\xf6\x00"sv, Encoding::kUtf32Be, "😀"},
      {"", Encoding::kUtf16Le, ""},
  };
  for (const Case& one : cases) {
    std::string buffer;
    size_t offset = 0;
    EXPECT_EQ(ToUtf8(one.bytes, one.encoding, &buffer, &offset), one.utf8);
  }
}

TEST(Encoding, SaysWhereTheBytesAreNotValid) {
  const struct {
    std::string_view bytes;
    Encoding encoding;
    size_t offset;
  } cases[] = {
      {"ab\xff", Encoding::kUtf8, 2},
      {"é\xc3", Encoding::kUtf8, 2},
      {"a\xed\xa0\x80", Encoding::kUtf8, 1},  // a surrogate
      {"a\xc0\x80", Encoding::kUtf8, 1},      // overlong
      {"a\xf4\x90\x80\x80", Encoding::kUtf8, 1},
      {"a\xe9", Encoding::kAscii, 1},
      {"a\0\x3d\xd8"sv, Encoding::kUtf16Le, 2},  // half a pair, at the end
      {"\x3d\xd8"
       "a\0"sv,
       Encoding::kUtf16Le, 0},  // half a pair
      {"\x3d\xd8\x00\xe0"sv, Encoding::kUtf16Le, 0},
      {"\x00\xde"sv, Encoding::kUtf16Le, 0},    // the other half alone
      {"a\0b"sv, Encoding::kUtf16Le, 2},        // half a unit
      {"\0\xd8\0\0"sv, Encoding::kUtf32Le, 0},  // a surrogate
      {"\0\0\x11\0"sv, Encoding::kUtf32Le, 0},  // beyond U+10FFFF
      {"a\0\0"sv, Encoding::kUtf32Le, 0},
  };
  for (const auto& one : cases) {
    std::string buffer;
    size_t offset = 99;
    EXPECT_FALSE(ToUtf8(one.bytes, one.encoding, &buffer, &offset));
    EXPECT_EQ(offset, one.offset);
  }
}

TEST(Encoding, FindsByteOrderMarks) {
  EXPECT_EQ(FindByteOrderMark("\xef\xbb\xbf<")->encoding, Encoding::kUtf8);
  EXPECT_EQ(FindByteOrderMark("\xff\xfe<\0"sv)->encoding, Encoding::kUtf16Le);
  EXPECT_EQ(FindByteOrderMark("\xfe\xff\0<"sv)->encoding, Encoding::kUtf16Be);
  EXPECT_EQ(FindByteOrderMark("\xff\xfe\0\0"sv)->encoding, Encoding::kUtf32Le);
  EXPECT_EQ(FindByteOrderMark("\0\0\xfe\xff"sv)->encoding, Encoding::kUtf32Be);
  EXPECT_FALSE(FindByteOrderMark("<a/>"));
  EXPECT_FALSE(FindByteOrderMark(""));
}

TEST(Encoding, KnowsTheUsualNames) {
  EXPECT_EQ(EncodingNamed("UTF-8"), NamedEncoding::kUtf8);
  EXPECT_EQ(EncodingNamed("utf8"), NamedEncoding::kUtf8);
  EXPECT_EQ(EncodingNamed("US-ASCII"), NamedEncoding::kAscii);
  EXPECT_EQ(EncodingNamed("Latin1"), NamedEncoding::kLatin1);
  EXPECT_EQ(EncodingNamed("utf-16"), NamedEncoding::kWide);
  EXPECT_EQ(EncodingNamed("windows-1252"), NamedEncoding::kUnknown);
  EXPECT_EQ(EncodingNamed(""), NamedEncoding::kUnknown);
}

}  // namespace
}  // namespace mmsmo::postback
