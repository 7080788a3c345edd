// The records of what was changed, in the store.

#pragma once

#include <rocksdb/write_batch.h>

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "gateway/base/clock.h"
#include "gateway/broker/audit.h"
#include "gateway/embedded/store/options.h"
#include "gateway/embedded/store/store.h"

namespace mmsmo::embedded {

// Thread-safe; each act is one thread's at a time.
class AuditLog final : public broker::Audit {
 public:
  // Both must outlive it.
  static absl::StatusOr<std::unique_ptr<AuditLog>> Open(const Options& options, Store* store,
                                                        const Clock& clock);

  // Puts the act's record into the batch of a change that it makes, of `count` more things. It has
  // one, whatever the number of batches. Nothing for a null one. `age_micros` as
  // Journal::AgeMicros.
  void Put(const broker::ActPtr& act, int64_t count, int64_t age_micros,
           rocksdb::WriteBatch* batch);
  // That batch is written.
  static void Log(const broker::ActPtr& act);

  // Removes the oldest beyond the limits, as a write of its own. For one thread.
  absl::Status RemoveOld(int64_t age_micros);

  absl::StatusOr<v1::ListAuditRecordsResponse> List(int page_size,
                                                    const std::string& page_token) override;

 private:
  AuditLog(const Options& options, Store* store, const Clock& clock)
      : age_limit_micros_(options.audit_age_micros),
        bytes_limit_(options.audit_bytes),
        store_(store),
        clock_(clock) {}
  absl::Status Load();

  const int64_t age_limit_micros_;
  const uint64_t bytes_limit_;
  Store* const store_;
  const Clock& clock_;
  std::atomic<uint64_t> first_{1};
  std::atomic<uint64_t> next_{1};
  std::atomic<uint64_t> bytes_{0};
};

}  // namespace mmsmo::embedded
