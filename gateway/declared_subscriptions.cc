#include "gateway/declared_subscriptions.h"

#include <google/protobuf/util/time_util.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cctype>
#include <limits>
#include <optional>
#include <sstream>

#include "absl/strings/ascii.h"
#include "gateway/base/status.h"
#include "gateway/broker/proto_time.h"
#include "gateway/broker/subscription_settings.h"

namespace mmsmo {
namespace {

using google::protobuf::RepeatedPtrField;

// Reads one table; the first error stays.
class TableReader {
 public:
  TableReader(const toml::table& table, std::string where)
      : table_(table), where_(std::move(where)) {}

  absl::StatusOr<v1::Subscription> Read() {
    v1::Subscription subscription;
    for (const auto& [key, value] : table_) {
      if (!ReadKey(std::string(key.str()), value, &subscription)) {
        Fail(key.str(), "it is not a setting of a subscription");
      }
    }
    if (!status_.ok()) return status_;
    if (subscription.start_position().position_case() == v1::StartPosition::POSITION_NOT_SET) {
      return Wrong("start", "it is missing; give earliest, latest or a time");
    }
    auto complete = broker::CompleteSubscription(subscription);
    if (!complete.ok()) return InvalidArgument("{}: {}", where_, MessageOf(complete.status()));
    return complete;
  }

 private:
  // False for an unknown key.
  bool ReadKey(const std::string& key, const toml::node& value, v1::Subscription* to) {
    v1::Filter& filter = *to->mutable_filter();
    if (key == "name") {
      to->set_name(Text(key, value));
    } else if (key == "start") {
      ReadStart(Text(key, value), to->mutable_start_position());
    } else if (key == "recipients") {
      ReadList(key, value, filter.mutable_recipients());
    } else if (key == "senders") {
      ReadList(key, value, filter.mutable_senders());
    } else if (key == "keywords") {
      ReadList(key, value, filter.mutable_keywords());
    } else if (key == "operator-ids") {
      ReadList(key, value, filter.mutable_operator_ids());
    } else if (key == "endpoints") {
      ReadList(key, value, filter.mutable_endpoints());
    } else if (key == "media-kinds") {
      ReadMediaKinds(key, value, &filter);
    } else if (key == "ack-deadline") {
      ReadDuration(key, value, to->mutable_ack_deadline());
    } else if (key == "min-backoff") {
      ReadDuration(key, value, to->mutable_retry_policy()->mutable_minimum_backoff());
    } else if (key == "max-backoff") {
      ReadDuration(key, value, to->mutable_retry_policy()->mutable_maximum_backoff());
    } else if (key == "max-attempts") {
      to->set_max_attempts(Number(key, value));
    } else if (key == "max-outstanding") {
      to->set_max_outstanding_messages(Number(key, value));
    } else if (key == "order-by-sender") {
      if (!value.is_boolean()) Fail(key, "it must be true or false");
      to->set_order_by_sender(value.value_or(false));
    } else if (key == "expiration-ttl") {
      ReadDuration(key, value, to->mutable_expiration_ttl());
    } else {
      return false;
    }
    return true;
  }

  absl::Status Wrong(std::string_view key, std::string_view why) const {
    return InvalidArgument("{}: {}: {}", where_, key, why);
  }
  void Fail(std::string_view key, std::string_view why) {
    if (status_.ok()) status_ = Wrong(key, why);
  }

  std::string Text(std::string_view key, const toml::node& value) {
    if (!value.is_string()) Fail(key, "it must be a string");
    return value.value_or(std::string());
  }
  int Number(std::string_view key, const toml::node& value) {
    const std::optional<int> number = value.is_integer() ? value.value<int>() : std::nullopt;
    if (!number) Fail(key, "it must be an integer in range");
    return number.value_or(0);
  }
  void ReadList(std::string_view key, const toml::node& value, RepeatedPtrField<std::string>* to) {
    if (!value.is_array()) return Fail(key, "it must be an array of strings");
    for (const toml::node& one : *value.as_array()) to->Add(Text(key, one));
  }
  void ReadMediaKinds(std::string_view key, const toml::node& value, v1::Filter* filter) {
    RepeatedPtrField<std::string> names;
    ReadList(key, value, &names);
    for (std::string name : names) {
      std::transform(name.begin(), name.end(), name.begin(),
                     [](unsigned char c) { return static_cast<char>(std::toupper(c)); });
      v1::MediaKind kind = v1::MEDIA_KIND_UNSPECIFIED;
      if (!v1::MediaKind_Parse("MEDIA_KIND_" + name, &kind)) {
        return Fail(key, "allowed are image, video, audio, text, smil and other");
      }
      filter->add_media_kinds(kind);
    }
  }
  void ReadDuration(std::string_view key, const toml::node& value, google::protobuf::Duration* to) {
    const std::optional<int64_t> millis = MillisOf(Text(key, value));
    if (!millis) return Fail(key, "it must be a time such as \"30s\" or \"7d\"");
    *to = broker::ToDuration(*millis * 1000);
  }
  static std::optional<int64_t> MillisOf(std::string text) {
    static const CLI::AsNumberWithUnit kToMillis(DurationUnits(),
                                                 CLI::AsNumberWithUnit::UNIT_REQUIRED, "DURATION");
    constexpr int64_t kLongest = std::numeric_limits<int64_t>::max() / 1000;
    int64_t millis = 0;
    try {
      if (!kToMillis(text).empty() || !CLI::detail::lexical_cast(text, millis)) return std::nullopt;
    } catch (const CLI::ValidationError&) {
      return std::nullopt;
    }
    if (millis < -kLongest || millis > kLongest) return std::nullopt;
    return millis;
  }
  void ReadStart(const std::string& text, v1::StartPosition* start) {
    if (text == "earliest") {
      start->set_boundary(v1::BOUNDARY_EARLIEST);
    } else if (text == "latest") {
      start->set_boundary(v1::BOUNDARY_LATEST);
    } else if (!google::protobuf::util::TimeUtil::FromString(text, start->mutable_accept_time())) {
      Fail("start", "it must be earliest, latest or a time as RFC 3339 has it");
    }
  }

  const toml::table& table_;
  const std::string where_;
  absl::Status status_;
};

toml::array ArrayOf(const RepeatedPtrField<std::string>& values) {
  toml::array array;
  for (const std::string& value : values) array.push_back(value);
  return array;
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

const std::map<std::string, int64_t>& DurationUnits() {
  static const std::map<std::string, int64_t> kUnits = {
      {"ms", 1}, {"s", 1'000}, {"m", 60'000}, {"h", 3'600'000}, {"d", 86'400'000}};
  return kUnits;
}

absl::StatusOr<std::vector<v1::Subscription>> ReadDeclaredSubscriptions(const std::string& file,
                                                                        const toml::table& root) {
  std::vector<v1::Subscription> declared;
  const toml::node* const tables = root.get(kSubscriptionTable);
  if (tables == nullptr) return declared;
  if (!tables->is_array_of_tables()) {
    return InvalidArgument("{}: {}: write it as [[subscription]]", file, kSubscriptionTable);
  }
  for (const toml::node& node : *tables->as_array()) {
    const toml::table& table = *node.as_table();
    auto subscription =
        TableReader(table, fmt::format("{}: subscription '{}'", file,
                                       table["name"].value_or(std::string_view("?"))))
            .Read();
    if (!subscription.ok()) return subscription.status();
    for (const v1::Subscription& other : declared) {
      if (other.name() == subscription->name()) {
        return InvalidArgument("{}: subscription '{}': it is declared twice", file, other.name());
      }
    }
    declared.push_back(*std::move(subscription));
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
  for (const v1::Subscription& wanted : declared) {
    auto existing = subscriptions.Get(wanted.name());
    absl::Status status;
    if (!existing.ok()) {
      status = subscriptions.Create(wanted).status();
    } else if (existing->order_by_sender() != wanted.order_by_sender()) {
      status = FailedPrecondition("order-by-sender cannot be changed; delete it first");
    } else {
      status = subscriptions.Update(wanted, everything).status();
    }
    if (!status.ok()) {
      return MakeStatus(status.code(),
                        fmt::format("subscription '{}': {}", wanted.name(), MessageOf(status)));
    }
  }
  return absl::OkStatus();
}

}  // namespace mmsmo
