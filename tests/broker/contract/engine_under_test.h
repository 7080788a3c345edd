// What the contract suite asks of an engine beside the seam itself.

#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <ostream>
#include <string>

#include "gateway/broker/broker.h"

namespace mmsmo::broker {

// An engine with storage of its own, empty at first. For one thread.
class EngineUnderTest {
 public:
  struct Budget {
    uint64_t count = 0;
    uint64_t bytes = 0;  // of bodies
  };
  // What every engine can be set to.
  struct Settings {
    bool keep_raw = true;
    int64_t retention_age_micros = 0;  // 0: no limit
    Budget rejected{.count = 10'000, .bytes = 64 << 20};
    Budget not_mms_mo{.count = 10'000, .bytes = 64 << 20};
    Budget kept{.count = 10'000, .bytes = 64 << 20};
    int64_t resume_window_micros = 2'000'000;
    uint64_t max_dead_letters = 1'000'000;  // of one subscription
  };
  // What it keeps beyond what the seam promises. Tests of what it does not keep are skipped.
  struct Beyond {
    bool append_order = false;   // the events of one Append are published in their order
    bool exact_backlog = false;  // a backlog is no less than an upper bound, and no more
    bool exact_expiry = false;   // each ack id that no longer counts is told to be EXPIRED
    bool order_by_sender = false;
    bool one_dead_letter = false;  // an event that is given up twice is one dead letter
    bool test_clock = false;       // times of acceptance and ages are those of the test's clock
  };

  virtual ~EngineUnderTest() = default;

  virtual Beyond beyond() const = 0;
  virtual Broker& broker() = 0;

  // Anything that fails here fails the test.
  virtual void Open(const Settings& settings) = 0;
  // As a stop of the gateway and a start: returns once what streams had in hand can be delivered
  // again. No feed may be left.
  virtual void Reopen(const Settings& settings) = 0;

  // Returns once whoever reads has been told of everything that came before this.
  virtual void Settle() = 0;

  // Time passes, for leases, waits and times to live at least.
  virtual void AdvanceSeconds(int64_t seconds) = 0;
  virtual int64_t NowMicros() = 0;  // since the epoch
};

struct EngineFactory {
  std::string name;  // in the names of tests
  std::function<std::unique_ptr<EngineUnderTest>()> make;

  friend void PrintTo(const EngineFactory& factory, std::ostream* out) { *out << factory.name; }
};

}  // namespace mmsmo::broker
