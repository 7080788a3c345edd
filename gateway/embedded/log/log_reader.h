// Reading the log's records.

#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "gateway/broker/broker.h"
#include "gateway/embedded/log/schema.h"
#include "gateway/embedded/store/store.h"

namespace mmsmo::embedded {

// Thread-safe. Every method reads the disk; NotFound for what retention has removed or was never
// there.
class LogReader {
 public:
  explicit LogReader(Store* store) : store_(store) {}

  absl::StatusOr<RecordHeader> Header(uint64_t sequence) const;
  absl::StatusOr<std::string> Event(uint64_t sequence) const;
  absl::StatusOr<broker::RawPostback> Raw(uint64_t sequence) const;

  // The first event in [oldest, head] that was accepted at or after that time; head + 1 where there
  // is none.
  absl::StatusOr<uint64_t> FirstAcceptedAt(int64_t accept_micros, uint64_t oldest,
                                           uint64_t head) const;
  // The first in [oldest, head] for which `wanted` holds, which must not hold again and fail later;
  // head + 1 where there is none.
  using Wanted = std::function<bool(const RecordHeader&)>;
  absl::StatusOr<uint64_t> FirstWhere(uint64_t oldest, uint64_t head, const Wanted& wanted) const;

 private:
  absl::StatusOr<std::string> Read(rocksdb::ColumnFamilyHandle* family, uint64_t sequence) const;

  Store* const store_;
};

}  // namespace mmsmo::embedded
