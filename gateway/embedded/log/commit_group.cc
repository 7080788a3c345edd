#include "gateway/embedded/log/commit_group.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "gateway/base/phone_number.h"
#include "gateway/base/status.h"
#include "gateway/broker/proto_time.h"
#include "gateway/embedded/log/cursor.h"
#include "gateway/embedded/store/big_endian.h"

namespace mmsmo::embedded {
namespace {

using broker::Entry;
using broker::Receipt;

// Room for the cursor and the time in an event, and for what else the batch has of an entry.
constexpr size_t kBesideEvent = 64;
constexpr size_t kBesideRecord = 192;

// A header's bytes need not be UTF-8, a protobuf string's must.
std::string Printable(std::string text) {
  std::replace_if(
      text.begin(), text.end(), [](char c) { return c != '\t' && (c < ' ' || c > '~'); }, '?');
  return text;
}

absl::StatusOr<bool> SameRecipient(std::string_view event, std::string_view other) {
  std::string keys[2];
  for (const auto& [bytes, key] : {std::pair{event, &keys[0]}, {other, &keys[1]}}) {
    v1::Event parsed;
    if (!parsed.ParseFromArray(bytes.data(), static_cast<int>(bytes.size())))
      return DataLoss("an event of {} bytes cannot be parsed", bytes.size());
    *key = AddressKey(parsed.mms_mo().recipient().value());
  }
  return keys[0] == keys[1];
}

}  // namespace

CommitGroup::CommitGroup(const Parts& parts, const CommitSize& size,
                         const std::vector<PostbackKey>& keys, const LogState& state,
                         int64_t accept_micros, const AgeStamp& age)
    : parts_(parts),
      accept_micros_(accept_micros),
      age_(age),
      state_(state),
      batch_(size.entries * (kBesideEvent + kBesideRecord) + size.event_bytes + size.body_bytes),
      run_(std::make_shared<EventRun>(state.head + 1)) {
  *prefix_.mutable_accept_time() = broker::ToTimestamp(accept_micros_);
  run_->Reserve(size.entries, size.entries * kBesideEvent + size.event_bytes);
  auto found = parts_.ids->FindAll(keys);
  newest_.reserve(keys.size());
  for (size_t i = 0; i < keys.size(); ++i) newest_.emplace(keys[i], std::move(found[i]));
}

// Those of one act follow each other.
void CommitGroup::CountFor(const broker::ActPtr& act) {
  if (act == nullptr) return;
  if (acts_.empty() || acts_.back().first != act) acts_.emplace_back(act, 0);
  ++acts_.back().second;
}

absl::StatusOr<bool> CommitGroup::Discard(std::string_view quarantine_id,
                                          const broker::ActPtr& act) {
  auto held = parts_.quarantine->Find(quarantine_id);
  if (!held.ok()) return held.status();
  if (held->has_value()) {
    parts_.quarantine->Remove(**held, &batch_);
    CountFor(act);
  }
  return held->has_value();
}

absl::StatusOr<Receipt> CommitGroup::Stage(Entry entry) {
  if (entry.event.empty()) return Keep(std::move(entry));
  const PostbackKey& key = entry.key;
  auto newest = FindNewest(key);
  if (!newest.ok()) return newest.status();
  auto same = FindSame(*newest, key, entry.content);
  if (!same.ok()) return same.status();
  if (same->sequence != 0) return Duplicate(same->sequence);
  auto earlier = FindEarlier(entry);
  if (!earlier.ok()) return earlier.status();
  if (earlier->is_same) return Duplicate(earlier->sequence);
  const uint64_t in_conflict = newest->sequence != 0 ? newest->sequence : earlier->sequence;
  if (in_conflict == 0 || entry.publish_conflict) return Publish(entry, newest->sequence);
  return Receipt{.outcome = Receipt::Outcome::kConflict,
                 .cursor = CursorOf(in_conflict),
                 .entry = std::make_shared<Entry>(std::move(entry))};
}

absl::StatusOr<CommitGroup::Known> CommitGroup::Look(uint64_t sequence,
                                                     const PostbackKey& key) const {
  if (sequence < state_.oldest || sequence > state_.head) return Known{};
  if (sequence >= run_->first()) return published_[sequence - run_->first()];
  auto header = parts_.reader->Header(sequence);
  if (absl::IsNotFound(header.status())) return Known{};
  if (!header.ok()) return header.status();
  // The index may hold ids of what has been cut from the log since.
  if (header->key != key) return Known{};
  return Known{.sequence = sequence, .content = header->content, .previous = header->previous};
}

absl::StatusOr<CommitGroup::Known> CommitGroup::FindNewest(const PostbackKey& key) const {
  const auto& sequence = newest_.at(key);
  if (!sequence.ok()) return sequence.status();
  return Look(sequence->value_or(0), key);
}

absl::StatusOr<CommitGroup::Known> CommitGroup::FindSame(const Known& newest,
                                                         const PostbackKey& key,
                                                         const broker::ContentId& content) const {
  absl::StatusOr<Known> known = newest;
  while (known.ok() && known->sequence != 0 && known->content != content)
    known = Look(known->previous, key);
  return known;
}

absl::StatusOr<CommitGroup::EarlierEvent> CommitGroup::FindEarlier(const Entry& entry) const {
  EarlierEvent found;
  if (state_.last_earlier < state_.oldest || entry.earlier_content[0] == 0) return found;
  const PostbackKey& key = entry.earlier_key;
  auto sequence = parts_.ids->Find(key);
  if (!sequence.ok()) return sequence.status();
  auto event = Look(sequence->value_or(0), key);
  while (event.ok() && event->sequence != 0) {
    if (event->content == entry.earlier_content)
      return EarlierEvent{.sequence = event->sequence, .is_same = true};
    if (found.sequence == 0) {
      auto stored = parts_.reader->Event(event->sequence);
      if (!stored.ok()) return stored.status();
      auto same = SameRecipient(*stored, entry.event);
      if (!same.ok()) return same.status();
      if (*same) found.sequence = event->sequence;
    }
    event = Look(event->previous, key);
  }
  if (!event.ok()) return event.status();
  return found;
}

std::string CommitGroup::CursorOf(uint64_t sequence) const {
  const bool is_new = sequence >= run_->first();
  return EncodeCursor(is_new ? parts_.epochs->next() : parts_.epochs->Of(sequence), sequence);
}

absl::StatusOr<Receipt> CommitGroup::Publish(const Entry& entry, uint64_t previous) {
  const bool is_first = state_.head > 0 && state_.head == state_.last_earlier;
  if (is_first) PutLastEarlier(*parts_.store, state_, &batch_);
  const uint64_t sequence = state_.head + 1;
  const std::string sequence_key = BigEndian(sequence);
  Receipt receipt{.cursor = CursorOf(sequence)};
  prefix_.set_cursor(receipt.cursor);
  prefix_.SerializeToString(&prefix_bytes_);

  const std::string raw = parts_.keep_raw
                              ? EncodeRaw(entry.content_type, entry.content_encoding, entry.body)
                              : std::string();
  if (!raw.empty()) batch_.Put(parts_.store->raw(), sequence_key, raw);
  state_.log_bytes += prefix_bytes_.size() + entry.event.size() + raw.size();
  record_.clear();
  AppendRecord({.key = entry.key,
                .content = entry.content,
                .accept_micros = accept_micros_,
                .age = age_,
                .log_bytes = state_.log_bytes,
                .previous = previous},
               prefix_bytes_, entry.event, &record_);
  batch_.Put(parts_.store->events(), sequence_key, record_);

  run_->Append(DecodeRecord(record_)->event);
  newest_[entry.key] = sequence;
  published_.push_back({.sequence = sequence, .content = entry.content, .previous = previous});
  new_ids_.emplace_back(entry.key, sequence);
  CountFor(entry.act);
  state_.head = sequence;
  state_.accept_micros = accept_micros_;
  state_.age = age_;
  return receipt;
}

Receipt CommitGroup::Duplicate(uint64_t sequence) const {
  return {.outcome = Receipt::Outcome::kDuplicate, .cursor = CursorOf(sequence)};
}

absl::StatusOr<Receipt> CommitGroup::Keep(Entry entry) {
  v1::QuarantinedPostback postback;
  *postback.mutable_accept_time() = broker::ToTimestamp(accept_micros_);
  postback.set_endpoint(entry.endpoint);
  postback.set_reason(entry.reason);
  postback.set_detail(entry.detail);
  postback.set_content_type(Printable(std::move(entry.content_type)));
  postback.set_content_encoding(Printable(std::move(entry.content_encoding)));
  postback.set_trace_parent(entry.trace_parent);
  for (std::string& check : entry.verified_by) postback.add_verified_by(std::move(check));
  postback.set_http_status(entry.http_status);
  postback.set_tracking_id(entry.tracking_id);
  auto id = parts_.quarantine->Add(entry.shelf, std::move(postback), entry.body, age_, &batch_);
  if (!id.ok()) return id.status();
  return Receipt{.outcome = Receipt::Outcome::kQuarantined, .quarantine_id = *std::move(id)};
}

}  // namespace mmsmo::embedded
