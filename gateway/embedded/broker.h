// The engine for one machine: a log in RocksDB.

#pragma once

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "gateway/base/clock.h"
#include "gateway/base/metrics.h"
#include "gateway/broker/broker.h"
#include "gateway/embedded/journal.h"
#include "gateway/embedded/options.h"
#include "gateway/embedded/quarantine.h"
#include "gateway/embedded/store.h"

namespace mmsmo::embedded {

class EmbeddedBroker final : public broker::Broker {
 public:
  // Opens the data directory. Errors as Store::Open. `clock` and `metrics` must outlive the broker.
  static absl::StatusOr<std::unique_ptr<EmbeddedBroker>> Open(const Options& options,
                                                              const Clock& clock, Metrics& metrics);

  void Append(std::vector<broker::Entry> entries, broker::AppendDone done) override;
  absl::Status Ready() const override;
  absl::StatusOr<std::unique_ptr<broker::Feed>> OpenFeed(const v1::StartPosition& start,
                                                         const v1::Filter& filter) override;
  std::string EarliestCursor() const override;
  absl::StatusOr<std::string> GetEvent(std::string_view cursor) override;
  absl::StatusOr<broker::RawPostback> GetRawPostback(std::string_view cursor) override;
  broker::Quarantine& quarantine() override { return quarantine_; }
  broker::LogStats Stats() const override;

 private:
  EmbeddedBroker(std::unique_ptr<Store> store, std::unique_ptr<Journal> journal);

  // The sequence number of a retained event.
  absl::StatusOr<uint64_t> Locate(std::string_view field, std::string_view cursor) const;
  // The same of a position to read on from, which may be the one before the oldest event.
  absl::StatusOr<uint64_t> LocatePosition(std::string_view field, std::string_view cursor) const;
  absl::Status CursorExpired(std::string_view field, std::string_view why) const;

  const std::unique_ptr<Store> store_;
  const std::unique_ptr<Journal> journal_;  // destroyed before the store
  EmbeddedQuarantine quarantine_;
};

}  // namespace mmsmo::embedded
