#include "gateway/declared_subscriptions.h"

#include <google/protobuf/util/time_util.h>

#include <memory>
#include <optional>
#include <set>
#include <sstream>

#include "absl/strings/ascii.h"
#include "gateway/base/status.h"
#include "gateway/broker/proto_time.h"
#include "gateway/broker/subscription_settings.h"
#include "gateway/table_reader.h"

namespace mmsmo {
namespace {

using google::protobuf::RepeatedPtrField;

void ReadList(TableReader& reader, std::string_view key, RepeatedPtrField<std::string>* to) {
  std::vector<std::string> texts;
  reader.Texts(key, &texts);
  to->Assign(texts.begin(), texts.end());
}

void ReadMediaKinds(TableReader& reader, std::string_view key, v1::Filter* filter) {
  std::vector<std::string> names;
  reader.Texts(key, &names);
  for (const std::string& name : names) {
    v1::MediaKind kind = v1::MEDIA_KIND_UNSPECIFIED;
    if (!v1::MediaKind_Parse("MEDIA_KIND_" + absl::AsciiStrToUpper(name), &kind))
      return reader.Fail(key, "allowed are image, video, audio, text, smil and other");
    filter->add_media_kinds(kind);
  }
}

// What it points to is made where the key is there.
template <typename Mutable>
void ReadDuration(TableReader& reader, std::string_view key, Mutable to) {
  std::optional<int64_t> millis;
  reader.Millis(key, &millis);
  if (millis) *to() = broker::ToDuration(*millis * 1000);
}

void ReadStart(TableReader& reader, v1::StartPosition* start) {
  std::string text;
  reader.Text("start", &text);
  if (text == "earliest") {
    start->set_boundary(v1::BOUNDARY_EARLIEST);
  } else if (text == "latest") {
    start->set_boundary(v1::BOUNDARY_LATEST);
  } else if (text.empty()) {
    reader.Fail("start", "it is missing; give earliest, latest or a time");
  } else if (!google::protobuf::util::TimeUtil::FromString(text, start->mutable_accept_time())) {
    reader.Fail("start", "it must be earliest, latest or a time as RFC 3339 has it");
  }
}

absl::Status ReadSubscription(TableReader& reader, v1::Subscription* to) {
  v1::Filter& filter = *to->mutable_filter();
  reader.Text("name", to->mutable_name());
  ReadStart(reader, to->mutable_start_position());
  ReadList(reader, "recipients", filter.mutable_recipients());
  ReadList(reader, "senders", filter.mutable_senders());
  ReadList(reader, "keywords", filter.mutable_keywords());
  ReadList(reader, "operator-ids", filter.mutable_operator_ids());
  ReadList(reader, "endpoints", filter.mutable_endpoints());
  ReadMediaKinds(reader, "media-kinds", &filter);
  ReadDuration(reader, "ack-deadline", [to] { return to->mutable_ack_deadline(); });
  ReadDuration(reader, "min-backoff",
               [to] { return to->mutable_retry_policy()->mutable_minimum_backoff(); });
  ReadDuration(reader, "max-backoff",
               [to] { return to->mutable_retry_policy()->mutable_maximum_backoff(); });
  int max_attempts = 0, max_outstanding = 0;
  bool order_by_sender = false;
  reader.Integer("max-attempts", &max_attempts);
  reader.Integer("max-outstanding", &max_outstanding);
  reader.Boolean("order-by-sender", &order_by_sender);
  to->set_max_attempts(max_attempts);
  to->set_max_outstanding_messages(max_outstanding);
  to->set_order_by_sender(order_by_sender);
  ReadDuration(reader, "expiration-ttl", [to] { return to->mutable_expiration_ttl(); });
  if (auto status = reader.Finish("a subscription"); !status.ok()) return status;
  auto complete = broker::CompleteSubscription(*to);
  if (!complete.ok()) return reader.Wrong(MessageOf(complete.status()));
  *to = *std::move(complete);
  return absl::OkStatus();
}

toml::array ArrayOf(const RepeatedPtrField<std::string>& values) {
  return mmsmo::ArrayOf({values.begin(), values.end()});
}

toml::array MediaKindsOf(const v1::Filter& filter) {
  toml::array names;
  for (const int kind : filter.media_kinds()) {
    const std::string name = v1::MediaKind_Name(kind).substr(sizeof("MEDIA_KIND_") - 1);
    names.push_back(absl::AsciiStrToLower(name));
  }
  return names;
}

std::string TextOf(const google::protobuf::Duration& duration) {
  return fmt::format("{}ms", broker::MicrosOf(duration) / 1000);
}

std::string TextOf(const v1::StartPosition& start) {
  if (start.has_accept_time()) {
    return google::protobuf::util::TimeUtil::ToString(start.accept_time());
  }
  return start.boundary() == v1::BOUNDARY_LATEST ? "latest" : "earliest";
}

// What TableReader reads.
toml::table TableOf(const v1::Subscription& subscription) {
  const v1::Filter& filter = subscription.filter();
  toml::table table;
  table.insert("name", subscription.name());
  table.insert("start", TextOf(subscription.start_position()));
  table.insert("recipients", ArrayOf(filter.recipients()));
  table.insert("senders", ArrayOf(filter.senders()));
  table.insert("keywords", ArrayOf(filter.keywords()));
  table.insert("operator-ids", ArrayOf(filter.operator_ids()));
  table.insert("media-kinds", MediaKindsOf(filter));
  table.insert("endpoints", ArrayOf(filter.endpoints()));
  table.insert("ack-deadline", TextOf(subscription.ack_deadline()));
  table.insert("min-backoff", TextOf(subscription.retry_policy().minimum_backoff()));
  table.insert("max-backoff", TextOf(subscription.retry_policy().maximum_backoff()));
  table.insert("max-attempts", subscription.max_attempts());
  table.insert("max-outstanding", subscription.max_outstanding_messages());
  table.insert("order-by-sender", subscription.order_by_sender());
  if (subscription.has_expiration_ttl()) {
    table.insert("expiration-ttl", TextOf(subscription.expiration_ttl()));
  }
  return table;
}

}  // namespace

absl::StatusOr<std::vector<v1::Subscription>> ReadDeclaredSubscriptions(const std::string& file,
                                                                        const toml::table& root) {
  auto declared = ReadTables<v1::Subscription>(file, root, kSubscriptionTable, ReadSubscription);
  if (!declared.ok()) return declared;
  std::set<std::string_view> names;
  for (const v1::Subscription& one : *declared) {
    if (!names.insert(one.name()).second)
      return InvalidArgument("{}: subscription '{}': it is declared twice", file, one.name());
  }
  return declared;
}

std::string FormatDeclaredSubscriptions(const std::vector<v1::Subscription>& declared) {
  std::ostringstream out;
  for (const v1::Subscription& subscription : declared) {
    out << "\n[[" << kSubscriptionTable << "]]\n" << TableOf(subscription) << "\n";
  }
  return out.str();
}

absl::Status DeclareSubscriptions(const std::vector<v1::Subscription>& declared,
                                  broker::Subscriptions& subscriptions) {
  google::protobuf::FieldMask everything;
  everything.add_paths("*");
  // What cannot be is found before anything is changed.
  for (const v1::Subscription& wanted : declared) {
    const auto existing = subscriptions.Get(wanted.name());
    if (!existing.ok() || existing->order_by_sender() == wanted.order_by_sender()) continue;
    return FailedPrecondition(
        "subscription '{}': order-by-sender cannot be changed; delete it first", wanted.name());
  }
  for (const v1::Subscription& wanted : declared) {
    const bool is_there = subscriptions.Get(wanted.name()).ok();
    const auto act = std::make_shared<broker::Act>();
    act->record.set_peer("configuration");
    act->record.set_method(is_there ? "UpdateSubscription" : "CreateSubscription");
    act->record.set_subscription(wanted.name());
    const absl::Status status = is_there ? subscriptions.Update(wanted, everything, act).status()
                                         : subscriptions.Create(wanted, act).status();
    if (!status.ok()) {
      return MakeStatus(status.code(),
                        fmt::format("subscription '{}': {}", wanted.name(), MessageOf(status)));
    }
  }
  return absl::OkStatus();
}

}  // namespace mmsmo
