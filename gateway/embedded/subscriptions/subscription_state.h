// A named subscription as a state machine: what is leased to whom and until when, what waits to be
// delivered again, what is done with. No I/O and no threads; the clock is an argument.
//
//   SubscriptionState state({.ack_deadline = 10 * kSecond}, AckedSet(0), /*delivered_through=*/0);
//   state.AddStream(1, {.messages = 100, .bytes = 1 << 20});
//   state.Offer({.sequence = 1}, 1, t0);          // Lease{1, attempt 1, until t0 + 10 s}
//   state.OnTime(t0 + 10 * kSecond);              // the lease ends
//   state.Redeliver(1, t0 + 10 * kSecond);        // Lease{1, attempt 2, …}
//   state.Acknowledge({.sequence = 1, .attempt = 2, …});
//
// Events are offered in the order of the log, each once, from next() on; after a restart that
// begins at the first one that is not done with, so that what was leased then is offered again.

#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/container/btree_map.h"
#include "absl/container/btree_set.h"
#include "absl/container/flat_hash_map.h"
#include "gateway/embedded/subscriptions/acked_set.h"

namespace mmsmo::embedded {

// Times are in microseconds.
struct SubscriptionPolicy {
  int64_t ack_deadline = 0;
  int64_t min_backoff = 0;
  int64_t max_backoff = 0;
  int max_attempts = 0;  // 0: no limit
  int max_outstanding = 1;
  bool order_by_sender = false;
};

// Not thread-safe.
class SubscriptionState {
 public:
  using StreamId = uint32_t;

  // What one stream may have unacknowledged.
  struct Window {
    int messages = 1;
    int64_t bytes = 1;  // of events; exceeded by the last one
  };

  struct Lease {
    uint64_t sequence = 0;
    uint32_t attempt = 0;  // from 1
    uint16_t number = 0;   // tells it from other leases of the same event
    int64_t deadline = 0;
    bool replay = false;

    friend bool operator==(const Lease&, const Lease&) = default;
  };

  // An event that the log has next.
  struct Candidate {
    uint64_t sequence = 0;
    uint64_t sender = 0;    // a hash; with order_by_sender only
    uint32_t bytes = 0;     // of the event
    uint32_t attempts = 0;  // made before the restart
    int64_t retry_at = 0;   // not before
  };

  // What an event that was given up needs before it is done with.
  struct GivenUp {
    uint64_t sequence = 0;
    uint32_t attempts = 0;
    std::string reason;
    bool replay = false;
  };

  // An event that is done with, of which more is kept than its bit.
  struct Settled {
    uint64_t sequence = 0;
    bool replay = false;
  };

  enum class Effect {
    kDone,
    kBefore,     // it was done with already
    kExpired,    // the lease has ended, or never was
    kUnscanned,  // delivered before the restart, and not offered since
  };

  struct Totals {
    uint64_t delivered = 0;
    uint64_t redelivered = 0;  // of delivered
    uint64_t acked = 0;
    uint64_t lease_expired = 0;
    uint64_t dead_lettered = 0;
  };

  // The attempts of an event up to `delivered_through` are those that a record of it says, or
  // unrecorded_attempts().
  SubscriptionState(const SubscriptionPolicy& policy, AckedSet acked, uint64_t delivered_through);

  void set_policy(const SubscriptionPolicy& policy) { policy_ = policy; }
  AckedSet& acked() { return acked_; }
  const AckedSet& acked() const { return acked_; }
  uint64_t next() const { return next_; }
  uint64_t delivered_through() const { return delivered_through_; }
  uint32_t unrecorded_attempts() const { return policy_.order_by_sender ? 0 : 1; }
  size_t leased() const { return leased_; }
  size_t replays() const { return replays_; }
  const Totals& totals() const { return totals_; }
  int streams() const { return static_cast<int>(streams_.size()); }

  void AddStream(StreamId stream, Window window);
  // Its leases end, and their events can be delivered at once.
  void RemoveStream(StreamId stream, int64_t now);
  // How many events the stream may take now, if `available` can be taken by all streams together:
  // within its window, the subscription's ceiling and its fair share of both.
  int Room(StreamId stream, uint64_t available) const;
  bool HasBytesLeft(StreamId stream) const;
  int leased(StreamId stream) const { return streams_.at(stream).messages; }

  // The first of those that are to be delivered again, if there is one.
  std::optional<Lease> Redeliver(StreamId stream, int64_t now);
  size_t ready() const { return ready_.size(); }
  // The size of that event; only if there is one.
  uint32_t ready_bytes() const { return pending_.at(*ready_.begin()).bytes; }

  // Whether the next event may be offered: not while too many wait for others.
  bool MayOffer() const { return held_ < kMaxHeld && pending_.size() < kMaxPending; }
  // Takes the event at next(), and leases it unless it has to wait.
  std::optional<Lease> Offer(const Candidate& candidate, StreamId stream, int64_t now);
  // Goes past the event at next(), which needs no delivery.
  void Pass();
  // The lease was made in vain: as if it had not been.
  void TakeBack(const Lease& lease);

  // Once more has the effect of once: kBefore for what is done with, kDone for what is handed back
  // or given up.
  Effect Acknowledge(const Lease& lease);
  Effect Extend(const Lease& lease, int64_t until);
  Effect HandBack(const Lease& lease, int64_t retry_at, int64_t now);
  Effect GiveUp(const Lease& lease, std::string reason);
  // What is kUnscanned, once a record has shown that it was the last attempt.
  void AcknowledgeUnscanned(uint64_t sequence);

  // Ends what ends by now.
  void OnTime(int64_t now);
  // When OnTime is due; INT64_MAX for never.
  int64_t NextDue() const;

  // Events that became dead letters: to be made durable as such, and settled then.
  std::vector<GivenUp> TakeGivenUp();
  bool has_given_up() const { return !given_up_.empty(); }
  void GiveUpAgain(GivenUp given_up) { given_up_.push_back(std::move(given_up)); }
  void Settle(uint64_t sequence);
  std::vector<Settled> TakeSettled() { return std::exchange(settled_, {}); }
  bool IsPending(uint64_t sequence) const { return pending_.contains(sequence); }
  bool IsWaiting(uint64_t sequence) const;

  // A dead letter is to be delivered again. One that a seek has brought back becomes its replay.
  void Replay(const Candidate& candidate, int64_t now);
  // The replays that were delivered, with their attempts.
  std::vector<Candidate> DeliveredReplays() const;

  // Goes on behind `floor`, with nothing leased or done with there. Replays stay.
  void Seek(uint64_t floor, int64_t now);
  // Retention has removed everything before `oldest`; returns how many of those were not done with.
  uint64_t Expire(uint64_t oldest);

 private:
  // So many may wait for an earlier event of their sender, or be pending at all: a bound on memory.
  static constexpr size_t kMaxHeld = 100'000;
  static constexpr size_t kMaxPending = 1'000'000;

  enum class Phase : uint8_t {
    kHeld,     // behind an earlier event of its sender
    kReady,    // to be delivered again
    kLeased,   // until due
    kWaiting,  // until due
    kGivenUp,
  };
  struct Pending {
    uint64_t sender = 0;
    int64_t due = 0;  // of kHeld: not before
    uint32_t attempts = 0;
    uint32_t bytes = 0;
    StreamId stream = 0;
    uint16_t lease_number = 0;
    Phase phase = Phase::kReady;
    bool replay = false;
  };
  struct Stream {
    Window window;
    int messages = 0;
    int64_t bytes = 0;
  };
  using PendingMap = absl::btree_map<uint64_t, Pending>;
  using Iterator = PendingMap::iterator;

  Lease MakeLease(Iterator it, StreamId stream, int64_t now);
  static bool IsOf(const Lease& lease, const Pending& pending);
  Iterator FindLease(const Lease& lease, Effect* effect);
  bool HadLastAttempt(const Pending& pending) const;
  void EnterQueue(Iterator it, int64_t retry_at);
  void LeaveQueue(Iterator it);
  void Release(Iterator it);
  void LeavePhase(Iterator it);
  void SetPhase(Iterator it, Phase phase, int64_t due = 0);
  void Retry(Iterator it, int64_t retry_at, int64_t now);
  void GiveUpOn(Iterator it, std::string reason);
  void Forget(Iterator it);
  int64_t Backoff(uint32_t attempts) const;

  SubscriptionPolicy policy_;
  AckedSet acked_;
  uint64_t next_;
  uint64_t delivered_through_;
  uint16_t last_lease_ = 0;
  size_t leased_ = 0;
  size_t held_ = 0;
  size_t replays_ = 0;  // pending ones
  Totals totals_;

  PendingMap pending_;
  absl::btree_set<std::pair<int64_t, uint64_t>> timers_;  // of kLeased and kWaiting
  absl::btree_set<uint64_t> ready_;
  // With order_by_sender, what is pending of each; all but one are kHeld.
  absl::flat_hash_map<uint64_t, absl::btree_set<uint64_t>> senders_;
  absl::flat_hash_map<StreamId, Stream> streams_;
  std::vector<GivenUp> given_up_;
  std::vector<Settled> settled_;
};

}  // namespace mmsmo::embedded
