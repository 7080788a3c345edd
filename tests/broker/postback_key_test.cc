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

TEST(PostbackKey, TellsRecipientsApart) {
  const PostbackKey key = MakePostbackKey("e", "id", "14082257140");
  EXPECT_EQ(key, MakePostbackKey("e", "id", "+1 (408) 225-7140/TYPE=PLMN"));
  EXPECT_NE(key, MakePostbackKey("e", "id", "14082257141"));
  EXPECT_NE(key, MakePostbackKey("e", "id1", "4082257140"));
  EXPECT_NE(key, MakePostbackKey("e", "id"));
  EXPECT_NE(MakePostbackKey("e", "id", "a@b"), MakePostbackKey("e", "id", "A@b"));
}

// Engines keep it.
TEST(PostbackKey, StaysWhatItIs) {
  const PostbackKey key = MakePostbackKey("mms-mo", "id");
  EXPECT_EQ(key.high, 0x458a77a508102987u);
  EXPECT_EQ(key.low, 0x864eefb1831dbb1fu);
  const PostbackKey with_recipient = MakePostbackKey("mms-mo", "id", "28444");
  EXPECT_EQ(with_recipient.high, 0x8f5d394ae20e2279u);
  EXPECT_EQ(with_recipient.low, 0x6de09e281f98932fu);
}

}  // namespace
}  // namespace mmsmo::broker
