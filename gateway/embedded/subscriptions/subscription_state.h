// A named subscription as a state machine: what is leased to whom and until when, what waits to be
// delivered again, what is done with. No I/O and no threads; the clock is an argument.
//
//   SubscriptionState state({.ack_deadline = 10 * kSecond}, AckedSet(0), /*delivered_through=*/0);
//   state.AddStream(1, {.messages = 100, .bytes = 1 << 20});
//   auto lease = state.Offer({.sequence = 1}, 1);   // Lease{1, attempt 1}
//   state.Send(*lease, /*frame=*/2, t0);            // on its way: the lease ends at t0 + 10 s
//   state.OnTime(t0 + 10 * kSecond);                // it does: a failure
//   state.Redeliver(1);                             // Lease{1, attempt 2}, once it has backed off
//   state.Acknowledge({.sequence = 1, .attempt = 2, …});
//
// Events are offered in the order of the log, each once, from next() on; after a restart that
// begins at the first one that is not done with, so that what was leased then is offered again.
//
// **Attempts and failures.** An attempt is a delivery. A failure is an attempt that the consumer
// gave back as such, or whose lease ended while its stream lived. The end of a stream is no failure
// of what it had in hand, but of an event that was alone. One that was in hand at the ends of
// several streams goes out in smaller groups each time: so an event that kills its consumers is
// alone with them in the end, and is found, while its neighbours are handled.

#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/container/btree_map.h"
#include "absl/container/btree_set.h"
#include "absl/container/flat_hash_map.h"
#include "gateway/embedded/subscriptions/acked_set.h"
#include "gateway/embedded/subscriptions/hands.h"
#include "gateway/embedded/subscriptions/sequential.h"

namespace mmsmo::embedded {

// Times are in microseconds.
struct SubscriptionPolicy {
  int64_t ack_deadline = 0;
  int64_t min_backoff = 0;
  int64_t max_backoff = 0;
  int max_attempts = 0;  // failures; 0: no limit
  int max_outstanding = 1;
  bool order_by_sender = false;
  // How long a stream's deliveries stay its client's after its end.
  int64_t resume_window = 0;
};

// Not thread-safe.
class SubscriptionState {
 public:
  struct Lease {
    uint64_t sequence = 0;
    uint32_t attempt = 0;  // from 1
    uint32_t number = 0;   // tells it from other leases of the same event
    bool replay = false;
    bool again = false;  // of a frame that a stream's end cut off

    friend bool operator==(const Lease&, const Lease&) = default;
  };

  // An event that the log has next.
  struct Candidate {
    uint64_t sequence = 0;
    uint64_t sender = 0;    // a hash; with order_by_sender only
    uint32_t bytes = 0;     // of the event
    uint32_t attempts = 0;  // made before the restart
    uint32_t failures = 0;  // likewise
    int64_t retry_at = 0;   // not before
  };

  // What an event that was given up needs before it is done with.
  struct GivenUp {
    uint64_t sequence = 0;
    uint32_t attempts = 0;
    uint32_t bytes = 0;  // of the event
    std::string reason;
    bool replay = false;
    uint32_t lease = 0;  // its last one, which tells it from what was given up of the event before
  };

  // An event that is done with, of which more is kept than its bit.
  struct Settled {
    uint64_t sequence = 0;
    uint32_t bytes = 0;
    bool replay = false;
  };

  // What is to be kept of an event that failed.
  struct Failed {
    uint64_t sequence = 0;
    uint32_t failures = 0;
    int64_t retry_at = 0;  // 0 where it does not wait
  };

  enum class Effect {
    kDone,
    kBefore,     // it was done with already
    kExpired,    // it is not the newest delivery, or never was one
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
  // Leases are numbered from `first_lease` on: at random, so that they are not those of a copy.
  SubscriptionState(const SubscriptionPolicy& policy, AckedSet acked, uint64_t delivered_through,
                    uint32_t first_lease = 0);

  void set_policy(const SubscriptionPolicy& policy) { policy_ = policy; }
  const SubscriptionPolicy& policy() const { return policy_; }
  AckedSet& acked() { return acked_; }
  const AckedSet& acked() const { return acked_; }
  uint64_t next() const { return next_; }
  uint64_t delivered_through() const { return delivered_through_; }
  uint32_t unrecorded_attempts() const { return policy_.order_by_sender ? 0 : 1; }
  size_t leased() const { return leased_; }
  size_t replays() const { return replays_; }
  const Totals& totals() const { return totals_; }
  int streams() const { return static_cast<int>(hands_.live()); }

  // --- Streams.

  void AddStream(StreamId stream, StreamWindow window) { hands_.Add(stream, window); }
  // Its deliveries stay its client's for policy().resume_window.
  void EndStream(StreamId stream, int64_t now);
  // The deliveries of `from`, which has ended or is ended by this, become those of `to`. What was
  // in frames after the first `received` ones is to be sent again: RedeliverCut gives it, until its
  // lease ends, which is no failure. False where `from` is not known any more.
  bool Resume(StreamId from, StreamId to, uint32_t received, int64_t now);
  // The stream, if it is known, gets nothing more, and what it has that was not in its first
  // `received` frames is released.
  void Leave(StreamId stream, uint32_t received);
  bool IsLeaving(StreamId stream) const { return hands_.IsClosed(stream); }
  // How many events the stream may take now, if `unscanned` of the log can be offered: within its
  // window, the subscription's ceiling and its fair share of both.
  int Room(StreamId stream, uint64_t unscanned);
  // Whether it may take one more, whoever else there is.
  bool MayTake(StreamId stream) const;
  int leased(StreamId stream) const { return hands_.messages(stream); }

  // --- Delivering. A lease ends only after it was sent.

  // What was cut off, first.
  std::optional<Lease> RedeliverCut(StreamId stream);
  bool HasCut(StreamId stream) const { return cut_.contains(stream); }
  // The first of those that are to be delivered again, if the stream may have one.
  std::optional<Lease> Redeliver(StreamId stream);
  size_t ready() const { return ready_.size() + suspects_.size(); }
  // The size of what is leased or ready.
  uint32_t bytes(uint64_t sequence) const { return pending_.find(sequence)->second.bytes; }

  // Whether the next event may be offered: not while too many wait for others.
  bool MayOffer() const { return held_ < kMaxHeld && pending_.size() < kMaxPending; }
  // Takes the event at next(), and leases it unless it has to wait.
  std::optional<Lease> Offer(const Candidate& candidate, StreamId stream, int64_t now);
  // Goes past the event at next(), which needs no delivery.
  void Pass() { acked_.Add(next_++); }

  // The lease goes out in this frame of its stream, now; returns when it ends. Nothing where it is
  // no lease any more.
  std::optional<int64_t> Send(const Lease& lease, uint32_t frame, int64_t now);
  // The lease was made in vain: as if it had not been. It may have ended since.
  void TakeBack(const Lease& lease);

  // --- What becomes of deliveries. The newest one that was sent of an event counts until the event
  // is sent again, whatever became of its stream: a lease that is not sent yet is taken back. Once
  // more has the effect of once: kBefore for what is done with, kDone otherwise.

  // Something will be said of the delivery, in time: its lease does not end before that.
  void Hear(const Lease& lease);
  Effect Acknowledge(const Lease& lease);
  Effect Extend(const Lease& lease, int64_t until);
  // A failure: again after `delay`, or after the policy's backoff.
  Effect Retry(const Lease& lease, std::optional<int64_t> delay, int64_t now);
  // Not begun, and no failure.
  Effect Release(const Lease& lease);
  Effect GiveUp(const Lease& lease, std::string reason);
  // What is kUnscanned, once a record has shown that it was the newest.
  void AcknowledgeUnscanned(uint64_t sequence);

  // How long an event waits after so many failures.
  int64_t Backoff(uint32_t failures) const;

  // Ends what ends by now.
  void OnTime(int64_t now);
  // When OnTime is due; INT64_MAX for never.
  int64_t NextDue() const;

  // The first event that is to become a dead letter; null where there is none.
  const GivenUp* FirstGivenUp();
  // That one: to be made durable as such, and settled then.
  GivenUp TakeGivenUp();
  // How many wait for that; nobody gets them, and they count against the ceiling.
  size_t given_up() const { return given_up_count_; }
  // After all others.
  void GiveUpAgain(GivenUp given_up) { given_up_.push_back(std::move(given_up)); }
  bool IsGivenUp(uint64_t sequence) const;
  void Settle(uint64_t sequence);
  std::vector<Settled> TakeSettled() { return std::exchange(settled_, {}); }
  std::vector<Failed> TakeFailed();
  bool has_failed() const { return !failed_.empty(); }
  bool IsPending(uint64_t sequence) const { return pending_.contains(sequence); }

  // A dead letter is to be delivered again. One that a seek has brought back becomes its replay.
  void Replay(const Candidate& candidate, int64_t now);
  bool IsReplay(uint64_t sequence) const;
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
    kLeased,   // until due, once sent
    kWaiting,  // until due
    kGivenUp,
  };
  struct Pending {
    uint64_t sender = 0;
    int64_t due = 0;  // of kHeld: not before
    uint32_t attempts = 0;
    uint32_t bytes = 0;
    StreamId stream = 0;
    uint32_t frame = 0;          // of its stream
    uint32_t lease_number = 0;   // 0 for a lease from before the restart
    uint32_t number_before = 0;  // while is_new: of the lease before
    uint16_t failures = 0;
    GroupSize group = kAnyGroup;
    Phase phase = Phase::kReady;
    bool replay : 1 = false;
    bool sent : 1 = false;           // on its way, or there
    bool is_new : 1 = false;         // the lease has never been sent
    bool failed : 1 = false;         // the newest attempt is one of the failures
    bool failed_before : 1 = false;  // while is_new: so was the one before
  };
  using PendingMap = Sequential<absl::btree_map<uint64_t, Pending>>;
  using Iterator = PendingMap::iterator;

  Lease MakeLease(Iterator it, StreamId stream);
  static bool IsNewest(const Lease& lease, const Pending& pending);
  Iterator FindNewest(const Lease& lease, Effect* effect);
  Iterator RecallNewest(const Lease& lease, Effect* effect);
  void Recall(Iterator it);
  bool MustIsolate(StreamId stream) const;
  bool HadLastFailure(const Pending& pending) const;
  void EnterQueue(Iterator it, int64_t retry_at);
  void LeaveQueue(Iterator it);
  void LetGo(Iterator it);
  void LeavePhase(Iterator it);
  void SetPhase(Iterator it, Phase phase, int64_t due = 0);
  void SetDeadline(Iterator it, int64_t due);
  void Settle(Iterator it);
  void Again(Iterator it, int64_t retry_at, int64_t now);
  void Fail(Iterator it, std::optional<int64_t> delay, int64_t now);
  void ReturnAtEnd(Iterator it, size_t at_end, int64_t now);
  void EndTime(Iterator it, int64_t now);
  void GiveUpOn(Iterator it, std::string reason);
  void Forget(Iterator it);

  SubscriptionPolicy policy_;
  AckedSet acked_;
  uint64_t next_;
  uint64_t delivered_through_;
  uint32_t last_lease_;
  size_t leased_ = 0;
  size_t held_ = 0;
  size_t replays_ = 0;  // pending ones
  size_t given_up_count_ = 0;
  Totals totals_;

  PendingMap pending_;
  Sequential<absl::btree_set<std::pair<int64_t, uint64_t>>> timers_;  // of kLeased and kWaiting
  absl::btree_set<uint64_t> ready_;                                   // to anybody
  absl::btree_set<uint64_t> suspects_;  // ready too, but in a limited group only
  // The stream that takes nothing else until it may have the first suspect, or until that takes too
  // long; and the time as OnTime has heard it.
  StreamId isolating_ = 0;
  int64_t isolating_until_ = 0;
  int64_t now_ = 0;
  // With order_by_sender, what is pending of each. The others wait while there is one that is not
  // kHeld; there are more of those only where one that was held is given up.
  struct SenderQueue {
    absl::btree_set<uint64_t> events;
    int active = 0;
  };
  absl::flat_hash_map<uint64_t, SenderQueue> senders_;
  Hands hands_;
  absl::flat_hash_map<StreamId, absl::btree_set<uint64_t>> cut_;  // leased, to be sent again
  std::deque<GivenUp> given_up_;
  std::vector<Settled> settled_;
  std::vector<uint64_t> failed_;
};

}  // namespace mmsmo::embedded
