// What time it is for the log: how old things are, and when something was accepted.
//
// Ages are elapsed time only: CLOCK_BOOTTIME as it passes, and over a boot of the machine the
// difference of the wall clock, once that has stood for a minute. So no jump of the wall clock
// changes an age. For times of acceptance a jump is believed once it has stood for a minute.

#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "gateway/base/clock.h"

namespace mmsmo::embedded {

// A moment in the log's life. How long the machine was off before an era is known a minute after
// the era's beginning only, so it is no part of the stamp.
struct AgeStamp {
  uint32_t era = 0;
  int64_t micros = 0;  // never less than of what was stamped before

  friend bool operator==(const AgeStamp&, const AgeStamp&) = default;
};

// For one thread.
class Timeline {
 public:
  // What must be known after a restart.
  struct Saved {
    int64_t age_micros = 0;   // as in AgeStamp
    int64_t wall_micros = 0;  // what was believed then
    int64_t boot_micros = 0;
    std::string boot_id;                 // empty where it is not known
    std::vector<int64_t> off_micros{0};  // how long the machine was off before each era and those
                                         // before it together
  };
  // Of a log that begins now.
  static Saved Begin(const Clock& clock);

  // `newest` is the stamp of the log's newest record; none will be less. `clock` must outlive this.
  Timeline(const Clock& clock, Saved saved, AgeStamp newest);

  // Looks at the clocks; to be called at least every few seconds. The others tell of then.
  void Update();

  // Microseconds since the epoch; never goes back.
  int64_t accept_micros() const { return accept_micros_; }
  AgeStamp stamp() const;
  // Not negative.
  int64_t AgeOf(const AgeStamp& stamp) const;
  // The lead over the boot's clock of the one that ages are differences of.
  int64_t age_lead() const { return OnAgeClock(stamp()) - now_; }

  // False in the first minute after a boot, when nothing is to be saved yet.
  bool settled() const { return settled_; }
  Saved ToSave() const;

 private:
  void Settle();
  int64_t OnAgeClock(const AgeStamp& stamp) const;

  const Clock& clock_;
  Saved saved_;
  bool settled_ = false;
  int64_t opened_at_ = 0;  // by the boot's clock, as the following ones
  int64_t age_at_opening_ = 0;
  int64_t now_ = 0;
  // The wall clock's lead over the boot's: as it is now, since when that is so, and as it is
  // believed.
  int64_t lead_ = 0;
  int64_t lead_since_ = 0;
  int64_t believed_lead_ = 0;
  int64_t accept_micros_ = 0;
};

std::string EncodeTimeline(const Timeline::Saved& saved);
// DataLoss for bytes that EncodeTimeline did not make.
absl::StatusOr<Timeline::Saved> DecodeTimeline(std::string_view bytes);

}  // namespace mmsmo::embedded
