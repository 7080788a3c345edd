// The contract suite: everything that the seam promises, in terms of the seam alone. An engine's
// tests link it and instantiate the three suites with a factory:
//
//   INSTANTIATE_TEST_SUITE_P(Embedded, LogContract, testing::Values(...), NameOf);
//
// What an engine can only promise for itself is named in EngineUnderTest::Beyond.

#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "tests/broker/contract/engine_under_test.h"
#include "tests/broker/contract/subscription_verbs.h"

namespace mmsmo::broker {

inline constexpr int64_t kSecond = 1'000'000;  // in microseconds

class Contract : public testing::TestWithParam<EngineFactory>, protected SubscriptionVerbs {
 protected:
  Contract() : engine_(GetParam().make()) { engine_->Open(settings_); }
  ~Contract() override { streams_.clear(); }

  EngineUnderTest& engine() { return *engine_; }
  Broker& broker() override { return engine_->broker(); }
  void Settle() override { engine_->Settle(); }
  EngineUnderTest::Beyond beyond() const { return engine_->beyond(); }

  // In force from the next reopening on.
  EngineUnderTest::Settings& settings() { return settings_; }
  void Reopen() {
    streams_.clear();
    engine_->Reopen(settings_);
  }

  void AdvanceSeconds(int64_t seconds) { engine_->AdvanceSeconds(seconds); }
  int64_t NowSeconds() { return engine_->NowMicros() / 1'000'000; }

  void ExpectBacklog(int64_t count) {
    const int64_t actual = Get().backlog_count();
    EXPECT_GE(actual, count);
    if (beyond().exact_backlog) {
      EXPECT_EQ(actual, count);
    }
  }
  // Without a successor: its deliveries are given to others.
  void EndStream(int number = 0) {
    CutStream(number);
    AdvanceSeconds(settings_.resume_window_micros / 1'000'000);
  }

 private:
  const std::unique_ptr<EngineUnderTest> engine_;
  EngineUnderTest::Settings settings_;
};

class LogContract : public Contract {};
class QuarantineContract : public Contract {};
class SubscriptionContract : public Contract {};

inline std::string NameOf(const testing::TestParamInfo<EngineFactory>& info) {
  return info.param.name;
}

// At the beginning of a test of what not every engine keeps.
#define CONTRACT_NEEDS(what) \
  if (!beyond().what) GTEST_SKIP() << "the engine does not promise " #what

}  // namespace mmsmo::broker
