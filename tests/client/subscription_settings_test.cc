#include "client/command/subscription_settings.h"

#include <gmock/gmock.h>
#include <google/protobuf/util/field_mask_util.h>
#include <gtest/gtest.h>

namespace mmsmo::command {
namespace {

using google::protobuf::util::FieldMaskUtil;
using testing::HasSubstr;

struct Parsed {
  v1::Subscription subscription;
  google::protobuf::FieldMask mask;
};

// Throws CLI::ParseError where the command line is wrong.
Parsed Parse(const std::string& line) {
  CLI::App app;
  SubscriptionSettings settings;
  settings.AddTo(&app);
  settings.AddRemovalsTo(&app);
  app.parse(line);
  return {.subscription = settings.subscription(), .mask = settings.mask()};
}

TEST(SubscriptionSettings, NameInTheMaskWhatIsGivenAndNothingElse) {
  const struct {
    std::string line, mask;
  } kCases[] = {
      {"", ""},
      {"--ack-deadline 30s", "ack_deadline"},
      {"--min-backoff 1s", "retry_policy.minimum_backoff"},
      {"--max-backoff 10m", "retry_policy.maximum_backoff"},
      {"--max-attempts 0", "max_attempts"},
      {"--max-outstanding 5", "max_outstanding_messages"},
      {"--order-by-sender", "order_by_sender"},
      {"--no-order-by-sender", "order_by_sender"},
      {"--expiration-ttl 7d", "expiration_ttl"},
      {"--no-expiration", "expiration_ttl"},
      {"--keyword stop --sender +1", "filter"},
      {"--no-filter", "filter"},
      {"--max-attempts 5 --keyword stop --ack-deadline 1s", "ack_deadline,filter,max_attempts"},
  };
  for (const auto& expected : kCases) {
    const Parsed parsed = Parse(expected.line);
    google::protobuf::FieldMask sorted;
    FieldMaskUtil::ToCanonicalForm(parsed.mask, &sorted);
    EXPECT_EQ(FieldMaskUtil::ToString(sorted), expected.mask) << expected.line;
    EXPECT_TRUE(FieldMaskUtil::IsValidFieldMask<v1::Subscription>(parsed.mask)) << expected.line;
  }
}

TEST(SubscriptionSettings, AreThoseOfTheSubscription) {
  const v1::Subscription subscription =
      Parse(
          "--ack-deadline 1500ms --min-backoff 1s --max-backoff 10m --max-attempts 5 "
          "--max-outstanding 7 --order-by-sender --expiration-ttl 7d --keyword stop "
          "--media-kind IMAGE")
          .subscription;
  EXPECT_EQ(subscription.ack_deadline().seconds(), 1);
  EXPECT_EQ(subscription.ack_deadline().nanos(), 500'000'000);
  EXPECT_EQ(subscription.retry_policy().minimum_backoff().seconds(), 1);
  EXPECT_EQ(subscription.retry_policy().maximum_backoff().seconds(), 600);
  EXPECT_EQ(subscription.max_attempts(), 5);
  EXPECT_EQ(subscription.max_outstanding_messages(), 7);
  EXPECT_TRUE(subscription.order_by_sender());
  EXPECT_EQ(subscription.expiration_ttl().seconds(), 604'800);
  EXPECT_EQ(subscription.filter().keywords(0), "stop");
  EXPECT_EQ(subscription.filter().media_kinds(0), v1::MEDIA_KIND_IMAGE);
}

TEST(SubscriptionSettings, LeaveTheRestToTheGateway) {
  EXPECT_EQ(Parse("").subscription.ByteSizeLong(), 0u);
  EXPECT_FALSE(Parse("--no-order-by-sender").subscription.order_by_sender());
  EXPECT_FALSE(Parse("--no-expiration").subscription.has_expiration_ttl());
}

TEST(SubscriptionSettings, NameTheFlagTheValueAndWhatIsAllowed) {
  const struct {
    std::string line, flag, value, allowed;
  } kCases[] = {
      {"--ack-deadline 30", "--ack-deadline", "30", "30s"},
      {"--expiration-ttl never", "--expiration-ttl", "never", "7d"},
      {"--max-attempts -1", "--max-attempts", "-1", "0 to"},
      {"--media-kind film", "--media-kind", "film", "video"},
  };
  for (const auto& expected : kCases) {
    try {
      Parse(expected.line);
      ADD_FAILURE() << expected.line;
    } catch (const CLI::ParseError& error) {
      EXPECT_THAT(error.what(), AllOf(HasSubstr(expected.flag), HasSubstr(expected.value),
                                      HasSubstr(expected.allowed)));
    }
  }
}

}  // namespace
}  // namespace mmsmo::command
