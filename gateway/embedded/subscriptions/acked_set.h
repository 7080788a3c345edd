// Which events of a subscription are done with: everything up to a floor, and single ones above it,
// a bit each.

#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <string_view>
#include <vector>

#include "absl/container/btree_map.h"
#include "absl/container/btree_set.h"

namespace mmsmo::embedded {

// Not thread-safe. Bits are kept in blocks, so that what changed can be written to the store
// without writing everything.
class AckedSet {
 public:
  static constexpr uint64_t kBlockEvents = 4096;
  using Words = std::array<uint64_t, kBlockEvents / 64>;

  explicit AckedSet(uint64_t floor = 0) : floor_(floor) {}

  // The last of those that are all done with, from the beginning of the log on.
  uint64_t floor() const { return floor_; }
  // The last event that is done with.
  uint64_t last() const;
  // How many above the floor are done with.
  uint64_t count_above() const { return count_above_; }
  bool Contains(uint64_t sequence) const;

  // Returns whether it was not there yet.
  bool Add(uint64_t sequence);
  // Adds everything up to `sequence`; returns how many of those were not there yet.
  uint64_t AddThrough(uint64_t sequence);

  // What has changed since the last call: blocks to be written and blocks to be forgotten.
  struct Changes {
    std::vector<uint64_t> written;
    std::vector<uint64_t> removed;
  };
  Changes TakeChanges();
  // Takes all blocks for changed, after a write that failed.
  void MarkChanged();
  // The bits of a block among Changes::written.
  const Words& words(uint64_t block) const { return *blocks_.at(block); }
  // Forgets everything behind `head`.
  void CutTo(uint64_t head);
  // A block as it was written; only before anything is added.
  void Restore(uint64_t block, const Words& words);

 private:
  void RaiseFloor(uint64_t floor);

  uint64_t floor_;
  uint64_t count_above_ = 0;
  absl::btree_map<uint64_t, std::unique_ptr<Words>> blocks_;
  absl::btree_set<uint64_t> changed_;
  std::vector<uint64_t> removed_;
};

}  // namespace mmsmo::embedded
