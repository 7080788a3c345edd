// The part of Subscription that the thread calls which writes.

#include <limits>

#include "gateway/base/log.h"
#include "gateway/base/status.h"
#include "gateway/broker/proto_time.h"
#include "gateway/embedded/subscription.h"

namespace mmsmo::embedded {
namespace {

constexpr int64_t kUseEveryMicros = 60'000'000;

}  // namespace

void Subscription::Apply(const std::vector<std::string>& ack_ids, const broker::AckChange& change,
                         rocksdb::WriteBatch* batch, std::vector<v1::AckFailure>* failures) {
  MutexLock lock(&mu_);
  for (const std::string& text : ack_ids) {
    const auto fail = [&](v1::AckFailureReason reason) {
      v1::AckFailure& failure = failures->emplace_back();
      failure.set_ack_id(text);
      failure.set_reason(reason);
    };
    const auto id = DecodeAckId(text);
    if (!id.ok() || id->subscription != id_ || id->epoch > progress_.epoch) {
      fail(v1::ACK_FAILURE_REASON_INVALID);
    } else if (id->epoch < progress_.epoch ||
               ApplyOne(*id, change, batch) != SubscriptionState::Effect::kDone) {
      fail(v1::ACK_FAILURE_REASON_EXPIRED);
    }
  }
  Changed();
}

SubscriptionState::Effect Subscription::ApplyOne(const AckId& id, const broker::AckChange& change,
                                                 rocksdb::WriteBatch* batch) {
  using Effect = SubscriptionState::Effect;
  const SubscriptionState::Lease lease{
      .sequence = id.sequence, .attempt = id.attempt, .number = id.lease};
  const int64_t now = rooms_.clock->MonotonicMicros();
  switch (change.kind) {
    case broker::AckChange::Kind::kAcknowledge: {
      const Effect effect = state_.Acknowledge(lease);
      if (effect != Effect::kUnscanned) return effect;
      const auto record = rooms_.records->ReadAttempts(id_, id.sequence);
      if (!record.ok() || record->attempts.value_or(state_.unrecorded_attempts()) != id.attempt) {
        return Effect::kExpired;
      }
      state_.AcknowledgeUnscanned(id.sequence);
      return Effect::kDone;
    }
    case broker::AckChange::Kind::kExtend:
      return state_.Extend(lease, now + change.micros);
    case broker::AckChange::Kind::kHandBack: {
      const Effect effect = state_.HandBack(lease, now + change.micros, now);
      if (effect == Effect::kDone && change.micros > 0) {
        rooms_.records->PutRetryAt(id_, id.sequence, rooms_.clock->NowMicros() + change.micros,
                                   batch);
      }
      return effect;
    }
    case broker::AckChange::Kind::kDeadLetter:
      return state_.GiveUp(lease, change.reason);
  }
  return Effect::kExpired;
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
  MutexLock lock(&mu_);
  return header_.settings.has_expiration_ttl() && state_.streams() == 0 &&
         header_.last_used_micros + broker::MicrosOf(header_.settings.expiration_ttl()) <
             rooms_.clock->NowMicros();
}

void Subscription::ExpireRemoved() {
  const uint64_t oldest = rooms_.journal->oldest();
  if (state_.acked().floor() + 1 >= oldest) return;
  const uint64_t expired = state_.Expire(oldest);
  if (expired == 0) return;
  progress_.expired += expired;
  progress_changed_ = true;
  Log()->warn("retention removed {} events before subscription {} had them acknowledged", expired,
              name_);
}

void Subscription::Changed() {
  const uint64_t available = Available();
  waiting_.WakeThoseWithRoom([&](StreamId stream) {
    mu_.AssertHeld();
    return state_.Room(stream, available) > 0;
  });
  if (available > 0) waiting_.WakeOne();
  const bool to_save = state_.has_given_up() || progress_changed_ || header_changed_;
  next_due_.store(to_save ? std::numeric_limits<int64_t>::min() : state_.NextDue(),
                  std::memory_order_relaxed);
}

// An event that is no longer in the log is lost to its dead letter too.
void Subscription::BuryGivenUp() {
  for (const SubscriptionState::GivenUp& given_up : state_.TakeGivenUp()) {
    v1::DeadLetter dead_letter;
    bool found = false;
    if (given_up.replay) {
      const auto bytes =
          rooms_.records->Read(SubscriptionRecords::Grave::kReplay, id_, given_up.sequence);
      found = bytes.ok() && *bytes && dead_letter.ParseFromString(**bytes);
    } else {
      const auto event = rooms_.journal->reader().Event(given_up.sequence);
      found = event.ok() && dead_letter.mutable_event()->ParseFromString(*event);
    }
    if (found) {
      dead_letter.set_attempts(static_cast<int32_t>(given_up.attempts));
      dead_letter.set_reason(given_up.reason);
      *dead_letter.mutable_dead_letter_time() = broker::ToTimestamp(rooms_.clock->NowMicros());
      graves_.emplace_back(given_up.sequence, dead_letter.SerializeAsString());
      ++progress_.dead_letters;
    } else {
      ++progress_.expired;
    }
    progress_changed_ = true;
    state_.Settle(given_up.sequence);
  }
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
  SubscriptionProgress progress = progress_;
  progress.floor = start.after;
  progress.not_before = start.not_before;
  ++progress.epoch;
  rocksdb::WriteBatch batch;
  rooms_.records->DeletePositions(id_, &batch);
  rooms_.records->PutDeliveredThrough(id_, start.after, &batch);
  rooms_.records->Put(id_, progress, &batch);
  if (auto status = write(&batch); !status.ok()) return status;
  progress_ = progress;
  saved_floor_ = progress.floor;
  recorded_through_ = 0;
  state_.Seek(start.after);
  Changed();
  return absl::OkStatus();
}

absl::StatusOr<int64_t> Subscription::Replay(const std::vector<uint64_t>& sequences,
                                             const Write& write) {
  MutexLock lock(&mu_);
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
  for (const auto& replay : replays) state_.Replay(replay);
  Changed();
  return static_cast<int64_t>(replays.size());
}

absl::Status Subscription::Delete(const Write& write) {
  MutexLock lock(&mu_);
  rocksdb::WriteBatch batch;
  rooms_.records->DeleteAll(header_, &batch);
  if (auto status = write(&batch); !status.ok()) return status;
  deleted_ = true;
  waiting_.WakeAll();
  return absl::OkStatus();
}

}  // namespace mmsmo::embedded
