// The embedded engine keeps what every engine promises, from memory as from disk.

#include "tests/broker/contract/contract.h"

#include <cstddef>
#include <memory>

#include "tests/embedded/engine.h"

namespace mmsmo::embedded {
namespace {

QuarantineBudget BudgetOf(const broker::EngineUnderTest::Budget& budget) {
  return {.count = budget.count, .bytes = budget.bytes};
}

class EmbeddedEngine final : public broker::EngineUnderTest {
 public:
  explicit EmbeddedEngine(size_t newest_bytes) { engine_.options().newest_bytes = newest_bytes; }

  Beyond beyond() const override {
    return {.append_order = true,
            .exact_backlog = true,
            .exact_expiry = true,
            .order_by_sender = true,
            .one_dead_letter = true,
            .test_clock = true};
  }
  broker::Broker& broker() override { return engine_.broker(); }
  void Open(const Settings& settings) override {
    Options& options = engine_.options();
    options.keep_raw = settings.keep_raw;
    options.retention_age_micros = settings.retention_age_micros;
    options.rejected_budget = BudgetOf(settings.rejected);
    options.not_mms_mo_budget = BudgetOf(settings.not_mms_mo);
    options.kept_budget = BudgetOf(settings.kept);
    options.resume_window_micros = settings.resume_window_micros;
    options.max_dead_letters = settings.max_dead_letters;
    engine_.Open();
  }
  void Reopen(const Settings& settings) override {
    engine_.Close();
    Open(settings);
  }
  void Settle() override { engine_.Settle(); }
  void AdvanceSeconds(int64_t seconds) override { engine_.clock().AdvanceSeconds(seconds); }
  int64_t NowMicros() override { return engine_.clock().NowMicros(); }

 private:
  Engine engine_;
};

}  // namespace
}  // namespace mmsmo::embedded

namespace mmsmo::broker {

const auto kEngines = testing::Values(
    EngineFactory{
        .name = "FromMemory",
        .make = [] { return std::make_unique<embedded::EmbeddedEngine>(size_t{16} << 20); }},
    EngineFactory{.name = "FromDisk",
                  .make = [] { return std::make_unique<embedded::EmbeddedEngine>(0); }});

INSTANTIATE_TEST_SUITE_P(Embedded, LogContract, kEngines, NameOf);
INSTANTIATE_TEST_SUITE_P(Embedded, QuarantineContract, kEngines, NameOf);
INSTANTIATE_TEST_SUITE_P(Embedded, SubscriptionContract, kEngines, NameOf);

}  // namespace mmsmo::broker
