// The one writer of the log. Group commit without a linger timer: whatever arrives during one sync
// is the next group.

#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <thread>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "gateway/base/clock.h"
#include "gateway/base/metrics.h"
#include "gateway/broker/broker.h"
#include "gateway/embedded/audit/audit_log.h"
#include "gateway/embedded/log/commit_group.h"
#include "gateway/embedded/log/epochs.h"
#include "gateway/embedded/log/head_watch.h"
#include "gateway/embedded/log/id_index.h"
#include "gateway/embedded/log/log_reader.h"
#include "gateway/embedded/log/log_state.h"
#include "gateway/embedded/log/newest_events.h"
#include "gateway/embedded/log/retention.h"
#include "gateway/embedded/log/submission.h"
#include "gateway/embedded/quarantine/shelves.h"
#include "gateway/embedded/store/options.h"
#include "gateway/embedded/store/store.h"
#include "gateway/embedded/store/timeline.h"
#include "gateway/embedded/store/writer_watch.h"
#include "mutex.h"

namespace mmsmo::embedded {

// Thread-safe.
class Journal {
 public:
  // `store`, `audit`, `clock` and `metrics` must outlive the journal.
  static absl::StatusOr<std::unique_ptr<Journal>> Open(const Options& options, Store* store,
                                                       AuditLog* audit, const Clock& clock,
                                                       Metrics& metrics);
  // Commits what was appended.
  ~Journal();

  // As broker::Broker::Append.
  void Append(std::vector<broker::Entry> entries, broker::AppendDone done);

  // As broker::Quarantine::Discard.
  void Discard(std::vector<std::string> quarantine_ids, broker::DiscardDone done,
               const broker::ActPtr& act);

  // Unavailable while the writer waits for the disk for too long.
  absl::Status CheckWriter() const { return watch_.Check(); }

  // OK while writes succeed. After a failed one, every append fails until the store has been proven
  // good again.
  absl::Status Ready() const;

  // Whoever else writes to the store says that a write of theirs failed: the journal is not ready
  // until the store has been proven good again, which begins within a second.
  void ReportFailedWrite(const absl::Status& why);

  // Now, in microseconds of the log's life: an age is a difference of two. It goes on while the
  // process is off, and forward, by the time the machine was off, a minute after a boot.
  int64_t AgeMicros() const { return clock_.BootMicros() + age_lead_; }

  // True once RocksDB refuses every write, although the disk takes them again, until it is opened
  // anew.
  bool NeedsReopening() const { return needs_reopening_; }

  // What readers may read: [oldest(), head().head()].
  HeadWatch& head() { return head_; }
  const HeadWatch& head() const { return head_; }
  uint64_t oldest() const { return oldest_.load(std::memory_order_acquire); }
  const Epochs& epochs() const { return epochs_; }
  const NewestEvents& newest() const { return newest_; }
  const LogReader& reader() const { return reader_; }

  broker::LogStats Stats() const;

 private:
  Journal(const Options& options, Store* store, AuditLog* audit, const Clock& clock,
          Metrics& metrics);
  absl::Status Load();

  // The writer thread.
  void Run();
  std::vector<Submission> TakeGroup();
  void Submit(Submission submission);
  void Commit(std::vector<Submission> group);
  absl::Status Write(rocksdb::WriteBatch* batch);
  void PublishGroup(const CommitGroup& group);
  void TryToRecover();
  void RemoveOld();
  void UpdateTime();
  void SaveTime(rocksdb::WriteBatch* batch);
  void UpdateGauges();

  const Options options_;
  Store* const store_;
  AuditLog* const audit_;
  const Clock& clock_;
  const LogReader reader_;

  prometheus::Histogram& commit_seconds_;
  prometheus::Histogram& group_size_;
  prometheus::Counter& failed_commits_;

  // The writer thread's own.
  LogState state_;
  std::unique_ptr<IdIndex> ids_;
  std::unique_ptr<QuarantineShelves> quarantine_;
  std::unique_ptr<Timeline> timeline_;
  std::optional<int64_t> time_saved_at_;  // by the boot's clock
  std::chrono::steady_clock::time_point next_housekeeping_;
  Retention retention_;

  WriterWatch watch_;
  Epochs epochs_;
  HeadWatch head_;
  std::atomic<uint64_t> oldest_{1};
  std::atomic<int64_t> age_lead_{0};  // of the log's life over the boot's clock
  std::atomic<bool> needs_reopening_{false};
  NewestEvents newest_;

  mutable Mutex mu_;
  CondVar appended_;
  bool stopping_ ABSL_GUARDED_BY(mu_) = false;
  std::vector<Submission> pending_ ABSL_GUARDED_BY(mu_);
  absl::Status poison_ ABSL_GUARDED_BY(mu_);
  uint64_t failures_ ABSL_GUARDED_BY(mu_) = 0;  // so that recovery sees one that comes meanwhile
  broker::LogStats stats_ ABSL_GUARDED_BY(mu_);

  std::thread writer_;
};

}  // namespace mmsmo::embedded
