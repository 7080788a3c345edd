#pragma once

#include <cstdlib>

#include "gateway/base/status.h"
#include "gateway/broker/broker.h"

namespace mmsmo {

// A broker of which a test implements Append, and nothing else is asked.
class BrokerStub : public broker::Broker {
 public:
  absl::Status Ready() const override { return absl::OkStatus(); }
  void OpenFeed(const v1::StartPosition&, const v1::Filter&, broker::OpenFeedDone done) override {
    std::move(done)(NotFound("no feeds here"));
  }
  std::string EarliestCursor() const override { return ""; }
  absl::StatusOr<std::string> GetEvent(std::string_view) override { return NotFound("none"); }
  absl::StatusOr<broker::RawPostback> GetRawPostback(std::string_view) override {
    return NotFound("none");
  }
  broker::Subscriptions& subscriptions() override { std::abort(); }
  broker::Quarantine& quarantine() override { std::abort(); }
  broker::Audit& audit() override { std::abort(); }
  broker::LogStats Stats() const override { return {}; }
};

}  // namespace mmsmo
