#include "gateway/embedded/subscriptions/subscription_state.h"

#include <algorithm>
#include <limits>

namespace mmsmo::embedded {

SubscriptionState::SubscriptionState(const SubscriptionPolicy& policy, AckedSet acked,
                                     uint64_t delivered_through)
    : policy_(policy),
      acked_(std::move(acked)),
      next_(acked_.floor() + 1),
      delivered_through_(std::max(delivered_through, acked_.floor())) {}

void SubscriptionState::AddStream(StreamId stream, Window window) {
  streams_[stream] = {.window = window};
}

void SubscriptionState::RemoveStream(StreamId stream, int64_t now) {
  if (streams_[stream].messages > 0) {
    for (auto it = pending_.begin(); it != pending_.end(); ++it) {
      if (it->second.phase == Phase::kLeased && it->second.stream == stream) Retry(it, now, now);
    }
  }
  streams_.erase(stream);
}

int SubscriptionState::Room(StreamId stream, uint64_t available) const {
  const Stream& own = streams_.at(stream);
  const auto share = [streams = streams_.size()](uint64_t all) {
    const uint64_t each = (all + streams - 1) / streams;
    return static_cast<int64_t>(std::min<uint64_t>(each, std::numeric_limits<int>::max()));
  };
  const auto ceiling = static_cast<uint64_t>(policy_.max_outstanding);
  if (!HasBytesLeft(stream) || leased_ >= ceiling) return 0;
  const int64_t room =
      std::min({int64_t{own.window.messages} - own.messages, share(ceiling) - own.messages,
                static_cast<int64_t>(ceiling - leased_), share(available)});
  return static_cast<int>(std::max<int64_t>(room, 0));
}

bool SubscriptionState::HasBytesLeft(StreamId stream) const {
  const Stream& own = streams_.at(stream);
  return own.bytes < own.window.bytes;
}

SubscriptionState::Lease SubscriptionState::MakeLease(Iterator it, StreamId stream, int64_t now) {
  Pending& pending = it->second;
  ++pending.attempts;
  pending.stream = stream;
  pending.lease_number = ++last_lease_;
  SetPhase(it, Phase::kLeased, now + policy_.ack_deadline);
  ++totals_.delivered;
  if (pending.attempts > 1) ++totals_.redelivered;
  if (!pending.replay) delivered_through_ = std::max(delivered_through_, it->first);
  return {.sequence = it->first,
          .attempt = pending.attempts,
          .number = pending.lease_number,
          .deadline = pending.due,
          .replay = pending.replay};
}

std::optional<SubscriptionState::Lease> SubscriptionState::Redeliver(StreamId stream, int64_t now) {
  if (ready_.empty()) return std::nullopt;
  return MakeLease(pending_.find(*ready_.begin()), stream, now);
}

std::optional<SubscriptionState::Lease> SubscriptionState::Offer(const Candidate& candidate,
                                                                 StreamId stream, int64_t now) {
  if (acked_.Contains(candidate.sequence) || pending_.contains(candidate.sequence)) {
    Pass();  // the replay of a dead letter delivers it
    return std::nullopt;
  }
  next_ = candidate.sequence + 1;
  const auto it = pending_
                      .emplace(candidate.sequence, Pending{.sender = candidate.sender,
                                                           .attempts = candidate.attempts,
                                                           .bytes = candidate.bytes})
                      .first;
  ready_.insert(candidate.sequence);
  EnterQueue(it, candidate.retry_at);
  if (it->second.phase == Phase::kHeld) return std::nullopt;
  if (candidate.attempts > 0) Retry(it, candidate.retry_at, now);
  if (it->second.phase != Phase::kReady) return std::nullopt;
  return MakeLease(it, stream, now);
}

void SubscriptionState::Pass() { acked_.Add(next_++); }

void SubscriptionState::TakeBack(const Lease& lease) {
  const auto it = pending_.find(lease.sequence);
  if (it == pending_.end()) return;  // retention has taken it
  --totals_.delivered;
  if (it->second.attempts > 1) --totals_.redelivered;
  --it->second.attempts;
  SetPhase(it, Phase::kReady);
}

bool SubscriptionState::IsOf(const Lease& lease, const Pending& pending) {
  return pending.attempts == lease.attempt && pending.lease_number == lease.number;
}

SubscriptionState::Iterator SubscriptionState::FindLease(const Lease& lease, Effect* effect) {
  const auto it = pending_.find(lease.sequence);
  if (it == pending_.end()) {
    const bool unscanned = lease.sequence >= next_ && lease.sequence <= delivered_through_ &&
                           !acked_.Contains(lease.sequence);
    *effect = unscanned ? Effect::kUnscanned : Effect::kExpired;
    return it;
  }
  const bool holds = it->second.phase == Phase::kLeased && IsOf(lease, it->second);
  *effect = holds ? Effect::kDone : Effect::kExpired;
  return holds ? it : pending_.end();
}

SubscriptionState::Effect SubscriptionState::Acknowledge(const Lease& lease) {
  Effect effect;
  const auto it = FindLease(lease, &effect);
  if (it == pending_.end()) {
    const bool before = !pending_.contains(lease.sequence) && acked_.Contains(lease.sequence);
    return before ? Effect::kBefore : effect;
  }
  ++totals_.acked;
  Settle(lease.sequence);
  return Effect::kDone;
}

SubscriptionState::Effect SubscriptionState::Extend(const Lease& lease, int64_t until) {
  Effect effect;
  const auto it = FindLease(lease, &effect);
  if (it != pending_.end()) SetPhase(it, Phase::kLeased, until);
  return effect;
}

SubscriptionState::Effect SubscriptionState::HandBack(const Lease& lease, int64_t retry_at,
                                                      int64_t now) {
  Effect effect;
  const auto it = FindLease(lease, &effect);
  if (it != pending_.end()) {
    Retry(it, retry_at, now);
    return Effect::kDone;
  }
  const auto again = pending_.find(lease.sequence);
  return again != pending_.end() && IsOf(lease, again->second) ? Effect::kDone : effect;
}

SubscriptionState::Effect SubscriptionState::GiveUp(const Lease& lease, std::string reason) {
  Effect effect;
  const auto it = FindLease(lease, &effect);
  if (it != pending_.end()) {
    GiveUpOn(it, std::move(reason));
    return Effect::kDone;
  }
  const auto again = pending_.find(lease.sequence);
  const bool given_up = again != pending_.end() && again->second.phase == Phase::kGivenUp &&
                        IsOf(lease, again->second);
  return given_up ? Effect::kDone : effect;
}

void SubscriptionState::AcknowledgeUnscanned(uint64_t sequence) {
  if (!acked_.Add(sequence)) return;
  ++totals_.acked;
  settled_.push_back({.sequence = sequence});
}

void SubscriptionState::OnTime(int64_t now) {
  while (!timers_.empty() && timers_.begin()->first <= now) {
    const auto it = pending_.find(timers_.begin()->second);
    if (it->second.phase == Phase::kLeased) {
      ++totals_.lease_expired;
      Retry(it, now + Backoff(it->second.attempts), now);
    } else {
      SetPhase(it, Phase::kReady);
    }
  }
}

int64_t SubscriptionState::NextDue() const {
  return timers_.empty() ? std::numeric_limits<int64_t>::max() : timers_.begin()->first;
}

int64_t SubscriptionState::Backoff(uint32_t attempts) const {
  int64_t backoff = policy_.min_backoff;
  for (uint32_t i = 1; i < attempts && backoff < policy_.max_backoff; ++i) backoff *= 2;
  return std::min(backoff, policy_.max_backoff);
}

// The event has been delivered, in vain: again at `retry_at`, or never.
void SubscriptionState::Retry(Iterator it, int64_t retry_at, int64_t now) {
  if (HadLastAttempt(it->second)) return GiveUpOn(it, "max_attempts");
  retry_at <= now ? SetPhase(it, Phase::kReady) : SetPhase(it, Phase::kWaiting, retry_at);
}

bool SubscriptionState::HadLastAttempt(const Pending& pending) const {
  return policy_.max_attempts > 0 &&
         pending.attempts >= static_cast<uint32_t>(policy_.max_attempts);
}

void SubscriptionState::GiveUpOn(Iterator it, std::string reason) {
  SetPhase(it, Phase::kGivenUp);
  given_up_.push_back({.sequence = it->first,
                       .attempts = it->second.attempts,
                       .reason = std::move(reason),
                       .replay = it->second.replay});
}

void SubscriptionState::Settle(uint64_t sequence) {
  const auto it = pending_.find(sequence);
  if (it == pending_.end()) return;
  const Pending& pending = it->second;
  if (pending.phase == Phase::kGivenUp) ++totals_.dead_lettered;
  if (pending.replay || pending.attempts > unrecorded_attempts()) {
    settled_.push_back({.sequence = sequence, .replay = pending.replay});
  }
  if (!pending.replay) acked_.Add(sequence);
  Forget(it);
}

// But for those that retention has taken since.
std::vector<SubscriptionState::GivenUp> SubscriptionState::TakeGivenUp() {
  std::erase_if(given_up_, [this](const GivenUp& one) { return !IsPending(one.sequence); });
  return std::exchange(given_up_, {});
}

bool SubscriptionState::IsWaiting(uint64_t sequence) const {
  const auto it = pending_.find(sequence);
  return it != pending_.end() && it->second.phase == Phase::kWaiting;
}

void SubscriptionState::Replay(const Candidate& candidate, int64_t now) {
  const auto [it, added] =
      pending_.emplace(candidate.sequence, Pending{.sender = candidate.sender,
                                                   .attempts = candidate.attempts,
                                                   .bytes = candidate.bytes});
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
    Retry(it, candidate.retry_at, now);
  }
}

std::vector<SubscriptionState::Candidate> SubscriptionState::DeliveredReplays() const {
  std::vector<Candidate> replays;
  if (replays_ == 0) return replays;
  for (const auto& [sequence, pending] : pending_) {
    if (!pending.replay || pending.attempts == 0) continue;
    replays.push_back({.sequence = sequence, .attempts = pending.attempts});
  }
  return replays;
}

void SubscriptionState::Seek(uint64_t floor, int64_t now) {
  std::vector<Candidate> replays;
  for (const auto& [sequence, pending] : pending_) {
    if (!pending.replay) continue;
    replays.push_back({.sequence = sequence,
                       .sender = pending.sender,
                       .bytes = pending.bytes,
                       .attempts = pending.attempts});
  }
  pending_.clear();
  timers_.clear();
  ready_.clear();
  senders_.clear();
  given_up_.clear();
  settled_.clear();
  leased_ = held_ = replays_ = 0;
  for (auto& [id, stream] : streams_) stream = {.window = stream.window};
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

// A new event, which is kReady, waits for the one of its sender that is under way.
void SubscriptionState::EnterQueue(Iterator it, int64_t retry_at) {
  if (!policy_.order_by_sender) return;
  absl::btree_set<uint64_t>& queue = senders_[it->second.sender];
  queue.insert(it->first);
  if (queue.size() > 1) SetPhase(it, Phase::kHeld, retry_at);
}

void SubscriptionState::LeaveQueue(Iterator it) {
  if (!policy_.order_by_sender) return;
  const auto sender = senders_.find(it->second.sender);
  absl::btree_set<uint64_t>& queue = sender->second;
  queue.erase(it->first);
  if (queue.empty()) {
    senders_.erase(sender);
  } else if (it->second.phase != Phase::kHeld) {
    Release(pending_.find(*queue.begin()));
  }
}

// It may have been delivered before a restart.
void SubscriptionState::Release(Iterator it) {
  const int64_t retry_at = it->second.due;
  if (HadLastAttempt(it->second)) {
    GiveUpOn(it, "max_attempts");
  } else if (retry_at > 0) {
    SetPhase(it, Phase::kWaiting, retry_at);
  } else {
    SetPhase(it, Phase::kReady);
  }
}

void SubscriptionState::LeavePhase(Iterator it) {
  const Pending& pending = it->second;
  switch (pending.phase) {
    case Phase::kHeld:
      --held_;
      break;
    case Phase::kReady:
      ready_.erase(it->first);
      break;
    case Phase::kLeased: {
      timers_.erase({pending.due, it->first});
      --leased_;
      Stream& stream = streams_[pending.stream];
      --stream.messages;
      stream.bytes -= pending.bytes;
      break;
    }
    case Phase::kWaiting:
      timers_.erase({pending.due, it->first});
      break;
    case Phase::kGivenUp:
      break;
  }
}

void SubscriptionState::SetPhase(Iterator it, Phase phase, int64_t due) {
  LeavePhase(it);
  Pending& pending = it->second;
  pending.phase = phase;
  pending.due = due;
  switch (phase) {
    case Phase::kHeld:
      ++held_;
      break;
    case Phase::kReady:
      ready_.insert(it->first);
      break;
    case Phase::kLeased: {
      timers_.emplace(due, it->first);
      ++leased_;
      Stream& stream = streams_[pending.stream];
      ++stream.messages;
      stream.bytes += pending.bytes;
      break;
    }
    case Phase::kWaiting:
      timers_.emplace(due, it->first);
      break;
    case Phase::kGivenUp:
      break;
  }
}

void SubscriptionState::Forget(Iterator it) {
  LeavePhase(it);
  LeaveQueue(it);
  if (it->second.replay) --replays_;
  pending_.erase(it);
}

}  // namespace mmsmo::embedded
