#include "gateway/embedded/store/timeline.h"

#include <algorithm>
#include <utility>

#include "gateway/base/status.h"
#include "gateway/embedded/store/big_endian.h"

namespace mmsmo::embedded {
namespace {

constexpr int64_t kSecond = 1'000'000;
constexpr int64_t kStands = 60 * kSecond;
// What is less is no jump: a clock that is slewed.
constexpr int64_t kJump = kSecond;
// Of a machine that was off for longer, the wall clock waits for its minute like any jump.
constexpr int64_t kPlausibleOff = int64_t{24} * 3600 * kSecond;

}  // namespace

Timeline::Saved Timeline::Begin(const Clock& clock) {
  const int64_t wall = clock.NowMicros();
  return {.age_micros = wall,
          .wall_micros = wall,
          .boot_micros = clock.BootMicros(),
          .boot_id = clock.BootId()};
}

Timeline::Timeline(const Clock& clock, Saved saved, AgeStamp newest)
    : clock_(clock),
      saved_(std::move(saved)),
      opened_at_(clock.BootMicros()),
      age_at_opening_(std::max(saved_.age_micros, newest.micros)),
      now_(opened_at_),
      lead_(clock.NowMicros() - opened_at_),
      lead_since_(opened_at_) {
  settled_ = !saved_.boot_id.empty() && saved_.boot_id == clock.BootId();
  if (settled_) {
    const int64_t elapsed = std::max<int64_t>(opened_at_ - saved_.boot_micros, 0);
    age_at_opening_ = std::max(age_at_opening_, saved_.age_micros + elapsed);
    believed_lead_ = saved_.wall_micros - saved_.boot_micros;
  } else {
    const int64_t off = lead_ + opened_at_ - saved_.wall_micros;
    const bool plausible = off >= 0 && off <= kPlausibleOff;
    believed_lead_ = plausible ? lead_ : saved_.wall_micros - opened_at_;
  }
  accept_micros_ = now_ + believed_lead_;
}

void Timeline::Update() {
  now_ = clock_.BootMicros();
  const int64_t lead = clock_.NowMicros() - now_;
  if (std::abs(lead - lead_) > kJump) lead_since_ = now_;
  lead_ = lead;
  const bool stands = now_ - lead_since_ >= kStands;
  if (stands || std::abs(lead - believed_lead_) <= kJump) believed_lead_ = lead;
  accept_micros_ = std::max(accept_micros_, now_ + believed_lead_);
  if (stands && !settled_) Settle();
}

// The era has begun when the machine was booted: what is older has aged by the time it was off.
void Timeline::Settle() {
  const int64_t elapsed = now_ + lead_ - saved_.wall_micros;
  const int64_t counted = stamp().micros - saved_.age_micros;
  saved_.off_micros.push_back(saved_.off_micros.back() + std::max<int64_t>(elapsed - counted, 0));
  settled_ = true;
}

AgeStamp Timeline::stamp() const {
  const size_t eras = saved_.off_micros.size();
  return {.era = static_cast<uint32_t>(settled_ ? eras - 1 : eras),
          .micros = age_at_opening_ + now_ - opened_at_};
}

int64_t Timeline::OnAgeClock(const AgeStamp& stamp) const {
  const size_t last = saved_.off_micros.size() - 1;
  return stamp.micros + saved_.off_micros[std::min<size_t>(stamp.era, last)];
}

int64_t Timeline::AgeOf(const AgeStamp& stamp) const {
  return std::max<int64_t>(OnAgeClock(this->stamp()) - OnAgeClock(stamp), 0);
}

Timeline::Saved Timeline::ToSave() const {
  return {.age_micros = stamp().micros,
          .wall_micros = now_ + believed_lead_,
          .boot_micros = now_,
          .boot_id = clock_.BootId(),
          .off_micros = saved_.off_micros};
}

std::string EncodeTimeline(const Timeline::Saved& saved) {
  std::string bytes;
  for (const int64_t number : {saved.age_micros, saved.wall_micros, saved.boot_micros,
                               static_cast<int64_t>(saved.off_micros.size())})
    AppendBigEndian(static_cast<uint64_t>(number), &bytes);
  for (const int64_t off : saved.off_micros) AppendBigEndian(static_cast<uint64_t>(off), &bytes);
  return bytes + saved.boot_id;
}

absl::StatusOr<Timeline::Saved> DecodeTimeline(std::string_view bytes) {
  constexpr size_t kFixedBytes = 4 * sizeof(uint64_t);
  const auto number = [&](size_t i) {
    return static_cast<int64_t>(LoadBigEndian64(bytes.substr(i * sizeof(uint64_t))));
  };
  const size_t eras =
      bytes.size() < kFixedBytes ? 0 : LoadBigEndian64(bytes.substr(3 * sizeof(uint64_t)));
  if (eras == 0 || eras > (bytes.size() - kFixedBytes) / sizeof(uint64_t))
    return DataLoss("the log's time of {} bytes cannot be read", bytes.size());
  Timeline::Saved saved{
      .age_micros = number(0), .wall_micros = number(1), .boot_micros = number(2)};
  saved.off_micros.resize(eras);
  for (size_t i = 0; i < eras; ++i) saved.off_micros[i] = number(4 + i);
  saved.boot_id = bytes.substr(kFixedBytes + eras * sizeof(uint64_t));
  return saved;
}

}  // namespace mmsmo::embedded
