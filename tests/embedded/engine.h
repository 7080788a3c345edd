// An embedded engine with a clock of its own, as a test wants to talk to it.

#pragma once

#include <memory>
#include <utility>

#include "gateway/base/metrics.h"
#include "gateway/embedded/broker.h"
#include "gateway/embedded/quarantine/schema.h"
#include "tests/broker/contract/subscription_verbs.h"
#include "tests/support/fake_clock.h"
#include "tests/support/temp_dir.h"

namespace mmsmo::embedded {

using broker::Await;
using broker::ByForce;
using broker::EventOf;
using broker::Rejected;

class Engine : public broker::SubscriptionVerbs {
 public:
  Engine() { options_.data_dir = dir_ / "data"; }
  ~Engine() override { streams_.clear(); }

  Options& options() { return options_; }
  FakeClock& clock() { return clock_; }
  broker::Broker& broker() override { return *broker_; }
  // Streams are woken after the receipts: once the writer is at what comes next, they are.
  void Settle() override { (void)Discard({}); }

  void Open() {
    auto opened = EmbeddedBroker::Open(options_, clock_, metrics_);
    ASSERT_THAT(opened, IsOk());
    broker_ = *std::move(opened);
  }
  void Close() {
    streams_.clear();
    broker_.reset();
  }
  void Reopen() {
    Close();
    Open();
  }

 private:
  TempDir dir_;
  FakeClock clock_;
  Metrics metrics_;
  Options options_;
  std::unique_ptr<EmbeddedBroker> broker_;
};

}  // namespace mmsmo::embedded
