#include "gateway/broker/subscription_settings.h"

#include <gtest/gtest.h>

#include <functional>
#include <limits>
#include <string>

#include "gateway/broker/proto_time.h"
#include "tests/support/status_matchers.h"

namespace mmsmo::broker {
namespace {

using testing::HasSubstr;

v1::Subscription Named(const std::string& name) {
  v1::Subscription subscription;
  subscription.set_name(name);
  return subscription;
}

google::protobuf::FieldMask Mask(const std::string& path) {
  google::protobuf::FieldMask mask;
  mask.add_paths(path);
  return mask;
}

TEST(SubscriptionSettings, CompletesWhatIsUnset) {
  const auto complete = CompleteSubscription(Named("a-1"));
  ASSERT_THAT(complete, IsOk());
  EXPECT_EQ(complete->ack_deadline().seconds(), 30);
  EXPECT_EQ(complete->retry_policy().minimum_backoff().seconds(), 1);
  EXPECT_EQ(complete->retry_policy().maximum_backoff().seconds(), 600);
  EXPECT_EQ(complete->max_attempts(), 0);
  EXPECT_EQ(complete->max_outstanding_messages(), 100'000);
  EXPECT_FALSE(complete->has_expiration_ttl());
}

TEST(SubscriptionSettings, RaisesTheMaximumBackoffToTheMinimum) {
  v1::Subscription wanted = Named("a");
  wanted.mutable_retry_policy()->mutable_minimum_backoff()->set_seconds(3600);
  EXPECT_EQ(CompleteSubscription(wanted)->retry_policy().maximum_backoff().seconds(), 3600);
}

TEST(SubscriptionSettings, DropsWhatIsOutputOnly) {
  v1::Subscription wanted = Named("a");
  wanted.set_backlog_count(7);
  wanted.mutable_create_time()->set_seconds(7);
  const auto complete = CompleteSubscription(wanted);
  EXPECT_EQ(complete->backlog_count(), 0);
  EXPECT_FALSE(complete->has_create_time());
}

struct BadCase {
  const char* field;
  std::function<void(v1::Subscription*)> spoil;
};

class BadSettings : public testing::TestWithParam<BadCase> {};

TEST_P(BadSettings, AreNamed) {
  v1::Subscription wanted = Named("a");
  GetParam().spoil(&wanted);
  EXPECT_THAT(CompleteSubscription(wanted),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr(GetParam().field)));
}

INSTANTIATE_TEST_SUITE_P(
    All, BadSettings,
    testing::Values(
        BadCase{"name", [](auto* s) { s->set_name(""); }},
        BadCase{"name", [](auto* s) { s->set_name("1a"); }},
        BadCase{"name", [](auto* s) { s->set_name("-a"); }},
        BadCase{"name", [](auto* s) { s->set_name("aB"); }},
        BadCase{"name", [](auto* s) { s->set_name("a_b"); }},
        BadCase{"name", [](auto* s) { s->set_name(std::string(64, 'a')); }},
        BadCase{"ack_deadline", [](auto* s) { *s->mutable_ack_deadline() = ToDuration(99'999); }},
        BadCase{"ack_deadline", [](auto* s) { s->mutable_ack_deadline()->set_seconds(3601); }},
        BadCase{"ack_deadline", [](auto* s) { s->mutable_ack_deadline()->set_seconds(-1); }},
        BadCase{
            "minimum_backoff",
            [](auto* s) { s->mutable_retry_policy()->mutable_minimum_backoff()->set_nanos(1); }},
        BadCase{"minimum_backoff",
                [](auto* s) {
                  s->mutable_retry_policy()->mutable_minimum_backoff()->set_seconds(
                      std::numeric_limits<int64_t>::max());
                }},
        BadCase{"maximum_backoff",
                [](auto* s) {
                  s->mutable_retry_policy()->mutable_maximum_backoff()->set_nanos(1'000'000);
                }},
        BadCase{"max_attempts", [](auto* s) { s->set_max_attempts(1001); }},
        BadCase{"max_attempts", [](auto* s) { s->set_max_attempts(-1); }},
        BadCase{"max_outstanding_messages",
                [](auto* s) { s->set_max_outstanding_messages(1'000'001); }},
        BadCase{
            "filter.media_kinds",
            [](auto* s) { s->mutable_filter()->add_media_kinds(static_cast<v1::MediaKind>(99)); }},
        BadCase{"expiration_ttl", [](auto* s) { s->mutable_expiration_ttl(); }}));

TEST(SubscriptionSettings, UpdatesWhatTheMaskNames) {
  v1::Subscription existing = *CompleteSubscription(Named("a"));
  existing.mutable_filter()->add_keywords("old");
  v1::Subscription wanted = Named("a");
  wanted.set_max_attempts(5);
  wanted.mutable_filter()->add_keywords("new");
  EXPECT_EQ(UpdatedSubscription(existing, wanted, Mask("max_attempts"))->filter().keywords(0),
            "old");
  const auto filtered = UpdatedSubscription(existing, wanted, Mask("filter"));
  EXPECT_EQ(filtered->filter().keywords_size(), 1) << "replaced, not merged";
  EXPECT_EQ(filtered->filter().keywords(0), "new");
  EXPECT_EQ(filtered->max_attempts(), 0);
  EXPECT_EQ(UpdatedSubscription(existing, Named("a"), Mask("filter"))->filter().keywords_size(), 0);
}

TEST(SubscriptionSettings, UpdatesWhatIsSetWithoutAMask) {
  const v1::Subscription existing = *CompleteSubscription(Named("a"));
  v1::Subscription wanted = Named("a");
  wanted.set_max_attempts(5);
  const auto updated = UpdatedSubscription(existing, wanted, {});
  EXPECT_EQ(updated->max_attempts(), 5);
  EXPECT_EQ(updated->ack_deadline().seconds(), 30);
}

TEST(SubscriptionSettings, RefusesToChangeWhatIsFixed) {
  const v1::Subscription existing = *CompleteSubscription(Named("a"));
  for (const char* path : {"name", "order_by_sender", "start_position", "backlog_count", "nothing",
                           "filter.nothing", ""}) {
    EXPECT_THAT(UpdatedSubscription(existing, existing, Mask(path)),
                StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("update_mask")))
        << path;
  }
}

TEST(SubscriptionSettings, NamesTheFirstDifference) {
  const v1::Subscription a = *CompleteSubscription(Named("a"));
  v1::Subscription b = a;
  b.mutable_create_time()->set_seconds(1);
  b.set_backlog_count(1);
  EXPECT_EQ(DifferenceBetween(a, b), "");
  b.mutable_filter()->add_keywords("x");
  EXPECT_EQ(DifferenceBetween(a, b), "filter");
  b = a;
  b.mutable_start_position()->set_after_cursor("x");
  EXPECT_EQ(DifferenceBetween(a, b), "start_position");
}

TEST(SubscriptionSettings, AreNotUpdatedWithAFilterThatIsNotKnown) {
  v1::Subscription wanted = Named("a");
  ASSERT_TRUE(wanted.mutable_filter()->ParseFromString("\x7a\x01x"));  // field 15
  EXPECT_THAT(UpdatedSubscription(Named("a"), wanted, Mask("filter.keywords")),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("subscription.filter: ")));
}

}  // namespace
}  // namespace mmsmo::broker
