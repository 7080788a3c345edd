// What becomes durable with one sync: the records, the receipts and the ids of one group of
// appends.

#pragma once

#include <rocksdb/write_batch.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/statusor.h"
#include "gateway/broker/broker.h"
#include "gateway/embedded/log/epochs.h"
#include "gateway/embedded/log/id_index.h"
#include "gateway/embedded/log/log_reader.h"
#include "gateway/embedded/log/log_state.h"
#include "gateway/embedded/log/newest_events.h"
#include "gateway/embedded/log/schema.h"
#include "gateway/embedded/quarantine/shelves.h"
#include "gateway/embedded/store/store.h"

namespace mmsmo::embedded {

// What is to be staged: how many entries, and the bytes of their events and bodies.
struct CommitSize {
  size_t entries = 0;
  size_t event_bytes = 0;
  size_t body_bytes = 0;
};

// Made for one group and thrown away; for one thread.
class CommitGroup {
 public:
  struct Parts {
    Store* store;
    IdIndex* ids;
    const LogReader* reader;
    const Epochs* epochs;
    QuarantineShelves* quarantine;
    bool keep_raw;
  };

  // Takes memory for `size` at once. `keys` are those of all entries with an event that will be
  // staged. What is staged is accepted at `accept_micros`, which is not before
  // `state.accept_micros`.
  CommitGroup(const Parts& parts, const CommitSize& size, const std::vector<PostbackKey>& keys,
              const LogState& state, int64_t accept_micros, const AgeStamp& age);

  // Decides what becomes of an entry. The receipt holds once the batch is written.
  absl::StatusOr<broker::Receipt> Stage(broker::Entry entry);

  // Whether there was such a quarantined postback, which is removed.
  absl::StatusOr<bool> Discard(std::string_view quarantine_id, const broker::ActPtr& act);

  // Whose doing it is, and of how many things: to be recorded.
  const std::vector<std::pair<broker::ActPtr, int64_t>>& acts() const { return acts_; }

  rocksdb::WriteBatch& batch() { return batch_; }
  const LogState& state() const { return state_; }
  // The group's new events, framed; and their ids.
  std::shared_ptr<const EventRun> run() const { return run_; }
  const std::vector<std::pair<PostbackKey, uint64_t>>& new_ids() const { return new_ids_; }

 private:
  // An event, as far as a repetition of it has to know it; sequence 0 is none.
  struct Known {
    uint64_t sequence = 0;
    broker::ContentId content{};
    uint64_t previous = 0;
  };

  // An event of an earlier version that an entry repeats, or is in conflict with; or none.
  struct EarlierEvent {
    uint64_t sequence = 0;
    bool is_same = false;
  };

  absl::StatusOr<broker::Receipt> Publish(const broker::Entry& entry, uint64_t previous);
  broker::Receipt Duplicate(uint64_t sequence) const;
  absl::StatusOr<broker::Receipt> Keep(broker::Entry entry);
  void CountFor(const broker::ActPtr& act);
  // The retained event of that number and that postback.
  absl::StatusOr<Known> Look(uint64_t sequence, const PostbackKey& key) const;
  // The newest retained event of a postback, in this group or before it.
  absl::StatusOr<Known> FindNewest(const PostbackKey& key) const;
  // The one of that content, from `newest` back.
  absl::StatusOr<Known> FindSame(const Known& newest, const PostbackKey& key,
                                 const broker::ContentId& content) const;
  absl::StatusOr<EarlierEvent> FindEarlier(const broker::Entry& entry) const;
  std::string CursorOf(uint64_t sequence) const;

  const Parts parts_;
  const int64_t accept_micros_;
  const AgeStamp age_;
  LogState state_;
  rocksdb::WriteBatch batch_;
  std::shared_ptr<EventRun> run_;
  // Of each key the newest event, in this group or before it.
  absl::flat_hash_map<PostbackKey, absl::StatusOr<std::optional<uint64_t>>> newest_;
  std::vector<Known> published_;
  std::vector<std::pair<PostbackKey, uint64_t>> new_ids_;
  std::vector<std::pair<broker::ActPtr, int64_t>> acts_;
  v1::Event prefix_;
  std::string prefix_bytes_;
  std::string record_;
};

}  // namespace mmsmo::embedded
