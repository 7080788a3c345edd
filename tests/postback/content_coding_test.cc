#include "gateway/postback/content_coding.h"

#include <gtest/gtest.h>

#include "tests/support/deflate.h"

namespace mmsmo::postback {
namespace {

TEST(ContentEncoding, KnowsCodings) {
  for (const std::string_view none : {"", "identity", "Identity", "utf-8", "UTF-8", " , identity"})
    EXPECT_EQ(ParseContentEncoding(none), ContentCoding::kNone) << none;
  for (const std::string_view gzip : {"gzip", "x-gzip", "GZip ", "identity, gzip"})
    EXPECT_EQ(ParseContentEncoding(gzip), ContentCoding::kGzip) << gzip;
  EXPECT_EQ(ParseContentEncoding("deflate"), ContentCoding::kDeflate);
  for (const std::string_view other : {"br", "gzip, gzip", "zstd", "gzipped", "gzip;q=1"})
    EXPECT_EQ(ParseContentEncoding(other), ContentCoding::kOther) << other;
}

TEST(Inflate, ReadsWholeStreams) {
  const std::string text(100'000, 'x');
  for (const auto coding : {ContentCoding::kGzip, ContentCoding::kDeflate}) {
    const std::string deflated = Deflate(text, coding == ContentCoding::kGzip);
    std::string out = "what was there";
    EXPECT_EQ(Inflate(deflated, coding, text.size(), &out), Inflated::kDone);
    EXPECT_EQ(out, text);
    EXPECT_EQ(Inflate(deflated, coding, text.size() - 1, &out), Inflated::kTooLarge);
    EXPECT_EQ(Inflate(deflated + "x", coding, text.size(), &out), Inflated::kBroken);
    for (const size_t size : {size_t{0}, size_t{1}, deflated.size() / 2, deflated.size() - 1})
      EXPECT_EQ(Inflate(deflated.substr(0, size), coding, text.size(), &out), Inflated::kBroken);
  }
  std::string out;
  EXPECT_EQ(Inflate(Deflate("", true), ContentCoding::kGzip, 0, &out), Inflated::kDone);
  EXPECT_EQ(out, "");
}

TEST(Inflate, RefusesOtherFormatsAndBrokenStreams) {
  std::string out;
  const std::string gzip = Deflate("text", true);
  EXPECT_EQ(Inflate(gzip, ContentCoding::kDeflate, 100, &out), Inflated::kBroken);
  EXPECT_EQ(Inflate("<a/>", ContentCoding::kGzip, 100, &out), Inflated::kBroken);
  std::string wrong_sum = gzip;
  wrong_sum[gzip.size() - 8] ^= 1;
  EXPECT_EQ(Inflate(wrong_sum, ContentCoding::kGzip, 100, &out), Inflated::kBroken);
  EXPECT_EQ(Inflate(gzip + gzip, ContentCoding::kGzip, 100, &out), Inflated::kBroken);
}

// What a small body becomes takes no more memory than the limit.
TEST(Inflate, StopsAtTheLimit) {
  std::string out;
  const std::string bomb = Deflate(std::string(64 << 20, '\0'), true);
  ASSERT_LT(bomb.size(), 512u << 10);
  EXPECT_EQ(Inflate(bomb, ContentCoding::kGzip, 1 << 20, &out), Inflated::kTooLarge);
  EXPECT_LE(out.capacity(), (2u << 20));
}

}  // namespace
}  // namespace mmsmo::postback
