// The part of Subscription that the thread calls which writes.

#include <limits>

#include "gateway/base/log.h"
#include "gateway/base/status.h"
#include "gateway/broker/proto_time.h"
#include "gateway/embedded/subscriptions/subscription.h"

namespace mmsmo::embedded {
namespace {

using Effect = SubscriptionState::Effect;

constexpr int64_t kUseEveryMicros = 60'000'000;
constexpr int64_t kLogEveryMicros = 60'000'000;

SubscriptionState::Lease LeaseOf(const AckId& id) {
  return {.sequence = id.sequence, .attempt = id.attempt, .number = id.lease};
}

}  // namespace

absl::Status Subscription::Apply(const std::vector<std::string>& ack_ids,
                                 const broker::AckChange& change, rocksdb::WriteBatch* batch,
                                 std::vector<v1::AckFailure>* failures) {
  MutexLock lock(&mu_);
  if (deleted_) return NotFound("subscription: there is no '{}'", name_);
  for (const std::string& text : ack_ids) {
    const auto id = DecodeAckId(text);
    auto reason = v1::ACK_FAILURE_REASON_UNSPECIFIED;
    if (!id.ok() || id->subscription != id_ || id->epoch > progress_.epoch) {
      reason = v1::ACK_FAILURE_REASON_INVALID;
    } else if (id->epoch < progress_.epoch) {
      reason = v1::ACK_FAILURE_REASON_EXPIRED;
    } else {
      reason = ApplyOne(*id, change, batch);
    }
    if (reason == v1::ACK_FAILURE_REASON_UNSPECIFIED) continue;
    v1::AckFailure& failure = failures->emplace_back();
    failure.set_ack_id(text);
    failure.set_reason(reason);
  }
  Changed();
  return absl::OkStatus();
}

v1::AckFailureReason Subscription::ApplyOne(const AckId& id, const broker::AckChange& change,
                                            rocksdb::WriteBatch* batch) {
  const int64_t now = rooms_.clock->MonotonicMicros();
  auto effect = Effect::kExpired;
  switch (change.kind) {
    case broker::AckChange::Kind::kAcknowledge:
      return AcknowledgeOne(id);
    case broker::AckChange::Kind::kExtend:
      effect = state_.Extend(LeaseOf(id), now + change.micros);
      break;
    case broker::AckChange::Kind::kHandBack:
      effect = state_.HandBack(LeaseOf(id), now + change.micros, now);
      if (effect == Effect::kDone && state_.IsWaiting(id.sequence)) {
        rooms_.records->PutRetry(id_, id.sequence, rooms_.clock->NowMicros() + change.micros,
                                 change.micros, batch);
      }
      break;
    case broker::AckChange::Kind::kDeadLetter:
      effect = state_.GiveUp(LeaseOf(id), change.reason);
      // Said again, since the answer was lost.
      if (effect != Effect::kDone && IsBuried(id.sequence)) effect = Effect::kDone;
      break;
  }
  return effect == Effect::kDone ? v1::ACK_FAILURE_REASON_UNSPECIFIED
                                 : v1::ACK_FAILURE_REASON_EXPIRED;
}

v1::AckFailureReason Subscription::AcknowledgeOne(const AckId& id) {
  switch (state_.Acknowledge(LeaseOf(id))) {
    case Effect::kDone:
      return v1::ACK_FAILURE_REASON_UNSPECIFIED;
    case Effect::kBefore:
      return IsBuried(id.sequence) ? v1::ACK_FAILURE_REASON_EXPIRED
                                   : v1::ACK_FAILURE_REASON_UNSPECIFIED;
    case Effect::kExpired:
      return v1::ACK_FAILURE_REASON_EXPIRED;
    case Effect::kUnscanned:
      break;
  }
  const auto record = rooms_.records->ReadAttempts(id_, id.sequence);
  if (!record.ok()) return v1::ACK_FAILURE_REASON_TRANSIENT;
  if (record->attempts.value_or(state_.unrecorded_attempts()) != id.attempt) {
    return v1::ACK_FAILURE_REASON_EXPIRED;
  }
  state_.AcknowledgeUnscanned(id.sequence);
  return v1::ACK_FAILURE_REASON_UNSPECIFIED;
}

bool Subscription::IsBuried(uint64_t sequence) const {
  for (const auto& [buried, bytes] : graves_) {
    if (buried == sequence) return true;
  }
  const auto bytes = rooms_.records->Read(SubscriptionRecords::Grave::kDeadLetter, id_, sequence);
  return bytes.ok() && bytes->has_value();
}

void Subscription::OnTime() {
  MutexLock lock(&mu_);
  state_.OnTime(rooms_.clock->MonotonicMicros());
  ExpireRemoved();
  if (state_.streams() > 0 &&
      header_.last_used_micros + kUseEveryMicros < rooms_.clock->NowMicros()) {
    Use();
  }
  Changed();
}

bool Subscription::IsDue() const {
  return next_due_.load(std::memory_order_relaxed) <= rooms_.clock->MonotonicMicros();
}

bool Subscription::HasMoved() const {
  MutexLock lock(&mu_);
  return state_.acked().floor() != saved_floor_;
}

bool Subscription::IsAbandoned() const {
  return header_.settings.has_expiration_ttl() && state_.streams() == 0 &&
         header_.last_used_micros + broker::MicrosOf(header_.settings.expiration_ttl()) <
             rooms_.clock->NowMicros();
}

void Subscription::ExpireRemoved() {
  const int64_t now = rooms_.clock->MonotonicMicros();
  const uint64_t oldest = rooms_.journal->oldest();
  if (state_.acked().floor() + 1 < oldest) {
    const uint64_t expired = state_.Expire(oldest);
    progress_.expired += expired;
    expired_unlogged_ += expired;
    forget_before_ = oldest;
    progress_changed_ = true;
  }
  if (expired_unlogged_ == 0 ||
      (expired_logged_at_ > 0 && now < expired_logged_at_ + kLogEveryMicros)) {
    return;
  }
  Log()->warn("retention removed {} events before subscription {} had them acknowledged",
              std::exchange(expired_unlogged_, 0), name_);
  expired_logged_at_ = now;
}

void Subscription::Changed() {
  const uint64_t available = Available();
  waiting_.WakeThoseWithRoom([&](StreamId stream) {
    mu_.AssertHeld();
    return state_.Room(stream, available) > 0;
  });
  // The one that is woken comes here again when it has taken something, or has gone.
  if (available > 0) {
    waiting_.WakeOne();
  } else if (waiting_.AnyWithRoom()) {
    WatchHead();
  }
  const bool to_save = state_.has_given_up() || progress_changed_ || header_changed_;
  next_due_.store(to_save ? std::numeric_limits<int64_t>::min() : state_.NextDue(),
                  std::memory_order_relaxed);
}

void Subscription::BuryGivenUp() {
  for (SubscriptionState::GivenUp& given_up : state_.TakeGivenUp()) {
    auto dead_letter = Corpse(given_up);
    if (dead_letter.ok()) {
      dead_letter->set_attempts(static_cast<int32_t>(given_up.attempts));
      dead_letter->set_reason(given_up.reason);
      *dead_letter->mutable_dead_letter_time() = broker::ToTimestamp(rooms_.clock->NowMicros());
      if (!IsBuried(given_up.sequence)) ++progress_.dead_letters;
      graves_.emplace_back(given_up.sequence, dead_letter->SerializeAsString());
    } else if (absl::IsNotFound(dead_letter.status())) {
      ++progress_.expired;
    } else {
      const int64_t now = rooms_.clock->MonotonicMicros();
      if (unburied_logged_at_ == 0 || now >= unburied_logged_at_ + kLogEveryMicros) {
        Log()->error("a dead letter of subscription {} is not written yet: {}", name_,
                     MessageOf(dead_letter.status()));
        unburied_logged_at_ = now;
      }
      state_.GiveUpAgain(std::move(given_up));
      continue;
    }
    progress_changed_ = true;
    state_.Settle(given_up.sequence);
  }
}

// NotFound for one that retention has removed.
absl::StatusOr<v1::DeadLetter> Subscription::Corpse(
    const SubscriptionState::GivenUp& given_up) const {
  v1::DeadLetter dead_letter;
  if (given_up.replay) {
    auto bytes = rooms_.records->Read(SubscriptionRecords::Grave::kReplay, id_, given_up.sequence);
    if (!bytes.ok()) return bytes.status();
    if (!*bytes) return NotFound("there is no such replay");
    if (dead_letter.ParseFromString(**bytes)) return dead_letter;
  } else {
    auto event = rooms_.journal->reader().Event(given_up.sequence);
    if (!event.ok()) return event.status();
    if (dead_letter.mutable_event()->ParseFromString(*event)) return dead_letter;
  }
  return DataLoss("its event cannot be read");
}

void Subscription::Save(rocksdb::WriteBatch* batch) {
  MutexLock lock(&mu_);
  if (deleted_) return;
  BuryGivenUp();
  const auto settled = state_.TakeSettled();
  settled_.insert(settled_.end(), settled.begin(), settled.end());
  for (const SubscriptionState::Settled& one : settled_) {
    rooms_.records->DeleteAttempts(id_, one.sequence, batch);
    if (one.replay) {
      rooms_.records->Delete(SubscriptionRecords::Grave::kReplay, id_, one.sequence, batch);
    }
  }
  for (const auto& [sequence, bytes] : graves_) {
    rooms_.records->Put(SubscriptionRecords::Grave::kDeadLetter, id_, sequence, bytes, batch);
  }
  // A replay's record may be behind it, and is written by a stream: so not while there are any.
  if (forget_before_ > 0 && state_.replays() == 0) {
    rooms_.records->DeleteAttemptsBefore(id_, std::exchange(forget_before_, 0), batch);
  }
  const AckedSet::Changes blocks = state_.acked().TakeChanges();
  for (const uint64_t block : blocks.written) {
    rooms_.records->PutBlock(id_, block, state_.acked().words(block), batch);
  }
  for (const uint64_t block : blocks.removed) rooms_.records->DeleteBlock(id_, block, batch);
  progress_.floor = state_.acked().floor();
  if (progress_.floor != saved_floor_ || progress_changed_) {
    rooms_.records->Put(id_, progress_, batch);
  }
  if (header_changed_) rooms_.records->Put(header_, batch);
  saved_floor_ = progress_.floor;
  progress_changed_ = header_changed_ = false;
  Changed();
}

void Subscription::Saved(bool written) {
  MutexLock lock(&mu_);
  if (written) {
    graves_.clear();
    settled_.clear();
    return;
  }
  state_.acked().MarkChanged();
  progress_changed_ = header_changed_ = true;
  Changed();
}

absl::Status Subscription::Seek(const Positions::Start& start, const Write& write) {
  MutexLock lock(&mu_);
  if (deleted_) return NotFound("subscription: there is no '{}'", name_);
  SubscriptionProgress progress = progress_;
  progress.floor = start.after;
  progress.not_before = start.not_before;
  ++progress.epoch;
  rocksdb::WriteBatch batch;
  if (auto status = rooms_.records->DeletePositions(id_, &batch); !status.ok()) return status;
  PutReplayAttempts(&batch);
  rooms_.records->PutDeliveredThrough(id_, start.after, &batch);
  rooms_.records->Put(id_, progress, &batch);
  if (auto status = write(&batch); !status.ok()) return status;
  progress_ = progress;
  saved_floor_ = progress.floor;
  saved_delivered_through_ = start.after;
  recorded_through_ = 0;
  state_.Seek(start.after, rooms_.clock->MonotonicMicros());
  Changed();
  return absl::OkStatus();
}

void Subscription::PutReplayAttempts(rocksdb::WriteBatch* batch) const {
  for (const SubscriptionState::Candidate& replay : state_.DeliveredReplays()) {
    rooms_.records->PutAttempts(id_, replay.sequence, replay.attempts, batch);
  }
}

absl::StatusOr<int64_t> Subscription::Replay(const std::vector<uint64_t>& sequences,
                                             const Write& write) {
  MutexLock lock(&mu_);
  if (deleted_) return NotFound("subscription: there is no '{}'", name_);
  rocksdb::WriteBatch batch;
  std::vector<SubscriptionState::Candidate> replays;
  for (const uint64_t sequence : sequences) {
    auto bytes = rooms_.records->Read(SubscriptionRecords::Grave::kDeadLetter, id_, sequence);
    if (!bytes.ok()) return bytes.status();
    v1::DeadLetter dead_letter;
    if (!*bytes || !dead_letter.ParseFromString(**bytes)) continue;
    rooms_.records->Delete(SubscriptionRecords::Grave::kDeadLetter, id_, sequence, &batch);
    rooms_.records->Put(SubscriptionRecords::Grave::kReplay, id_, sequence, **bytes, &batch);
    replays.push_back({.sequence = sequence,
                       .sender = SenderHash(dead_letter.event().mms_mo()),
                       .bytes = static_cast<uint32_t>(dead_letter.event().ByteSizeLong())});
  }
  SubscriptionProgress progress = progress_;
  progress.dead_letters -= replays.size();
  rooms_.records->Put(id_, progress, &batch);
  if (auto status = write(&batch); !status.ok()) return status;
  progress_ = progress;
  for (const auto& replay : replays) state_.Replay(replay, rooms_.clock->MonotonicMicros());
  Changed();
  return static_cast<int64_t>(replays.size());
}

absl::Status Subscription::Delete(const Write& write) {
  MutexLock lock(&mu_);
  return DeleteLocked(write);
}

bool Subscription::DeleteIfAbandoned(const Write& write) {
  MutexLock lock(&mu_);
  return IsAbandoned() && DeleteLocked(write).ok();
}

absl::Status Subscription::DeleteLocked(const Write& write) {
  rocksdb::WriteBatch batch;
  rooms_.records->DeleteAll(header_, &batch);
  if (auto status = write(&batch); !status.ok()) return status;
  deleted_ = true;
  waiting_.WakeAll();
  return absl::OkStatus();
}

}  // namespace mmsmo::embedded
