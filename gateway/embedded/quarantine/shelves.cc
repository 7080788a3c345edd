#include "gateway/embedded/quarantine/shelves.h"

#include <utility>

#include "gateway/base/status.h"
#include "gateway/embedded/store/big_endian.h"
#include "gateway/embedded/store/random_id.h"

namespace mmsmo::embedded {
namespace {

// At most so many grow too old at once, so that appends do not wait for long.
constexpr int kMaxTooOld = 1000;

QuarantineShelves::Held HeldAt(const Place& place, const Quarantined& stored) {
  return {.place = place, .age = stored.age, .body_bytes = stored.content.body().size()};
}

}  // namespace

QuarantineShelves::QuarantineShelves(Store* store, const Options& options)
    : store_(store),
      opening_(RandomId()),
      budgets_{options.rejected_budget, options.not_mms_mo_budget, options.kept_budget} {}

absl::StatusOr<std::unique_ptr<QuarantineShelves>> QuarantineShelves::Open(Store* store,
                                                                           const Options& options) {
  std::unique_ptr<QuarantineShelves> shelves(new QuarantineShelves(store, options));
  for (const Shelf shelf : kShelves) {
    auto state = ReadShelfState(store, shelf);
    if (!state.ok()) return state.status();
    shelves->mutable_state(shelf) = *state;
  }
  return shelves;
}

bool QuarantineShelves::HasRoom(Shelf shelf, size_t body_bytes) const {
  const QuarantineBudget& budget = budgets_[static_cast<size_t>(shelf)];
  return state(shelf).count + 1 <= budget.count && state(shelf).bytes + body_bytes <= budget.bytes;
}

absl::StatusOr<std::string> QuarantineShelves::Add(Shelf shelf, v1::QuarantinedPostback postback,
                                                   const std::string& body, const AgeStamp& age,
                                                   rocksdb::WriteBatch* batch) {
  while (!HasRoom(shelf, body.size())) {
    if (shelf == Shelf::kKept) {
      return WithReason(
          MakeStatus(absl::StatusCode::kResourceExhausted,
                     "the quarantine is full; look through it and discard, or raise its budget"),
          "quarantine_full");
    }
    auto oldest = Oldest(shelf);
    if (!oldest.ok()) return oldest.status();
    // What this very batch has put there cannot be removed yet: over budget by a batch, until the
    // next one.
    if (!oldest->has_value()) break;
    Drop(**oldest, batch);
  }

  ShelfState& now = mutable_state(shelf);
  const Place place{.shelf = shelf, .number = now.next++};
  now.count += 1;
  now.bytes += body.size();
  std::string id = QuarantineId(place, opening_);
  postback.set_id(id);
  postback.set_body_bytes(static_cast<int64_t>(body.size()));
  Quarantined stored{.age = age};
  *stored.content.mutable_postback() = std::move(postback);
  stored.content.set_body(body);
  batch->Put(store_->quarantine(), QuarantineKey(place), EncodeQuarantined(stored));
  PutShelfState(*store_, shelf, now, batch);
  return id;
}

absl::StatusOr<std::optional<QuarantineShelves::Held>> QuarantineShelves::Find(
    std::string_view id) const {
  const std::optional<Place> place = ParseQuarantineId(id);
  if (!place || removed(place->shelf).contains(place->number)) return std::nullopt;
  std::string value;
  const rocksdb::Status status =
      store_->db().Get({}, store_->quarantine(), QuarantineKey(*place), &value);
  if (status.IsNotFound()) return std::nullopt;
  if (!status.ok()) return FromRocks(status, "reading the quarantine");
  auto stored = DecodeQuarantined(value);
  if (!stored.ok()) return stored.status();
  if (stored->content.postback().id() != id) return std::nullopt;
  return HeldAt(*place, *stored);
}

absl::StatusOr<std::optional<QuarantineShelves::Held>> QuarantineShelves::Oldest(
    Shelf shelf) const {
  const auto it = store_->Iterate(store_->quarantine());
  // From the lowest number on: what was removed before it still costs whoever passes over it.
  it->Seek(QuarantineKey({.shelf = shelf, .number = state(shelf).oldest}));
  for (; it->Valid() && it->key().starts_with(ShelfPrefix(shelf)); it->Next()) {
    const uint64_t number = LoadBigEndian64(View(it->key()).substr(1));
    if (removed(shelf).contains(number)) continue;
    auto stored = DecodeQuarantined(View(it->value()));
    if (!stored.ok()) return stored.status();
    return HeldAt({.shelf = shelf, .number = number}, *stored);
  }
  if (!it->status().ok()) return FromRocks(it->status(), "reading the quarantine");
  return std::nullopt;
}

void QuarantineShelves::Remove(const Held& held, rocksdb::WriteBatch* batch) {
  const auto [shelf, number] = held.place;
  batch->Delete(store_->quarantine(), QuarantineKey(held.place));
  removed_[static_cast<size_t>(shelf)].insert(number);
  ShelfState& now = mutable_state(shelf);
  if (number == now.oldest) now.oldest = number + 1;
  now.count -= 1;
  now.bytes -= held.body_bytes;
  PutShelfState(*store_, shelf, now, batch);
}

// Of the oldest one only.
void QuarantineShelves::Drop(const Held& held, rocksdb::WriteBatch* batch) {
  ShelfState& now = mutable_state(held.place.shelf);
  now.oldest = held.place.number;
  now.dropped += 1;
  Remove(held, batch);
}

absl::Status QuarantineShelves::RemoveOlder(int64_t micros, const Timeline& timeline,
                                            rocksdb::WriteBatch* batch) {
  for (const Shelf shelf : kShelves) {
    for (int dropped = 0; dropped < kMaxTooOld && state(shelf).count > 0; ++dropped) {
      auto oldest = Oldest(shelf);
      if (!oldest.ok()) return oldest.status();
      if (!oldest->has_value() || timeline.AgeOf((*oldest)->age) <= micros) break;
      Drop(**oldest, batch);
    }
  }
  return absl::OkStatus();
}

void QuarantineShelves::Written() {
  for (Numbers& numbers : removed_) numbers.clear();
}

}  // namespace mmsmo::embedded
