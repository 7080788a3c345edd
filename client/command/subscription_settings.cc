#include "client/command/subscription_settings.h"

#include <google/protobuf/util/time_util.h>

#include <limits>

#include "client/command/duration.h"

namespace mmsmo::command {
namespace {

using google::protobuf::Duration;
using google::protobuf::util::TimeUtil;

struct DurationFlag {
  const char* flag;
  const char* path;
  Duration* (*field)(v1::Subscription*);
  const char* help;
};
const DurationFlag kDurations[] = {
    {"--ack-deadline", "ack_deadline", [](auto* s) { return s->mutable_ack_deadline(); },
     "How long a consumer has to acknowledge a delivery"},
    {"--min-backoff", "retry_policy.minimum_backoff",
     [](auto* s) { return s->mutable_retry_policy()->mutable_minimum_backoff(); },
     "The first wait before a redelivery"},
    {"--max-backoff", "retry_policy.maximum_backoff",
     [](auto* s) { return s->mutable_retry_policy()->mutable_maximum_backoff(); },
     "The longest wait before a redelivery"},
    {"--expiration-ttl", "expiration_ttl", [](auto* s) { return s->mutable_expiration_ttl(); },
     "Remove it after so long without a stream"},
};

struct CountFlag {
  const char* flag;
  const char* path;
  void (v1::Subscription::*set)(int32_t);
  const char* help;
};
const CountFlag kCounts[] = {
    {"--max-attempts", "max_attempts", &v1::Subscription::set_max_attempts,
     "After so many deliveries an event becomes a dead letter; 0: no limit"},
    {"--max-outstanding", "max_outstanding_messages",
     &v1::Subscription::set_max_outstanding_messages,
     "How many deliveries of all its streams may be unacknowledged"},
};

}  // namespace

void SubscriptionSettings::AddDurations(CLI::App* app) {
  for (const DurationFlag& flag : kDurations) {
    const auto set = [this, &flag](const std::string& text) {
      mask_.add_paths(flag.path);
      *flag.field(&subscription_) = TimeUtil::MillisecondsToDuration(ParseDuration(text)->count());
    };
    app->add_option_function<std::string>(flag.flag, set, flag.help)
        ->check(IsDuration())
        ->type_name("DURATION");
  }
}

void SubscriptionSettings::AddCounts(CLI::App* app) {
  for (const CountFlag& flag : kCounts) {
    const auto set = [this, &flag](const int32_t& count) {
      mask_.add_paths(flag.path);
      (subscription_.*flag.set)(count);
    };
    app->add_option_function<int32_t>(flag.flag, set, flag.help)
        ->check(CLI::Range(0, std::numeric_limits<int32_t>::max()));
  }
}

void SubscriptionSettings::AddTo(CLI::App* app) {
  AddFilterOptions(app, &filter_);
  CLI::Option_group* settings = app->add_option_group(
      "Settings", "the gateway's default where one is not given; DURATION is such as 30s or 7d");
  AddDurations(settings);
  AddCounts(settings);
  settings->add_flag_function(
      "--order-by-sender,!--no-order-by-sender",
      [this](int64_t count) {
        mask_.add_paths("order_by_sender");
        subscription_.set_order_by_sender(count > 0);
      },
      "Deliver the events of one sender one at a time, in their order");
}

void SubscriptionSettings::AddRemovalsTo(CLI::App* app) {
  app->add_flag_callback(
      "--no-filter", [this] { mask_.add_paths("filter"); }, "Deliver all events");
  app->add_flag_callback(
      "--no-expiration", [this] { mask_.add_paths("expiration_ttl"); }, "Keep it without a stream");
}

v1::Subscription SubscriptionSettings::subscription() const {
  v1::Subscription subscription = subscription_;
  const v1::Filter filter = FilterOf(filter_);
  if (filter.ByteSizeLong() > 0) *subscription.mutable_filter() = filter;
  return subscription;
}

google::protobuf::FieldMask SubscriptionSettings::mask() const {
  google::protobuf::FieldMask mask = mask_;
  if (FilterOf(filter_).ByteSizeLong() > 0) mask.add_paths("filter");
  return mask;
}

}  // namespace mmsmo::command
