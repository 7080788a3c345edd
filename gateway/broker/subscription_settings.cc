#include "gateway/broker/subscription_settings.h"

#include <google/protobuf/util/field_mask_util.h>
#include <google/protobuf/util/message_differencer.h>

#include <algorithm>
#include <cstdint>

#include "gateway/base/status.h"
#include "gateway/broker/filter.h"
#include "gateway/broker/proto_time.h"

namespace mmsmo::broker {
namespace {

using google::protobuf::util::FieldMaskUtil;

constexpr size_t kMaxName = 63;
constexpr int64_t kSecond = 1'000'000;
constexpr int64_t kDay = 86'400 * kSecond;
constexpr int64_t kDefaultAckDeadline = 30 * kSecond;
constexpr int64_t kDefaultMinimumBackoff = 1 * kSecond;
constexpr int64_t kDefaultMaximumBackoff = 600 * kSecond;
constexpr int kDefaultMaxOutstanding = 100'000;
constexpr int kMaxMaxOutstanding = 1'000'000;
constexpr int kMaxMaxAttempts = 1'000;

constexpr std::string_view kChangeable[] = {
    "filter",         "ack_deadline", "retry_policy", "max_attempts", "max_outstanding_messages",
    "expiration_ttl",
};

// Sets a duration that is unset, and checks one that is set.
absl::Status CompleteDuration(std::string_view field, int64_t otherwise, int64_t at_least,
                              int64_t at_most, google::protobuf::Duration* duration) {
  if (duration->seconds() == 0 && duration->nanos() == 0) *duration = ToDuration(otherwise);
  const bool readable = duration->seconds() >= 0 && duration->seconds() <= at_most / kSecond &&
                        duration->nanos() >= 0 && duration->nanos() < 1'000'000'000;
  const int64_t micros = readable ? MicrosOf(*duration) : -1;
  if (micros >= at_least && micros <= at_most) return absl::OkStatus();
  return InvalidArgument("subscription.{}: it must be from {} s to {} s", field,
                         static_cast<double>(at_least) / kSecond, at_most / kSecond);
}

absl::Status CheckRange(std::string_view field, int64_t value, int64_t at_least, int64_t at_most) {
  if (value >= at_least && value <= at_most) return absl::OkStatus();
  return InvalidArgument("subscription.{}: {} is not in {}..{}", field, value, at_least, at_most);
}

google::protobuf::FieldMask Changeable() {
  google::protobuf::FieldMask mask;
  for (const std::string_view setting : kChangeable) mask.add_paths(std::string(setting));
  return mask;
}

// What `mask` names, replaced rather than merged.
void Copy(const v1::Subscription& from, const google::protobuf::FieldMask& mask,
          v1::Subscription* to) {
  FieldMaskUtil::MergeOptions replace;
  replace.set_replace_message_fields(true);
  replace.set_replace_repeated_fields(true);
  FieldMaskUtil::MergeMessageTo(from, mask, replace, to);
}

bool IsChangeable(std::string_view path) {
  const std::string_view top = path.substr(0, path.find('.'));
  return std::find(std::begin(kChangeable), std::end(kChangeable), top) != std::end(kChangeable);
}

}  // namespace

absl::Status ValidateSubscriptionName(std::string_view field, std::string_view name) {
  const auto allowed = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-';
  };
  if (!name.empty() && name.size() <= kMaxName && name[0] >= 'a' && name[0] <= 'z' &&
      std::all_of(name.begin(), name.end(), allowed)) {
    return absl::OkStatus();
  }
  return InvalidArgument("{}: a name has 1 to {} of a-z, 0-9 and -, and begins with a letter",
                         field, kMaxName);
}

absl::StatusOr<v1::Subscription> CompleteSubscription(const v1::Subscription& wanted) {
  v1::Subscription complete;
  CopyChangeableSettings(wanted, &complete);
  complete.set_name(wanted.name());
  complete.set_order_by_sender(wanted.order_by_sender());
  *complete.mutable_start_position() = wanted.start_position();
  if (complete.max_outstanding_messages() == 0) {
    complete.set_max_outstanding_messages(kDefaultMaxOutstanding);
  }
  v1::RetryPolicy& retry = *complete.mutable_retry_policy();
  const auto complete_ttl = [&] {
    if (!complete.has_expiration_ttl()) return absl::OkStatus();
    return CompleteDuration("expiration_ttl", 0, kSecond, 3650 * kDay,
                            complete.mutable_expiration_ttl());
  };
  for (const absl::Status& status : {
           ValidateSubscriptionName("subscription.name", complete.name()),
           EventFilter::Validate("subscription.filter", complete.filter()),
           CompleteDuration("ack_deadline", kDefaultAckDeadline, kSecond / 10, 3600 * kSecond,
                            complete.mutable_ack_deadline()),
           CompleteDuration("retry_policy.minimum_backoff", kDefaultMinimumBackoff, kSecond / 1000,
                            kDay, retry.mutable_minimum_backoff()),
           CompleteDuration("retry_policy.maximum_backoff",
                            std::max(kDefaultMaximumBackoff, MicrosOf(retry.minimum_backoff())),
                            MicrosOf(retry.minimum_backoff()), kDay,
                            retry.mutable_maximum_backoff()),
           CheckRange("max_attempts", complete.max_attempts(), 0, kMaxMaxAttempts),
           CheckRange("max_outstanding_messages", complete.max_outstanding_messages(), 1,
                      kMaxMaxOutstanding),
           complete_ttl(),
       }) {
    if (!status.ok()) return status;
  }
  return complete;
}

absl::StatusOr<v1::Subscription> UpdatedSubscription(const v1::Subscription& existing,
                                                     const v1::Subscription& wanted,
                                                     const google::protobuf::FieldMask& mask) {
  if (auto status = EventFilter::Validate("subscription.filter", wanted.filter()); !status.ok())
    return status;
  google::protobuf::FieldMask paths = mask;
  if (paths.paths_size() == 1 && paths.paths(0) == "*") {
    paths = Changeable();
  } else if (paths.paths().empty()) {
    for (const std::string_view setting : kChangeable) {
      const auto* field = v1::Subscription::descriptor()->FindFieldByName(std::string(setting));
      const auto* reflection = v1::Subscription::GetReflection();
      if (reflection->HasField(wanted, field)) paths.add_paths(std::string(setting));
    }
  }
  for (const std::string& path : paths.paths()) {
    if (!FieldMaskUtil::IsValidPath<v1::Subscription>(path)) {
      return InvalidArgument("update_mask: '{}' is not a setting of a subscription", path);
    }
    if (!IsChangeable(path)) return InvalidArgument("update_mask: {} cannot be changed", path);
  }
  v1::Subscription updated = existing;
  Copy(wanted, paths, &updated);
  return CompleteSubscription(updated);
}

std::string DifferenceBetween(const v1::Subscription& a, const v1::Subscription& b) {
  const auto* descriptor = v1::Subscription::descriptor();
  for (int i = 0; i < descriptor->field_count(); ++i) {
    const auto* field = descriptor->field(i);
    if (field->number() >= v1::Subscription::kCreateTimeFieldNumber) break;  // output only
    google::protobuf::util::MessageDifferencer differencer;
    if (!differencer.CompareWithFields(a, b, {field}, {field})) return field->name();
  }
  return "";
}

void CopyChangeableSettings(const v1::Subscription& from, v1::Subscription* to) {
  Copy(from, Changeable(), to);
}

}  // namespace mmsmo::broker
