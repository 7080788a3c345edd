// The engine for one machine: a log in RocksDB.

#pragma once

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "gateway/base/clock.h"
#include "gateway/base/metrics.h"
#include "gateway/base/thread_pool.h"
#include "gateway/broker/broker.h"
#include "gateway/embedded/audit/audit_log.h"
#include "gateway/embedded/log/journal.h"
#include "gateway/embedded/log/positions.h"
#include "gateway/embedded/quarantine/quarantine.h"
#include "gateway/embedded/store/options.h"
#include "gateway/embedded/store/store.h"
#include "gateway/embedded/subscriptions/subscriptions.h"

namespace mmsmo::embedded {

class EmbeddedBroker final : public broker::Broker {
 public:
  // Opens the data directory. Errors as Store::Open. `clock` and `metrics` must outlive the broker.
  static absl::StatusOr<std::unique_ptr<EmbeddedBroker>> Open(const Options& options,
                                                              const Clock& clock, Metrics& metrics);

  // True once appends cannot succeed any more, although they could in a broker that is opened anew.
  bool NeedsReopening() const { return journal_->NeedsReopening(); }

  void Append(std::vector<broker::Entry> entries, broker::AppendDone done) override;
  absl::Status Ready() const override;
  void OpenFeed(const v1::StartPosition& start, const v1::Filter& filter,
                broker::OpenFeedDone done) override;
  std::string EarliestCursor() const override;
  absl::StatusOr<std::string> GetEvent(std::string_view cursor) override;
  absl::StatusOr<broker::RawPostback> GetRawPostback(std::string_view cursor) override;
  broker::Subscriptions& subscriptions() override { return *subscriptions_; }
  broker::Quarantine& quarantine() override { return quarantine_; }
  broker::Audit& audit() override { return *audit_; }
  broker::LogStats Stats() const override;

 private:
  EmbeddedBroker(std::unique_ptr<Store> store, std::unique_ptr<AuditLog> audit,
                 std::unique_ptr<Journal> journal);

  // Destroyed in the opposite order.
  const std::unique_ptr<Store> store_;
  const std::unique_ptr<AuditLog> audit_;
  const std::unique_ptr<Journal> journal_;
  const Positions positions_;
  std::unique_ptr<EmbeddedSubscriptions> subscriptions_;
  EmbeddedQuarantine quarantine_;
  ThreadPool openers_{1};  // of feeds whose start has to be looked for
};

}  // namespace mmsmo::embedded
