#include "gateway/broker/filter.h"

#include "gateway/base/status.h"
#include "gateway/broker/address.h"
#include "gateway/broker/keyword.h"

namespace mmsmo::broker {
namespace {

// What `key` makes of each value.
template <typename Key>
absl::flat_hash_set<std::string> KeysOf(
    const google::protobuf::RepeatedPtrField<std::string>& values, Key key) {
  absl::flat_hash_set<std::string> keys;
  for (const auto& value : values) keys.insert(key(value));
  return keys;
}

}  // namespace

EventFilter::EventFilter(const v1::Filter& filter)
    : matches_all_(filter.recipients().empty() && filter.keywords().empty() &&
                   filter.senders().empty() && filter.operator_ids().empty() &&
                   filter.media_kinds().empty() && filter.endpoints().empty()),
      recipients_(KeysOf(filter.recipients(), AddressKey)),
      keywords_(KeysOf(filter.keywords(), FoldKeyword)),
      senders_(KeysOf(filter.senders(), AddressKey)),
      operator_ids_(filter.operator_ids().begin(), filter.operator_ids().end()),
      media_kinds_(filter.media_kinds().begin(), filter.media_kinds().end()),
      endpoints_(filter.endpoints().begin(), filter.endpoints().end()) {}

absl::Status EventFilter::Validate(std::string_view path, const v1::Filter& filter) {
  v1::Filter known = filter;
  known.DiscardUnknownFields();
  if (known.ByteSizeLong() != filter.ByteSizeLong()) {
    return InvalidArgument("{}: it has a field that this gateway does not know", path);
  }
  const auto check_size = [path](std::string_view field, int size) {
    return size <= kMaxValues ? absl::OkStatus()
                              : InvalidArgument("{}.{}: {} values, at most {} are allowed", path,
                                                field, size, kMaxValues);
  };
  for (const auto& status : {check_size("recipients", filter.recipients_size()),
                             check_size("keywords", filter.keywords_size()),
                             check_size("senders", filter.senders_size()),
                             check_size("operator_ids", filter.operator_ids_size()),
                             check_size("media_kinds", filter.media_kinds_size()),
                             check_size("endpoints", filter.endpoints_size())}) {
    if (!status.ok()) return status;
  }
  for (const int kind : filter.media_kinds()) {
    if (!v1::MediaKind_IsValid(kind))
      return InvalidArgument("{}.media_kinds: {} is not a MediaKind", path, kind);
  }
  return absl::OkStatus();
}

bool EventFilter::MatchesAddress(const Values& wanted, const v1::Address& address) {
  return wanted.contains(AddressKey(address.value())) || wanted.contains(PersonKey(address));
}

bool EventFilter::Matches(const v1::Event& event) const {
  if (matches_all_) return true;
  if (!endpoints_.empty() && !endpoints_.contains(event.endpoint())) return false;
  const v1::MmsMo& message = event.mms_mo();
  if (!recipients_.empty() && !MatchesAddress(recipients_, message.recipient())) return false;
  if (!senders_.empty() && !MatchesAddress(senders_, message.sender())) return false;
  if (!keywords_.empty() && !keywords_.contains(FoldKeyword(message.keyword()))) return false;
  if (!operator_ids_.empty() && !operator_ids_.contains(message.operator_id())) return false;
  if (media_kinds_.empty()) return true;
  for (const auto& media : message.media()) {
    if (media_kinds_.contains(media.kind())) return true;
  }
  return false;
}

absl::StatusOr<bool> EventFilter::MatchesSerialised(std::string_view event) const {
  if (matches_all_) return true;
  v1::Event parsed;
  if (!parsed.ParseFromArray(event.data(), static_cast<int>(event.size()))) {
    return DataLoss("an event cannot be read");
  }
  return Matches(parsed);
}

}  // namespace mmsmo::broker
