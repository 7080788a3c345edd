// Where the log stands, in memory and in the store.

#pragma once

#include <rocksdb/write_batch.h>

#include <cstdint>
#include <memory>

#include "absl/status/statusor.h"
#include "gateway/base/clock.h"
#include "gateway/embedded/log/log_reader.h"
#include "gateway/embedded/log/schema.h"
#include "gateway/embedded/store/store.h"
#include "gateway/embedded/store/timeline.h"

namespace mmsmo::embedded {

struct LogState {
  uint64_t oldest = 1;         // the first event that retention has left
  uint64_t head = 0;           // the last event; oldest - 1 where there is none
  int64_t accept_micros = 0;   // of the head, or of the last that was removed
  AgeStamp age;                // of the head; none where there is none
  uint64_t log_bytes = 0;      // as in RecordHeader, at the head
  uint64_t removed_bytes = 0;  // of log_bytes, what retention has removed
  // The last event whose key and content are of a version before broker::kContentVersion; 0 where
  // there has been none. Retention may have removed it.
  uint64_t last_earlier = 0;
};

// From the store alone.
absl::StatusOr<LogState> ReadLogState(Store* store, const LogReader& reader);

// Puts into the batch that `state` is the log's; `last_removed` is the event before its oldest.
void PutRemoved(const Store& store, const LogState& state, const RecordHeader& last_removed,
                rocksdb::WriteBatch* batch);

// Puts into the batch, with the first event after it, which one was the last of an earlier version.
void PutLastEarlier(const Store& store, const LogState& state, rocksdb::WriteBatch* batch);

// The time of a log that stands so; it goes on where the store's last says it did.
absl::StatusOr<std::unique_ptr<Timeline>> ReadTimeline(Store* store, const Clock& clock,
                                                       const LogState& state);
void PutTimeline(const Store& store, const Timeline& timeline, rocksdb::WriteBatch* batch);

}  // namespace mmsmo::embedded
