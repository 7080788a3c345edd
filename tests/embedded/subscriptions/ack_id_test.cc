#include "gateway/embedded/subscriptions/ack_id.h"

#include <string>

#include "tests/support/status_matchers.h"

namespace mmsmo::embedded {
namespace {

constexpr AckId kId{
    .subscription = 1, .incarnation = 6, .epoch = 2, .sequence = 3, .attempt = 4, .lease = 5};

std::string TextOf(const AckId& id) {
  std::string text = "of another";
  EncodeAckId(id, &text);
  return text;
}

TEST(AckId, IsReadAsItWasMade) {
  EXPECT_EQ(TextOf(kId).size(), 55u);
  const auto decoded = DecodeAckId(TextOf(kId));
  ASSERT_THAT(decoded, IsOk());
  EXPECT_EQ(*decoded, kId);
}

TEST(AckId, IsReadAsAnOlderGatewayMadeIt) {
  const auto decoded = DecodeAckId("AQAAAAAAAAABAAAAAgAAAAAAAAADAAAABAAFKqo7bw");
  ASSERT_THAT(decoded, IsOk());
  AckId old = kId;
  old.incarnation = 0;
  EXPECT_EQ(*decoded, old);
}

// Its bytes end within its last character, of which base64 alone would take any with the same
// first bits.
TEST(AckId, WithAnotherLastCharacterIsNone) {
  const std::string text = TextOf(kId);
  for (const char c :
       std::string("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_")) {
    std::string mistyped = text;
    mistyped.back() = c;
    if (mistyped == text) continue;
    EXPECT_THAT(DecodeAckId(mistyped), StatusIs(absl::StatusCode::kInvalidArgument, testing::_))
        << c;
  }
}

}  // namespace
}  // namespace mmsmo::embedded
