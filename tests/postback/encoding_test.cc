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
      {"caf\xc3\xa9", kUtf8, "café"},
      {"cafe", kAscii, "cafe"},
      {"caf\xe9", *EncodingLabelled("latin1"), "café"},
      {"\xe9\0\x3d\xd8\x00\xde"sv, kUtf16Le, "é😀"},
      {"\0\xe9\xd8\x3d\xde\x00"sv, kUtf16Be, "é😀"},
      {"\x00\xe0"sv, kUtf16Le, "\xee\x80\x80"},  // behind the surrogates
      {"\x00\xf6\x01\0"sv, kUtf32Le, "😀"},
      {"\0\x01\xf6\x00"sv, kUtf32Be, "😀"},
      {"", kUtf16Le, ""},
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
      {"ab\xff", kUtf8, 2},
      {"é\xc3", kUtf8, 2},
      {"a\xed\xa0\x80", kUtf8, 1},  // a surrogate
      {"a\xc0\x80", kUtf8, 1},      // overlong
      {"a\xf4\x90\x80\x80", kUtf8, 1},
      {"a\xe9", kAscii, 1},
      {"a\0\x3d\xd8"sv, kUtf16Le, 2},  // half a pair, at the end
      {"\x3d\xd8"
       "a\0"sv,
       kUtf16Le, 0},  // half a pair
      {"\x3d\xd8\x00\xe0"sv, kUtf16Le, 0},
      {"\x00\xde"sv, kUtf16Le, 0},    // the other half alone
      {"a\0b"sv, kUtf16Le, 2},        // half a unit
      {"\0\xd8\0\0"sv, kUtf32Le, 0},  // a surrogate
      {"\0\0\x11\0"sv, kUtf32Le, 0},  // beyond U+10FFFF
      {"a\0\0"sv, kUtf32Le, 0},
  };
  for (const auto& one : cases) {
    std::string buffer;
    size_t offset = 99;
    EXPECT_FALSE(ToUtf8(one.bytes, one.encoding, &buffer, &offset));
    EXPECT_EQ(offset, one.offset);
  }
}

TEST(Encoding, FindsByteOrderMarks) {
  EXPECT_EQ(FindByteOrderMark("\xef\xbb\xbf<")->encoding, kUtf8);
  EXPECT_EQ(FindByteOrderMark("\xff\xfe<\0"sv)->encoding, kUtf16Le);
  EXPECT_EQ(FindByteOrderMark("\xfe\xff\0<"sv)->encoding, kUtf16Be);
  EXPECT_EQ(FindByteOrderMark("\xff\xfe\0\0"sv)->encoding, kUtf32Le);
  EXPECT_EQ(FindByteOrderMark("\0\0\xfe\xff"sv)->encoding, kUtf32Be);
  EXPECT_FALSE(FindByteOrderMark("<a/>"));
  EXPECT_FALSE(FindByteOrderMark(""));
}

TEST(Encoding, KnowsTheLabelsOfTheStandard) {
  const struct {
    std::string_view label;
    const char* name;
  } cases[] = {
      {"UTF-8", "UTF-8"},
      {" utf8\t", "UTF-8"},
      {"US-ASCII", "windows-1252"},
      {"Latin1", "windows-1252"},
      {"ISO-8859-1", "windows-1252"},
      {"iso-8859-9", "windows-1254"},
      {"iso-8859-11", "windows-874-2000"},
      {"gb2312", "gb18030"},
      {"sjis", "windows-31j"},
      {"utf-16", "UTF-16LE"},
      {"iso-2022-kr", "replacement"},
  };
  for (const auto& one : cases) {
    const auto encoding = EncodingLabelled(one.label);
    ASSERT_TRUE(encoding) << one.label;
    EXPECT_STREQ(encoding->name, one.name);
  }
  for (const std::string_view none :
       {"", " ", "null", "utf-8, utf-8", "utf-8 utf8", "latin-1", "ebcdic", "utf-32",
        "UTF-8,swaplfnl", "ISO-8859-1,version=1"}) {
    EXPECT_FALSE(EncodingLabelled(none)) << none;
  }
}

// A sample of each kind that the standard has, by its labels.
TEST(Encoding, ReadsWhatTheStandardHas) {
  const struct {
    std::string_view label, bytes, utf8;
  } cases[] = {
      {"iso-8859-1", "\x80\x93\xe9", "€“é"},  // windows-1252's quotation marks and euro
      {"ascii", "caf\xe9", "café"},
      {"windows-1251", "\xd1\xd2\xce\xcf", "СТОП"},
      {"koi8-r", "\xf3\xf4\xef\xf0", "СТОП"},
      {"ibm866", "\x91\x92\x8e\x8f", "СТОП"},
      {"iso-8859-2",
       "\xb3\xf3"
       "d\xbc",
       "łódź"},
      {"iso-8859-16", "\xa4\xbf\xfe", "€żț"},
      {"macintosh", "caf\x8e", "café"},
      {"shift_jis", "\x82\xa0\xb1", "あｱ"},
      {"euc-jp", "\xa4\xa2", "あ"},
      {"iso-2022-jp", "\x1b$B$\"\x1b(B.", "あ."},
      {"gbk", "\xc4\xe3\xba\xc3", "你好"},
      {"gb18030", "\x94\x39\xda\x33", "💩"},
      {"big5", "\xa7\x41\xa6\x6e", "你好"},
      {"euc-kr", "\xc7\xd1", "한"},
      {"x-user-defined", "a\x80", "a\xef\x9e\x80"},
  };
  for (const auto& one : cases) {
    std::string buffer;
    size_t offset = 0;
    EXPECT_EQ(ToUtf8(one.bytes, *EncodingLabelled(one.label), &buffer, &offset), one.utf8)
        << one.label;
  }
}

TEST(Encoding, SaysWhereTheBytesOfOthersAreNotValid) {
  const struct {
    std::string_view label, bytes;
    size_t offset;
  } cases[] = {
      {"shift_jis", "a\x82", 1},                                 // half a character
      {"euc-jp", "ab\xa4\x20", 2},                               // no second half
      {"gb18030", "a\xff", 1},     {"iso-8859-6", "ab\xa1", 2},  // not assigned
      {"iso-2022-kr", "a", 0},
  };
  for (const auto& one : cases) {
    std::string buffer;
    size_t offset = 99;
    EXPECT_FALSE(ToUtf8(one.bytes, *EncodingLabelled(one.label), &buffer, &offset)) << one.label;
    EXPECT_EQ(offset, one.offset) << one.label;
  }
}

}  // namespace
}  // namespace mmsmo::postback
