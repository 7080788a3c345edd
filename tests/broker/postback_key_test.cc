#include "gateway/broker/postback_key.h"

#include <gtest/gtest.h>

namespace mmsmo::broker {
namespace {

TEST(PostbackKey, TellsEndpointsAndIdsApart) {
  EXPECT_EQ(MakePostbackKey("a", "b"), MakePostbackKey("a", "b"));
  EXPECT_NE(MakePostbackKey("a", "b"), MakePostbackKey("a", "B"));
  EXPECT_NE(MakePostbackKey("a", "b"), MakePostbackKey("ab", ""));
  EXPECT_NE(MakePostbackKey("", "ab"), MakePostbackKey("a", "b"));
}

// Engines keep it.
TEST(PostbackKey, StaysWhatItIs) {
  const PostbackKey key = MakePostbackKey("mms-mo", "id");
  EXPECT_EQ(key.high, 0x458a77a508102987u);
  EXPECT_EQ(key.low, 0x864eefb1831dbb1fu);
}

}  // namespace
}  // namespace mmsmo::broker
