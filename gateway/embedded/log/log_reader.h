// Reading the log's records.

#pragma once

#include <cstdint>
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
  // The first event in [oldest, head] that ends behind `log_bytes`; head + 1 where there is none.
  absl::StatusOr<uint64_t> FirstEndingBehind(uint64_t log_bytes, uint64_t oldest,
                                             uint64_t head) const;

 private:
  absl::StatusOr<std::string> Read(rocksdb::ColumnFamilyHandle* family, uint64_t sequence) const;
  // The first in [oldest, head] for which `wanted` holds, which must not hold again and fail later.
  template <typename Wanted>
  absl::StatusOr<uint64_t> FirstWhere(uint64_t oldest, uint64_t head, Wanted wanted) const;

  Store* const store_;
};

}  // namespace mmsmo::embedded
