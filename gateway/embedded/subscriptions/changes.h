// What a subscription's memory has and the store does not have yet.

#pragma once

#include <rocksdb/write_batch.h>

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "gateway/base/clock.h"
#include "gateway/embedded/subscriptions/acked_set.h"
#include "gateway/embedded/subscriptions/schema.h"
#include "gateway/embedded/subscriptions/subscription_state.h"

namespace mmsmo::embedded {

struct SubscriptionChanges {
  std::optional<SubscriptionHeader> header;
  std::optional<SubscriptionProgress> progress;
  std::vector<std::pair<uint64_t, AckedSet::Words>> blocks;
  std::vector<uint64_t> removed_blocks;
  std::vector<SubscriptionState::Settled> settled;
  std::vector<SubscriptionState::Failed> failed;
  std::map<uint64_t, std::string> dead_letters;
  std::set<uint64_t> removed_dead_letters;
  uint64_t forget_before = 0;  // records of attempts before this event

  bool empty() const;
  // Takes in what came about before, and could not be written. Header, progress and blocks of
  // acknowledgements are not taken in: they are given again as they are then.
  void MergeOlder(SubscriptionChanges older);
  void Put(SubscriptionId id, const SubscriptionRecords& records, const Clock& clock,
           rocksdb::WriteBatch* batch) const;
};

}  // namespace mmsmo::embedded
