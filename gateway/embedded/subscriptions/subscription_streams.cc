// The part of Subscription that its streams call.

#include <absl/hash/hash.h>

#include <algorithm>

#include "gateway/base/status.h"
#include "gateway/broker/delivery_frame.h"
#include "gateway/embedded/subscriptions/subscription.h"

namespace mmsmo::embedded {
namespace {

// What one Take may spend on events that it does not deliver: so much for each that has to be
// parsed, 1 for each that is done with.
constexpr int kEffort = 10'000;
constexpr int kEffortToParse = 10;
// What a delivery needs beside its event, at most.
constexpr size_t kLeaseBytes = 128;

}  // namespace

struct Subscription::Filling {
  const StreamId stream;
  const broker::TakeLimits limits;
  const uint64_t head;
  const int64_t now;           // monotonic
  const int64_t now_to_clock;  // what to add for the time of day
  int room;
  LogScan scan;
  int effort = 0;
  bool full = false;
  broker::Batch batch;
  std::vector<SubscriptionState::Lease> leases;
  rocksdb::WriteBatch records = rocksdb::WriteBatch();

  bool HasRoomFor(size_t event_bytes) {
    full =
        batch.count > 0 && batch.deliveries.size() + event_bytes + kLeaseBytes > limits.max_bytes;
    return !full;
  }
  bool Done() const { return full || batch.count >= room; }
};

uint64_t Subscription::SenderHash(const v1::MmsMo& message) {
  return absl::Hash<std::string>()(message.sender().value());
}

Subscription::StreamId Subscription::AddStream(SubscriptionState::Window window) {
  MutexLock lock(&mu_);
  if (!filter_) filter_ = std::make_unique<broker::EventFilter>(header_.settings.filter());
  Use();
  state_.AddStream(++last_stream_, window);
  return last_stream_;
}

void Subscription::RemoveStream(StreamId stream) {
  MutexLock lock(&mu_);
  waiting_.Remove(stream);
  state_.RemoveStream(stream, rooms_.clock->MonotonicMicros());
  Use();
  if (state_.streams() == 0) {
    filter_.reset();
    rooms_.journal->head().Cancel(this);
  }
  // It may have been woken for what another can take now.
  Changed();
}

void Subscription::Use() {
  header_.last_used_micros = rooms_.clock->NowMicros();
  header_changed_ = header_.settings.has_expiration_ttl();
}

uint64_t Subscription::Available() const {
  const uint64_t head = rooms_.journal->head().head();
  const uint64_t unscanned = head >= state_.next() ? head - state_.next() + 1 : 0;
  return state_.ready() + (state_.MayOffer() ? unscanned : 0);
}

absl::StatusOr<broker::Batch> Subscription::Take(StreamId stream,
                                                 const broker::TakeLimits& limits) {
  MutexLock lock(&mu_);
  if (deleted_) return NotFound("subscription: {} was deleted", name_);
  const int64_t now = rooms_.clock->MonotonicMicros();
  state_.OnTime(now);
  Filling filling{.stream = stream,
                  .limits = limits,
                  .head = rooms_.journal->head().head(),
                  .now = now,
                  .now_to_clock = rooms_.clock->NowMicros() - now,
                  .room = std::min(limits.max_events, state_.Room(stream, Available())),
                  .scan = LogScan(rooms_.journal, rooms_.store)};
  auto status = TakeReady(&filling);
  if (status.ok()) status = TakeNew(&filling);
  if (status.ok()) status = RecordDeliveries(&filling);
  if (!status.ok()) {
    // None of them is delivered, so none may count as an attempt.
    for (const auto& lease : filling.leases) state_.TakeBack(lease);
    Changed();
    return status;
  }
  filling.batch.cursor = rooms_.positions->Cursor(state_.next() - 1);
  const uint64_t available = Available();
  using Left = broker::Batch::Left;
  if (state_.Room(stream, available) == 0) {
    const bool nothing = available == 0 && state_.next() > rooms_.journal->head().head();
    filling.batch.left = nothing ? Left::kNothing : Left::kBlocked;
  }
  Changed();  // the others may take what is left, and what comes while this one writes
  return std::move(filling.batch);
}

// Before they go out, so that attempts are counted right whatever happens to this process.
absl::Status Subscription::RecordDeliveries(Filling* filling) {
  const uint64_t delivered_through = state_.delivered_through();
  if (delivered_through != saved_delivered_through_) {
    rooms_.records->PutDeliveredThrough(id_, delivered_through, &filling->records);
  }
  if (filling->records.Count() == 0) return absl::OkStatus();
  const rocksdb::Status status = rooms_.store->db().Write({}, &filling->records);
  if (!status.ok()) {
    return Unavailable("deliveries of subscription {} cannot be recorded: {}", name_,
                       MessageOf(FromRocks(status, "writing")));
  }
  saved_delivered_through_ = delivered_through;
  return absl::OkStatus();
}

absl::Status Subscription::TakeReady(Filling* filling) {
  while (!filling->Done() && state_.ready() > 0 && state_.HasBytesLeft(filling->stream) &&
         filling->HasRoomFor(state_.ready_bytes())) {
    const auto lease = state_.Redeliver(filling->stream, filling->now);
    auto event = EventOf(*lease);
    if (event.ok()) {
      Deliver(*lease, *event, filling);
    } else if (absl::IsNotFound(event.status())) {
      state_.TakeBack(*lease);
      const size_t ready = state_.ready();
      ExpireRemoved();
      if (state_.ready() == ready) return event.status();  // it was not retention
    } else {
      state_.TakeBack(*lease);
      return event.status();
    }
  }
  return absl::OkStatus();
}

absl::StatusOr<std::string> Subscription::EventOf(const SubscriptionState::Lease& lease) {
  if (!lease.replay) {
    const auto run = rooms_.journal->newest().Find(lease.sequence);
    if (run) return std::string(run->Event(lease.sequence));
    return rooms_.journal->reader().Event(lease.sequence);
  }
  auto bytes = rooms_.records->Read(SubscriptionRecords::Grave::kReplay, id_, lease.sequence);
  if (!bytes.ok()) return bytes.status();
  v1::DeadLetter dead_letter;
  if (!*bytes || !dead_letter.ParseFromString(**bytes)) {
    return DataLoss("a dead letter of subscription {} cannot be read", name_);
  }
  return dead_letter.event().SerializeAsString();
}

absl::Status Subscription::TakeNew(Filling* filling) {
  while (!filling->Done() && state_.next() <= filling->head && state_.MayOffer() &&
         filling->effort < kEffort && state_.HasBytesLeft(filling->stream)) {
    ++filling->effort;
    if (state_.acked().Contains(state_.next())) {
      state_.Pass();
      continue;
    }
    auto event = progress_.not_before > 0 ? filling->scan.ReadFromDisk(state_.next())
                                          : filling->scan.Read(state_.next());
    if (event.ok()) {
      if (auto status = OfferNext(*event, filling); !status.ok()) return status;
    } else {
      const uint64_t missing = state_.next();
      ExpireRemoved();
      if (state_.next() == missing) return event.status();  // it was not retention
    }
  }
  return absl::OkStatus();
}

absl::Status Subscription::OfferNext(const LogScan::Event& event, Filling* filling) {
  if (event.accept_micros < progress_.not_before) {
    state_.Pass();
    return absl::OkStatus();
  }
  SubscriptionState::Candidate candidate{.sequence = state_.next(),
                                         .bytes = static_cast<uint32_t>(event.event.size())};
  if (!filter_->matches_all() || header_.settings.order_by_sender()) {
    filling->effort += kEffortToParse;
    v1::Event parsed;
    if (!parsed.ParseFromArray(event.event.data(), static_cast<int>(event.event.size())) ||
        !filter_->Matches(parsed)) {
      state_.Pass();
      return absl::OkStatus();
    }
    candidate.sender = SenderHash(parsed.mms_mo());
  }
  if (!filling->HasRoomFor(event.event.size())) return absl::OkStatus();
  // Events are accepted in the order of their times: once one has passed, all do.
  progress_changed_ = progress_changed_ || progress_.not_before > 0;
  progress_.not_before = 0;
  if (candidate.sequence <= recorded_through_) {
    auto record = rooms_.records->ReadAttempts(id_, candidate.sequence);
    if (!record.ok()) return record.status();
    candidate.attempts = record->attempts.value_or(state_.unrecorded_attempts());
    candidate.retry_at = record->RetryAt(filling->now, filling->now + filling->now_to_clock);
  }
  if (const auto lease = state_.Offer(candidate, filling->stream, filling->now)) {
    Deliver(*lease, event.event, filling);
  }
  return absl::OkStatus();
}

void Subscription::Deliver(const SubscriptionState::Lease& lease, std::string_view event,
                           Filling* filling) {
  const std::string ack_id = EncodeAckId({.subscription = id_,
                                          .epoch = progress_.epoch,
                                          .sequence = lease.sequence,
                                          .attempt = lease.attempt,
                                          .lease = lease.number});
  broker::AppendLeasedDelivery(event,
                               {.ack_id = ack_id,
                                .attempt = static_cast<int>(lease.attempt),
                                .deadline_micros = lease.deadline + filling->now_to_clock},
                               &filling->batch.deliveries);
  ++filling->batch.count;
  filling->leases.push_back(lease);
  if (lease.replay || lease.attempt > state_.unrecorded_attempts()) {
    rooms_.records->PutAttempts(id_, lease.sequence, lease.attempt, &filling->records);
  }
}

int64_t Subscription::Outstanding(StreamId stream) const {
  MutexLock lock(&mu_);
  return state_.leased(stream);
}

void Subscription::Wait(StreamId stream, absl::AnyInvocable<void()> wake) {
  MutexLock lock(&mu_);
  const uint64_t available = Available();
  if (deleted_ || state_.Room(stream, available) > 0) return wake();
  waiting_.Add(stream, /*has_room=*/available == 0 && state_.MayOffer(), std::move(wake));
  WatchHead();
}

// A growing log wakes one stream; that one wakes the next if it leaves anything.
void Subscription::WatchHead() {
  if (!state_.MayOffer()) return;
  rooms_.journal->head().Wait(this, state_.next() - 1, [this] { waiting_.WakeOne(); });
}

}  // namespace mmsmo::embedded
