// The writing side of the quarantine, within three budgets, so that noise cannot push out messages:
// the postbacks answered 4xx and those of another kind make room for newer ones; those answered 200
// leave by age only.

#pragma once

#include <rocksdb/write_batch.h>

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "absl/container/flat_hash_set.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "gateway/embedded/quarantine/schema.h"
#include "gateway/embedded/store/options.h"
#include "gateway/embedded/store/store.h"

namespace mmsmo::embedded {

// For one thread, and for one batch at a time: what was put into a batch counts at once. Written()
// says that the batch is in the store; one that could not be written leaves the shelves unusable.
class QuarantineShelves {
 public:
  // A postback that is there.
  struct Held {
    Place place;
    AgeStamp age;
    uint64_t body_bytes = 0;
  };

  static absl::StatusOr<std::unique_ptr<QuarantineShelves>> Open(Store* store,
                                                                 const Options& options);

  // Puts a postback onto the shelf with the batch, and returns its id; sets postback.id and
  // body_bytes.
  // ResourceExhausted with reason "quarantine_full" when it may not push out others.
  absl::StatusOr<std::string> Add(Shelf shelf, v1::QuarantinedPostback postback,
                                  const std::string& body, const AgeStamp& age,
                                  rocksdb::WriteBatch* batch);

  // Nothing for an unknown id, and for one that the batch removes already.
  absl::StatusOr<std::optional<Held>> Find(std::string_view id) const;
  // Puts its removal into the batch.
  void Remove(const Held& held, rocksdb::WriteBatch* batch);

  // Puts the removal of what is older than that into the batch.
  absl::Status RemoveOlder(int64_t micros, const Timeline& timeline, rocksdb::WriteBatch* batch);

  void Written();

  const ShelfState& state(Shelf shelf) const { return states_[static_cast<size_t>(shelf)]; }

 private:
  using Numbers = absl::flat_hash_set<uint64_t>;

  QuarantineShelves(Store* store, const Options& options);
  ShelfState& mutable_state(Shelf shelf) { return states_[static_cast<size_t>(shelf)]; }
  const Numbers& removed(Shelf shelf) const { return removed_[static_cast<size_t>(shelf)]; }
  bool HasRoom(Shelf shelf, size_t body_bytes) const;
  // nullopt where the store has none that the batch leaves there.
  absl::StatusOr<std::optional<Held>> Oldest(Shelf shelf) const;
  void Drop(const Held& held, rocksdb::WriteBatch* batch);

  Store* const store_;
  const uint64_t opening_;
  const std::array<QuarantineBudget, kShelves.size()> budgets_;
  std::array<ShelfState, kShelves.size()> states_;
  std::array<Numbers, kShelves.size()> removed_;  // by the batch, so that the store still has them
};

}  // namespace mmsmo::embedded
