#include "gateway/embedded/subscriptions/subscription_state.h"

#include <algorithm>
#include <limits>

namespace mmsmo::embedded {
namespace {

constexpr int64_t kNever = std::numeric_limits<int64_t>::max();
// At each end of a stream that an event was in hand at, its group becomes so much smaller.
constexpr size_t kSmaller = 4;

}  // namespace

SubscriptionState::SubscriptionState(const SubscriptionPolicy& policy, AckedSet acked,
                                     uint64_t delivered_through, uint32_t first_lease)
    : policy_(policy),
      acked_(std::move(acked)),
      next_(acked_.floor() + 1),
      delivered_through_(std::max(delivered_through, acked_.floor())),
      last_lease_(first_lease) {}

// --- Streams.

void SubscriptionState::EndStream(StreamId stream, int64_t now) {
  cut_.erase(stream);
  if (isolating_ == stream) isolating_ = 0;
  if (hands_.messages(stream) == 0) return hands_.Erase(stream);
  hands_.End(stream, now + policy_.resume_window);
}

bool SubscriptionState::Resume(StreamId from, StreamId to, uint32_t received, int64_t now) {
  if (!hands_.Has(from)) return false;
  const std::vector<uint64_t> events = hands_.Events(from);
  for (const uint64_t sequence : events) {
    const auto it = pending_.find(sequence);
    Pending& pending = it->second;
    hands_.Drop(from, sequence, pending.bytes, pending.group);
    hands_.Take(to, sequence, pending.bytes, pending.group);
    pending.stream = to;
    if (pending.frame > received || !pending.sent) {
      if (pending.due == kNever) SetDeadline(it, now + policy_.ack_deadline);
      pending.sent = false;
      cut_[to].insert(sequence);
    }
    pending.frame = 0;
  }
  cut_.erase(from);
  if (isolating_ == from) isolating_ = to;
  hands_.Erase(from);
  return true;
}

void SubscriptionState::Leave(StreamId stream, uint32_t received) {
  if (!hands_.Has(stream)) return;
  hands_.Close(stream);
  cut_.erase(stream);
  if (isolating_ == stream) isolating_ = 0;
  const std::vector<uint64_t> events = hands_.Events(stream);
  for (const uint64_t sequence : events) {
    const auto it = pending_.find(sequence);
    if (it->second.frame > received || !it->second.sent) SetPhase(it, Phase::kReady);
  }
}

int SubscriptionState::Room(StreamId stream, uint64_t unscanned) {
  if (hands_.IsClosed(stream)) return 0;
  const auto share = [streams = hands_.open()](uint64_t all) {
    const uint64_t each = (all + streams - 1) / streams;
    return static_cast<int64_t>(std::min<uint64_t>(each, std::numeric_limits<int>::max()));
  };
  uint64_t available = ready_.size() + unscanned;
  if (!suspects_.empty()) {
    if (!hands_.Has(isolating_) || hands_.HasEnded(isolating_) || isolating_until_ <= now_) {
      isolating_ = stream;
      isolating_until_ = now_ + policy_.ack_deadline;
    }
    if (MustIsolate(stream)) return 0;
    if (hands_.MayJoin(stream, pending_.find(*suspects_.begin())->second.group))
      available += suspects_.size();
  }
  const auto ceiling = static_cast<uint64_t>(policy_.max_outstanding);
  const uint64_t taken = leased_ + given_up_count_;
  if (taken >= ceiling) return 0;
  const int64_t room = std::min({hands_.Left(stream), share(ceiling) - hands_.messages(stream),
                                 static_cast<int64_t>(ceiling - taken), share(available)});
  return static_cast<int>(std::max<int64_t>(room, 0));
}

// Whether the stream has to have less in hand before it gets anything more.
bool SubscriptionState::MustIsolate(StreamId stream) const {
  return isolating_ == stream && !suspects_.empty() &&
         !hands_.MayJoin(stream, pending_.find(*suspects_.begin())->second.group);
}

bool SubscriptionState::MayTake(StreamId stream) const {
  return hands_.Left(stream) > 0 && !MustIsolate(stream);
}

// --- Delivering.

SubscriptionState::Lease SubscriptionState::MakeLease(Iterator it, StreamId stream) {
  Pending& pending = it->second;
  pending.number_before = pending.lease_number;
  pending.failed_before = pending.failed;
  ++pending.attempts;
  pending.stream = stream;
  if (++last_lease_ == 0) ++last_lease_;
  pending.lease_number = last_lease_;
  pending.frame = 0;
  pending.sent = pending.failed = false;
  pending.is_new = true;
  SetPhase(it, Phase::kLeased, kNever);
  ++totals_.delivered;
  if (pending.attempts > 1) ++totals_.redelivered;
  if (!pending.replay) delivered_through_ = std::max(delivered_through_, it->first);
  return {.sequence = it->first,
          .attempt = pending.attempts,
          .number = pending.lease_number,
          .replay = pending.replay};
}

std::optional<SubscriptionState::Lease> SubscriptionState::RedeliverCut(StreamId stream) {
  const auto cut = cut_.find(stream);
  if (cut == cut_.end()) return std::nullopt;
  std::optional<Lease> lease;
  while (!lease && !cut->second.empty()) {
    const uint64_t sequence = *cut->second.begin();
    cut->second.erase(cut->second.begin());
    const auto it = pending_.find(sequence);
    if (it == pending_.end() || it->second.phase != Phase::kLeased || it->second.sent ||
        it->second.is_new || it->second.stream != stream) {
      continue;  // it was acknowledged meanwhile, or its lease has ended
    }
    lease = {.sequence = sequence,
             .attempt = it->second.attempts,
             .number = it->second.lease_number,
             .replay = it->second.replay,
             .again = true};
  }
  if (cut->second.empty()) cut_.erase(cut);
  return lease;
}

std::optional<SubscriptionState::Lease> SubscriptionState::Redeliver(StreamId stream) {
  if (!MayTake(stream)) return std::nullopt;
  if (!suspects_.empty() &&
      hands_.MayJoin(stream, pending_.find(*suspects_.begin())->second.group)) {
    return MakeLease(pending_.find(*suspects_.begin()), stream);
  }
  if (ready_.empty()) return std::nullopt;
  return MakeLease(pending_.find(*ready_.begin()), stream);
}

std::optional<SubscriptionState::Lease> SubscriptionState::Offer(const Candidate& candidate,
                                                                 StreamId stream, int64_t now) {
  if (acked_.Contains(candidate.sequence) || pending_.contains(candidate.sequence)) {
    Pass();  // the replay of a dead letter delivers it
    return std::nullopt;
  }
  next_ = candidate.sequence + 1;
  const auto it = pending_.emplace_last(
      candidate.sequence, Pending{.sender = candidate.sender,
                                  .attempts = candidate.attempts,
                                  .bytes = candidate.bytes,
                                  .failures = static_cast<uint16_t>(candidate.failures),
                                  .failed = candidate.failures > 0});
  // It goes out at once, or waits: so it is not among the ready ones.
  EnterQueue(it, candidate.retry_at);
  if (it->second.phase == Phase::kHeld) return std::nullopt;
  if (candidate.attempts > 0) Again(it, candidate.retry_at, now);
  if (it->second.phase != Phase::kReady) return std::nullopt;
  return MakeLease(it, stream);
}

std::optional<int64_t> SubscriptionState::Send(const Lease& lease, uint32_t frame, int64_t now) {
  const auto it = pending_.find(lease.sequence);
  if (it == pending_.end()) return std::nullopt;
  Pending& pending = it->second;
  if (pending.phase != Phase::kLeased || pending.sent || pending.lease_number != lease.number) {
    return std::nullopt;
  }
  pending.sent = true;
  pending.is_new = false;
  pending.frame = frame;
  SetDeadline(it, now + policy_.ack_deadline);
  return pending.due;
}

void SubscriptionState::TakeBack(const Lease& lease) {
  const auto it = pending_.find(lease.sequence);
  if (it == pending_.end()) return;  // retention has taken it
  Pending& pending = it->second;
  if (pending.phase != Phase::kLeased || pending.sent || pending.lease_number != lease.number) {
    return;
  }
  if (lease.again) {
    cut_[pending.stream].insert(lease.sequence);
    return;
  }
  Recall(it);
}

// Takes a lease back that is new.
void SubscriptionState::Recall(Iterator it) {
  Pending& pending = it->second;
  --totals_.delivered;
  if (pending.attempts > 1) --totals_.redelivered;
  --pending.attempts;
  pending.lease_number = pending.number_before;
  pending.failed = pending.failed_before;
  pending.is_new = false;
  SetPhase(it, Phase::kReady);
}

// --- What becomes of deliveries.

bool SubscriptionState::IsNewest(const Lease& lease, const Pending& pending) {
  // One that is not sent yet leaves the one before it in force.
  const bool waits = pending.is_new && pending.phase == Phase::kLeased;
  const uint32_t attempt = waits ? pending.attempts - 1 : pending.attempts;
  const uint32_t number = waits ? pending.number_before : pending.lease_number;
  return attempt > 0 && attempt == lease.attempt && (number == lease.number || number == 0);
}

SubscriptionState::Iterator SubscriptionState::FindNewest(const Lease& lease, Effect* effect) {
  const auto it = pending_.find(lease.sequence);
  if (it != pending_.end()) {
    const bool newest = IsNewest(lease, it->second);
    *effect = newest ? Effect::kDone : Effect::kExpired;
    return newest ? it : pending_.end();
  }
  if (acked_.Contains(lease.sequence)) {
    *effect = Effect::kBefore;
  } else {
    const bool unscanned = lease.sequence >= next_ && lease.sequence <= delivered_through_;
    *effect = unscanned ? Effect::kUnscanned : Effect::kExpired;
  }
  return it;
}

// What is said of the newest one makes a lease that is not sent yet one in vain.
SubscriptionState::Iterator SubscriptionState::RecallNewest(const Lease& lease, Effect* effect) {
  const auto it = FindNewest(lease, effect);
  if (it != pending_.end() && it->second.is_new && it->second.phase == Phase::kLeased) Recall(it);
  return it;
}

void SubscriptionState::Hear(const Lease& lease) {
  const auto it = pending_.find(lease.sequence);
  if (it == pending_.end() || it->second.phase != Phase::kLeased || !it->second.sent) return;
  if (!IsNewest(lease, it->second) || it->second.due == kNever) return;
  timers_.erase({it->second.due, it->first});
  it->second.due = kNever;
}

SubscriptionState::Effect SubscriptionState::Acknowledge(const Lease& lease) {
  Effect effect;
  const auto it = RecallNewest(lease, &effect);
  if (it == pending_.end()) return effect;
  ++totals_.acked;
  if (it->second.phase == Phase::kGivenUp) --totals_.dead_lettered;  // Settle counts it
  Settle(it);
  return Effect::kDone;
}

SubscriptionState::Effect SubscriptionState::Extend(const Lease& lease, int64_t until) {
  Effect effect;
  const auto it = FindNewest(lease, &effect);
  if (it == pending_.end()) return effect == Effect::kBefore ? Effect::kExpired : effect;
  if (it->second.phase != Phase::kLeased || !it->second.sent) return Effect::kExpired;
  SetDeadline(it, until);
  return Effect::kDone;
}

SubscriptionState::Effect SubscriptionState::Retry(const Lease& lease, std::optional<int64_t> delay,
                                                   int64_t now) {
  Effect effect;
  const auto it = RecallNewest(lease, &effect);
  if (it == pending_.end()) return effect == Effect::kBefore ? Effect::kExpired : effect;
  // It failed already where its lease has ended, or this is said once more.
  const bool counted = it->second.failed && it->second.phase != Phase::kLeased;
  if (!counted && it->second.phase != Phase::kGivenUp) Fail(it, delay, now);
  return Effect::kDone;
}

SubscriptionState::Effect SubscriptionState::Release(const Lease& lease) {
  Effect effect;
  const auto it = RecallNewest(lease, &effect);
  if (it == pending_.end()) return effect == Effect::kBefore ? Effect::kExpired : effect;
  Pending& pending = it->second;
  switch (pending.phase) {
    case Phase::kGivenUp:
      return Effect::kExpired;
    case Phase::kHeld:
      return Effect::kDone;
    case Phase::kLeased:
    case Phase::kReady:
    case Phase::kWaiting:
      break;
  }
  if (pending.failed && pending.failures > 0) {  // it was taken for a failure
    --pending.failures;
    failed_.push_back(lease.sequence);
  }
  pending.failed = false;
  SetPhase(it, Phase::kReady);
  return Effect::kDone;
}

SubscriptionState::Effect SubscriptionState::GiveUp(const Lease& lease, std::string reason) {
  Effect effect;
  const auto it = RecallNewest(lease, &effect);
  if (it == pending_.end()) return effect;
  if (it->second.phase == Phase::kGivenUp) return Effect::kDone;
  GiveUpOn(it, std::move(reason));
  // Whoever asked for it waits for it.
  given_up_.push_front(std::move(given_up_.back()));
  given_up_.pop_back();
  return Effect::kDone;
}

void SubscriptionState::AcknowledgeUnscanned(uint64_t sequence) {
  if (!acked_.Add(sequence)) return;
  ++totals_.acked;
  settled_.push_back({.sequence = sequence});
}

// --- Time.

void SubscriptionState::OnTime(int64_t now) {
  now_ = now;
  while (!timers_.empty() && timers_.begin()->first <= now) {
    EndTime(pending_.find(timers_.begin()->second), now);
  }
  while (const auto over = hands_.FirstOver(now)) {
    const std::vector<uint64_t> events = hands_.Events(*over);
    const size_t at_end = hands_.AtEnd(*over);
    for (const uint64_t sequence : events) ReturnAtEnd(pending_.find(sequence), at_end, now);
    hands_.Erase(*over);
  }
}

void SubscriptionState::EndTime(Iterator it, int64_t now) {
  const Pending& pending = it->second;
  // One that was cut off and never sent again is nobody's failure.
  if (pending.phase == Phase::kWaiting || !pending.sent) return SetPhase(it, Phase::kReady);
  if (hands_.HasEnded(pending.stream)) {
    return ReturnAtEnd(it, hands_.AtEnd(pending.stream), now);
  }
  ++totals_.lease_expired;
  Fail(it, std::nullopt, now);
}

int64_t SubscriptionState::NextDue() const {
  return std::min(hands_.NextOver(), timers_.empty() ? kNever : timers_.begin()->first);
}

int64_t SubscriptionState::Backoff(uint32_t failures) const {
  int64_t backoff = policy_.min_backoff;
  for (uint32_t i = 1; i < failures && backoff < policy_.max_backoff; ++i) backoff *= 2;
  return std::min(backoff, policy_.max_backoff);
}

void SubscriptionState::Again(Iterator it, int64_t retry_at, int64_t now) {
  if (HadLastFailure(it->second)) return GiveUpOn(it, "max_attempts");
  retry_at <= now ? SetPhase(it, Phase::kReady) : SetPhase(it, Phase::kWaiting, retry_at);
}

void SubscriptionState::Fail(Iterator it, std::optional<int64_t> delay, int64_t now) {
  Pending& pending = it->second;
  if (pending.failures < std::numeric_limits<uint16_t>::max()) ++pending.failures;
  pending.failed = true;
  failed_.push_back(it->first);
  if (pending.phase == Phase::kHeld) return;
  Again(it, now + delay.value_or(Backoff(pending.failures)), now);
}

// Its stream ended when it had so many in hand, and nobody took them over.
void SubscriptionState::ReturnAtEnd(Iterator it, size_t at_end, int64_t now) {
  if (at_end <= 1) return Fail(it, std::nullopt, now);
  LeavePhase(it);  // by the group that it had
  Pending& pending = it->second;
  pending.group = static_cast<GroupSize>(
      std::max<size_t>(std::min<size_t>(pending.group, at_end) / kSmaller, 1));
  pending.phase = Phase::kReady;
  suspects_.insert(it->first);
}

bool SubscriptionState::HadLastFailure(const Pending& pending) const {
  return policy_.max_attempts > 0 &&
         pending.failures >= static_cast<uint32_t>(policy_.max_attempts);
}

// --- Dead letters.

void SubscriptionState::GiveUpOn(Iterator it, std::string reason) {
  SetPhase(it, Phase::kGivenUp);
  given_up_.push_back({.sequence = it->first,
                       .attempts = it->second.attempts,
                       .bytes = it->second.bytes,
                       .reason = std::move(reason),
                       .replay = it->second.replay,
                       .lease = it->second.lease_number});
}

bool SubscriptionState::IsGivenUp(uint64_t sequence) const {
  const auto it = pending_.find(sequence);
  return it != pending_.end() && it->second.phase == Phase::kGivenUp;
}

// But for those that retention has taken since, or that were acknowledged late.
const SubscriptionState::GivenUp* SubscriptionState::FirstGivenUp() {
  const auto is_over = [this](const GivenUp& given_up) {
    const auto it = pending_.find(given_up.sequence);
    return it == pending_.end() || it->second.phase != Phase::kGivenUp ||
           it->second.lease_number != given_up.lease;
  };
  while (!given_up_.empty() && is_over(given_up_.front())) given_up_.pop_front();
  return given_up_.empty() ? nullptr : &given_up_.front();
}

SubscriptionState::GivenUp SubscriptionState::TakeGivenUp() {
  GivenUp taken = std::move(given_up_.front());
  given_up_.pop_front();
  return taken;
}

std::vector<SubscriptionState::Failed> SubscriptionState::TakeFailed() {
  std::vector<Failed> taken;
  for (const uint64_t sequence : std::exchange(failed_, {})) {
    const auto it = pending_.find(sequence);
    if (it == pending_.end()) continue;
    const bool waits = it->second.phase == Phase::kWaiting;
    taken.push_back({.sequence = sequence,
                     .failures = it->second.failures,
                     .retry_at = waits ? it->second.due : 0});
  }
  return taken;
}

void SubscriptionState::Settle(uint64_t sequence) {
  if (const auto it = pending_.find(sequence); it != pending_.end()) Settle(it);
}

void SubscriptionState::Settle(Iterator it) {
  const uint64_t sequence = it->first;
  const Pending& pending = it->second;
  if (pending.phase == Phase::kGivenUp) ++totals_.dead_lettered;
  if (pending.replay || pending.failures > 0 || pending.failed ||
      pending.attempts > unrecorded_attempts()) {
    settled_.push_back({.sequence = sequence, .bytes = pending.bytes, .replay = pending.replay});
  }
  if (!pending.replay) acked_.Add(sequence);
  Forget(it);
}

void SubscriptionState::Replay(const Candidate& candidate, int64_t now) {
  const auto [it, added] = pending_.emplace(
      candidate.sequence, Pending{.sender = candidate.sender,
                                  .attempts = candidate.attempts,
                                  .bytes = candidate.bytes,
                                  .failures = static_cast<uint16_t>(candidate.failures),
                                  .failed = candidate.failures > 0});
  if (it->second.replay) return;
  it->second.replay = true;
  ++replays_;
  if (!added) {
    acked_.Add(candidate.sequence);
    for (GivenUp& given_up : given_up_) {
      given_up.replay = given_up.replay || given_up.sequence == candidate.sequence;
    }
    return;
  }
  ready_.insert(candidate.sequence);
  EnterQueue(it, candidate.retry_at);
  if (it->second.phase == Phase::kReady && candidate.attempts > 0) {
    Again(it, candidate.retry_at, now);
  }
}

bool SubscriptionState::IsReplay(uint64_t sequence) const {
  const auto it = pending_.find(sequence);
  return it != pending_.end() && it->second.replay;
}

std::vector<SubscriptionState::Candidate> SubscriptionState::DeliveredReplays() const {
  std::vector<Candidate> replays;
  if (replays_ == 0) return replays;
  for (const auto& [sequence, pending] : pending_) {
    if (!pending.replay || pending.attempts == 0) continue;
    replays.push_back(
        {.sequence = sequence, .attempts = pending.attempts, .failures = pending.failures});
  }
  return replays;
}

// --- The log moves.

void SubscriptionState::Seek(uint64_t floor, int64_t now) {
  std::vector<Candidate> replays;
  for (const auto& [sequence, pending] : pending_) {
    if (!pending.replay) continue;
    replays.push_back({.sequence = sequence,
                       .sender = pending.sender,
                       .bytes = pending.bytes,
                       .attempts = pending.attempts,
                       .failures = pending.failures});
  }
  pending_.clear();
  timers_.clear();
  ready_.clear();
  suspects_.clear();
  senders_.clear();
  cut_.clear();
  given_up_.clear();
  settled_.clear();
  failed_.clear();
  hands_.Clear();
  leased_ = held_ = replays_ = given_up_count_ = 0;
  acked_ = AckedSet(floor);
  next_ = floor + 1;
  delivered_through_ = floor;
  for (const Candidate& replay : replays) Replay(replay, now);
}

uint64_t SubscriptionState::Expire(uint64_t oldest) {
  if (acked_.floor() + 1 >= oldest) return 0;
  for (auto it = pending_.begin(); it != pending_.end() && it->first < oldest;) {
    const uint64_t sequence = it->first;
    if (!it->second.replay) {
      if (it->second.attempts > 0) settled_.push_back({.sequence = sequence});
      Forget(it);
    }
    it = pending_.upper_bound(sequence);
  }
  const uint64_t expired = acked_.AddThrough(oldest - 1);
  next_ = std::max(next_, acked_.floor() + 1);
  delivered_through_ = std::max(delivered_through_, acked_.floor());
  return expired;
}

// --- Order by sender.

// A new event, which is kReady, waits for the one of its sender that is under way.
void SubscriptionState::EnterQueue(Iterator it, int64_t retry_at) {
  if (!policy_.order_by_sender) return;
  SenderQueue& queue = senders_[it->second.sender];
  queue.events.insert(it->first);
  if (++queue.active > 1) SetPhase(it, Phase::kHeld, retry_at);
}

void SubscriptionState::LeaveQueue(Iterator it) {
  if (!policy_.order_by_sender) return;
  const auto sender = senders_.find(it->second.sender);
  SenderQueue& queue = sender->second;
  queue.events.erase(it->first);
  if (it->second.phase != Phase::kHeld) --queue.active;
  if (queue.events.empty()) {
    senders_.erase(sender);
  } else if (queue.active == 0) {
    LetGo(pending_.find(*queue.events.begin()));
  }
}

// It may have been delivered before a restart.
void SubscriptionState::LetGo(Iterator it) {
  const int64_t retry_at = it->second.due;
  if (HadLastFailure(it->second)) {
    GiveUpOn(it, "max_attempts");
  } else if (retry_at > 0) {
    SetPhase(it, Phase::kWaiting, retry_at);
  } else {
    SetPhase(it, Phase::kReady);
  }
}

// --- Phases.

void SubscriptionState::LeavePhase(Iterator it) {
  const Pending& pending = it->second;
  switch (pending.phase) {
    case Phase::kHeld:
      --held_;
      break;
    case Phase::kReady:
      (pending.group == kAnyGroup ? ready_ : suspects_).erase(it->first);
      break;
    case Phase::kLeased:
      if (pending.due != kNever) timers_.erase({pending.due, it->first});
      --leased_;
      hands_.Drop(pending.stream, it->first, pending.bytes, pending.group);
      break;
    case Phase::kWaiting:
      timers_.erase({pending.due, it->first});
      break;
    case Phase::kGivenUp:
      --given_up_count_;
      break;
  }
}

void SubscriptionState::SetPhase(Iterator it, Phase phase, int64_t due) {
  LeavePhase(it);
  Pending& pending = it->second;
  if ((pending.phase == Phase::kHeld) != (phase == Phase::kHeld)) {
    senders_.at(pending.sender).active += phase == Phase::kHeld ? -1 : 1;
  }
  pending.phase = phase;
  pending.due = due;
  switch (phase) {
    case Phase::kHeld:
      ++held_;
      break;
    case Phase::kReady:
      (pending.group == kAnyGroup ? ready_ : suspects_).insert(it->first);
      break;
    case Phase::kLeased:
      if (due != kNever) timers_.emplace_last(due, it->first);
      ++leased_;
      hands_.Take(pending.stream, it->first, pending.bytes, pending.group);
      break;
    case Phase::kWaiting:
      timers_.emplace(due, it->first);
      break;
    case Phase::kGivenUp:
      ++given_up_count_;
      break;
  }
}

// Of a lease.
void SubscriptionState::SetDeadline(Iterator it, int64_t due) {
  int64_t& now = it->second.due;
  if (now != kNever) timers_.erase({now, it->first});
  now = due;
  timers_.emplace_last(due, it->first);
}

void SubscriptionState::Forget(Iterator it) {
  LeavePhase(it);
  LeaveQueue(it);
  if (it->second.replay) --replays_;
  pending_.erase(it);
}

}  // namespace mmsmo::embedded
