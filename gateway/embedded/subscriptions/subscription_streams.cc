// The part of Subscription that its streams call.

#include <algorithm>
#include <limits>
#include <optional>

#include "gateway/base/log.h"
#include "gateway/base/status.h"
#include "gateway/broker/delivery_frame.h"
#include "gateway/broker/proto_time.h"
#include "gateway/embedded/subscriptions/subscription.h"

namespace mmsmo::embedded {
namespace {

// What a delivery needs beside its event, at most.
constexpr size_t kLeaseBytes = 128;
// So many events are read of the store at once, and while fewer wait to be offered.
constexpr int kReadEvents = 1'000;
constexpr size_t kReadAgainBelow = 250;
constexpr size_t kReadAgainBelowBytes = 256 << 10;
// What one reading may hold in memory, and where all subscriptions together have read too much.
constexpr size_t kReadBytes = 1 << 20;
constexpr size_t kLeastReadBytes = 16 << 10;
// What was read and is not taken for so long is forgotten.
constexpr int64_t kReadMicros = 1'000'000;
// A client that never learns of the streams that it has opened can resume so many at once.
constexpr size_t kMaxNames = 8;
// One Take reads so often from memory, so that a filter that lets little through shows its
// progress.
constexpr int kReadsATake = 8;

}  // namespace

// --- Coming and going.

absl::StatusOr<Subscription::OpenedStream> Subscription::AddStream(const broker::StreamWish& wish,
                                                                   StreamWindow window) {
  OpenedStream opened;
  std::function<void()> on_superseded;
  {
    MutexLock lock(&mu_);
    if (deleted_ || deleting_) return NotFound("subscription: there is no '{}'", name_);
    Use();
    opened.id = ++last_stream_;
    state_.AddStream(opened.id, window);
    streams_[opened.id] = {.on_superseded = wish.superseded};
    opened.resumed = Resume(wish, opened.id, &on_superseded);
    if (!wish.stream_id.empty()) Name(opened.id, wish.stream_id, /*is_successor=*/false);
    Changed();
  }
  // Without the lock: who is told may be the last to let go of its feed, which takes it then.
  if (on_superseded) on_superseded();
  return opened;
}

bool Subscription::Resume(const broker::StreamWish& wish, StreamId stream,
                          std::function<void()>* on_superseded) {
  if (wish.resume_stream_id.empty()) return false;
  const auto last = resumable_.find(wish.resume_stream_id);
  if (last == resumable_.end()) return false;
  const StreamId from = last->second.stream;
  if (const auto living = streams_.find(from); living != streams_.end()) {
    Drop(&living->second);
    living->second.superseded = true;
    *on_superseded = living->second.on_superseded;
  }
  const bool resumed = state_.Resume(from, stream, Received(last->second, wish.received_frames),
                                     shared_.clock->MonotonicMicros());
  const std::deque<std::string> names = std::move(names_[from]);
  names_.erase(from);
  for (const std::string& name : names) Name(stream, name, /*is_successor=*/true);
  return resumed;
}

// Of a successor that it does not know the client has received nothing.
uint32_t Subscription::Received(const Resumable& named, int64_t frames) {
  return static_cast<uint32_t>(std::clamp<int64_t>(named.is_successor ? 0 : frames, 0,
                                                   std::numeric_limits<uint32_t>::max()));
}

absl::Status Subscription::Leave(const std::string& stream_id, int64_t received_frames) {
  MutexLock lock(&mu_);
  if (deleted_) return NotFound("subscription: there is no '{}'", name_);
  const auto named = resumable_.find(stream_id);
  if (named == resumable_.end()) return absl::OkStatus();
  const StreamId stream = named->second.stream;
  if (const auto living = streams_.find(stream); living != streams_.end()) Drop(&living->second);
  state_.Leave(stream, Received(named->second, received_frames));
  Changed();
  return absl::OkStatus();
}

void Subscription::Name(StreamId stream, std::string name, bool is_successor) {
  resumable_[name] = {.stream = stream, .is_successor = is_successor};
  std::deque<std::string>& names = names_[stream];
  names.push_back(std::move(name));
  if (names.size() <= kMaxNames) return;
  resumable_.erase(names.front());
  names.pop_front();
}

void Subscription::RemoveStream(StreamId stream) {
  MutexLock lock(&mu_);
  waiting_.Remove(stream);
  const auto it = streams_.find(stream);
  const int64_t now = shared_.clock->MonotonicMicros();
  if (!it->second.superseded) {
    Drop(&it->second);
    state_.EndStream(stream, now);
    ended_.emplace_back(now + shared_.resume_window_micros, stream);
  }
  streams_.erase(it);
  Use();
  if (streams_.empty()) {
    ForgetRead();
    shared_.journal->head().Cancel(this);
  }
  // It may have been woken for what another can take now.
  Changed();
}

void Subscription::ForgetEndedStreams(int64_t now) {
  for (; !ended_.empty() && ended_.front().first <= now; ended_.pop_front()) {
    const auto names = names_.find(ended_.front().second);
    if (names == names_.end()) continue;  // it was resumed since
    for (const std::string& name : names->second) resumable_.erase(name);
    names_.erase(names);
  }
}

// Whoever stands still holds back what others could have, and memory.
void Subscription::ForgetWhatIsNotTaken(int64_t now) {
  if (now < look_at_) return;
  look_at_ = now + kReadMicros;
  for (auto& [id, stream] : streams_) {
    const PreparationPtr& preparation = stream.preparation;
    if (preparation && preparation->ready &&
        now >= preparation->ready_at + state_.policy().ack_deadline) {
      Drop(&stream);
    }
  }
  if (!reading_ && !read_.empty() && now >= read_at_ + kReadMicros) ForgetRead();
}

// What is made ready for the stream will not be delivered.
void Subscription::Drop(Stream* stream) {
  const PreparationPtr preparation = std::exchange(stream->preparation, nullptr);
  if (!preparation || preparation->epoch != progress_.epoch) return;
  for (const Item& item : preparation->items) state_.TakeBack(item.lease);
}

void Subscription::Use() {
  last_used_ = shared_.journal->AgeMicros();
  if (!header_.settings.has_expiration_ttl()) return;
  header_.last_used_micros = last_used_;
  header_changed_ = true;
}

absl::Status Subscription::CheckStream(StreamId stream) const {
  if (deleted_) return NotFound("subscription: {} was deleted", name_);
  if (streams_.at(stream).superseded) {
    return MakeStatus(absl::StatusCode::kAborted, "another stream has resumed this one");
  }
  return absl::OkStatus();
}

int64_t Subscription::Outstanding(StreamId stream) const {
  MutexLock lock(&mu_);
  return streams_.at(stream).superseded ? 0 : state_.leased(stream);
}

// --- Taking.

absl::StatusOr<broker::Batch> Subscription::Take(StreamId id, const broker::TakeLimits& limits) {
  PreparationPtr chosen;
  for (int reads = 0; !chosen; ++reads) {
    ReadPlan plan;
    {
      MutexLock lock(&mu_);
      if (auto status = CheckStream(id); !status.ok()) {
        Changed();  // what was read is another's
        return status;
      }
      Stream& stream = streams_.at(id);
      if (!stream.error.ok()) return std::exchange(stream.error, absl::OkStatus());
      if (state_.IsLeaving(id)) return Nothing(id);
      chosen = stream.preparation;
      if (chosen && !chosen->ready) return Nothing(id);
      if (!chosen) {
        state_.OnTime(shared_.clock->MonotonicMicros());
        chosen = stream.preparation = Choose(id, limits);
        // What comes before it is delivered first.
        if (!chosen && !read_error_.ok()) return std::exchange(read_error_, absl::OkStatus());
      }
      const bool reads_on =
          reads < kReadsATake && BeginReading(/*has_something=*/chosen != nullptr, &plan);
      if (!chosen && !reads_on) return Nothing(id);
      if (chosen) Changed();  // the others may take what is left, and what comes meanwhile
      if (!reads_on) break;
    }
    if (!shared_.lookahead->IsInMemory(plan)) {
      shared_.readers->Run([self = shared_from_this(), plan] { self->ReadAhead(plan); });
      if (chosen) break;
      MutexLock lock(&mu_);
      return Nothing(id);
    }
    plan.max_bytes = std::max(plan.max_bytes, limits.max_bytes);
    auto events = shared_.lookahead->Read(plan, std::max(limits.max_events, 1), /*in_memory=*/true);
    MutexLock lock(&mu_);
    EndReading(plan, std::move(events));
  }
  if (!chosen->ready) {
    FindEvents(chosen);
    MutexLock lock(&mu_);
    if (!chosen->ready) return Nothing(id);
  }
  return HandOver(id, chosen, limits);
}

// Leases what there is for the stream, within its limits. Null where there is nothing.
Subscription::PreparationPtr Subscription::Choose(StreamId stream,
                                                  const broker::TakeLimits& limits) {
  auto preparation = std::make_shared<Preparation>();
  preparation->stream = stream;
  preparation->epoch = progress_.epoch;
  size_t bytes = 0;
  const auto has_room_for = [&](uint32_t event_bytes) {
    return preparation->items.empty() || bytes + event_bytes + kLeaseBytes <= limits.max_bytes;
  };
  const auto add = [&](const SubscriptionState::Lease& lease, ReadEvent* read = nullptr) {
    mu_.AssertHeld();
    bytes += (read ? read->candidate.bytes : state_.bytes(lease.sequence)) + kLeaseBytes;
    Item& item = preparation->items.emplace_back(Item{.lease = lease});
    if (!read) return;  // its event is found later
    item.event = read->event;
    item.owner = std::move(read->owner);
  };
  const auto full = [&](int at_most) {
    return static_cast<int>(preparation->items.size()) >= at_most || bytes >= limits.max_bytes;
  };
  while (!full(limits.max_events)) {
    const auto cut = state_.RedeliverCut(stream);
    if (!cut) break;
    add(*cut);
  }
  const int room = std::min(limits.max_events, static_cast<int>(preparation->items.size()) +
                                                   state_.Room(stream, Unscanned()));
  while (!full(room)) {
    const auto lease = state_.Redeliver(stream);
    if (!lease) break;
    add(*lease);
  }
  const int64_t now = shared_.clock->MonotonicMicros();
  PassUnwanted();
  while (!full(room) && !read_.empty() && state_.MayTake(stream) && state_.MayOffer() &&
         has_room_for(read_.front().candidate.bytes)) {
    ReadEvent read = PopRead();
    // Events are accepted in the order of their times: once one has passed, all do.
    if (std::exchange(progress_.not_before, 0) > 0) progress_changed_ = true;
    if (const auto lease = state_.Offer(read.candidate, stream, now)) {
      add(*lease, &read);
    }
    PassUnwanted();
  }
  if (preparation->items.empty()) return nullptr;
  read_at_ = now;
  read_part_.Insist(static_cast<int64_t>(read_bytes_));
  const auto before = [](const Item& a, const Item& b) {
    return a.lease.sequence < b.lease.sequence;
  };
  if (!std::is_sorted(preparation->items.begin(), preparation->items.end(), before)) {
    std::sort(preparation->items.begin(), preparation->items.end(), before);
  }
  return preparation;
}

// Where a stream stands that gets no deliveries now.
broker::Batch Subscription::Nothing(StreamId stream) {
  using Left = broker::Batch::Left;
  broker::Batch batch{.cursor = shared_.positions->Cursor(state_.next() - 1)};
  const bool at_tail = state_.next() > shared_.journal->head().head() && state_.ready() == 0;
  const Stream& asking = streams_.at(stream);
  const bool leaving = !asking.superseded && state_.IsLeaving(stream);
  if (!asking.superseded && !leaving && (asking.preparation || reading_)) {
    batch.left = Left::kComing;
    told_to_wait_ = told_to_wait_ || reading_;
  } else if (asking.superseded || state_.Room(stream, Unscanned()) > 0 || state_.HasCut(stream)) {
    batch.left = Left::kMore;  // a superseded stream is told so by its next Take
  } else {
    batch.left = at_tail ? Left::kNothing : Left::kBlocked;
  }
  Changed();
  return batch;
}

// The deliveries go out now: from here on their leases run.
absl::StatusOr<broker::Batch> Subscription::HandOver(StreamId id, const PreparationPtr& preparation,
                                                     const broker::TakeLimits& limits) {
  struct Sent {
    const Item* item;
    int64_t deadline;
    EpochId incarnation;  // of a replay; any other event's is the log's
  };
  std::vector<Sent> sent;
  broker::Batch batch;
  uint32_t epoch = 0;
  int64_t now_to_clock = 0;
  sent.reserve(preparation->items.size());
  {
    MutexLock lock(&mu_);
    if (auto status = CheckStream(id); !status.ok()) return status;
    Stream& stream = streams_.at(id);
    if (stream.preparation == preparation) stream.preparation = nullptr;
    const int64_t now = shared_.clock->MonotonicMicros();
    now_to_clock = shared_.clock->NowMicros() - now;
    epoch = preparation->epoch;
    if (epoch == progress_.epoch) {
      for (const Item& item : preparation->items) {
        // Not what was acknowledged or removed meanwhile.
        if (const auto deadline = state_.Send(item.lease, limits.frame, now)) {
          sent.push_back(
              {.item = &item,
               .deadline = *deadline,
               .incarnation = item.lease.replay ? replayed_.at(item.lease.sequence) : 0});
        }
      }
    }
    batch = Nothing(id);
  }
  size_t bytes = 0;
  for (const Sent& out : sent) bytes += out.item->event.size() + kLeaseBytes;
  batch.deliveries.reserve(bytes);
  Epochs::Reader epochs = shared_.positions->ReadEpochs();
  v1::Delivery delivery;  // one for all, so that its memory is made once
  for (const auto& [item, deadline, incarnation] : sent) {
    EncodeAckId({.subscription = id_,
                 .incarnation = incarnation != 0 ? incarnation : epochs.Of(item->lease.sequence),
                 .epoch = epoch,
                 .sequence = item->lease.sequence,
                 .attempt = item->lease.attempt,
                 .lease = item->lease.number},
                delivery.mutable_ack_id());
    delivery.set_attempt(static_cast<int>(item->lease.attempt));
    *delivery.mutable_ack_deadline_time() = broker::ToTimestamp(deadline + now_to_clock);
    broker::AppendLeasedDelivery(delivery, item->event, &batch.deliveries);
  }
  batch.count = static_cast<int>(sent.size());
  if (batch.count == 0 && batch.left != broker::Batch::Left::kComing) {
    batch.left = broker::Batch::Left::kMore;
  }
  return batch;
}

// --- Making ready.

void Subscription::FindEvents(const PreparationPtr& preparation) {
  bool all = true;
  for (Item& item : preparation->items) {
    if (item.owner) continue;
    if (!item.lease.replay) {
      if (const auto run = shared_.journal->newest().Find(item.lease.sequence)) {
        item.event = run->Event(item.lease.sequence);
        item.owner = run;
        continue;
      }
    }
    all = false;
  }
  if (all) return Record(preparation);
  shared_.readers->Run([self = shared_from_this(), preparation] { self->ReadEvents(preparation); });
}

void Subscription::ReadEvents(const PreparationPtr& preparation) {
  for (Item& item : preparation->items) {
    if (item.owner) continue;
    auto event = EventOf(item.lease);
    if (!event.ok()) return Prepared(preparation, event.status());
    auto copy = std::make_shared<const std::string>(*std::move(event));
    item.event = *copy;
    item.owner = std::move(copy);
  }
  Record(preparation);
}

absl::StatusOr<std::string> Subscription::EventOf(const SubscriptionState::Lease& lease) const {
  if (!lease.replay) return shared_.journal->reader().Event(lease.sequence);
  auto bytes =
      shared_.records->Read(SubscriptionRecords::DeadLetters::kReplayed, id_, lease.sequence);
  if (!bytes.ok()) return bytes.status();
  v1::DeadLetter dead_letter;
  if (!*bytes || !dead_letter.ParseFromString(**bytes)) {
    return DataLoss("a dead letter of subscription {} cannot be read", name_);
  }
  return dead_letter.event().SerializeAsString();
}

// Before they go out, so that attempts are counted right whatever happens to this process.
void Subscription::Record(const PreparationPtr& preparation) {
  if (std::all_of(preparation->items.begin(), preparation->items.end(),
                  [](const Item& item) { return item.lease.again; })) {
    return Prepared(preparation, absl::OkStatus());
  }
  shared_.recorder->Add(
      [self = shared_from_this(), preparation](rocksdb::WriteBatch* batch) {
        MutexLock lock(&self->mu_);
        if (!self->IsCurrent(preparation)) return;
        const SubscriptionRecords& records = *self->shared_.records;
        const uint32_t epoch = self->progress_.epoch;
        records.PutDeliveredThrough(self->id_, epoch, self->state_.delivered_through(), batch);
        for (const auto& [lease, event, owner] : preparation->items) {
          if (lease.again) continue;
          if (lease.replay || lease.attempt > self->state_.unrecorded_attempts()) {
            records.PutAttempts(self->id_, epoch, lease.sequence, lease.attempt, batch);
          }
        }
      },
      [self = shared_from_this(), preparation](const absl::Status& status) {
        self->Prepared(preparation, status);
      });
}

bool Subscription::IsCurrent(const PreparationPtr& preparation) const {
  const auto stream = streams_.find(preparation->stream);
  return !deleted_ && stream != streams_.end() && stream->second.preparation == preparation &&
         preparation->epoch == progress_.epoch;
}

void Subscription::Prepared(const PreparationPtr& preparation, const absl::Status& status) {
  if (absl::IsUnavailable(status)) shared_.journal->ReportFailedWrite(status);
  MutexLock lock(&mu_);
  preparation->ready = true;
  preparation->ready_at = shared_.clock->MonotonicMicros();
  if (!IsCurrent(preparation)) {
    // The stream has gone, or a seek has come: what was leased was taken back.
    waiting_.WakeStream(preparation->stream);
    return;
  }
  if (!status.ok()) {
    Stream& stream = streams_.at(preparation->stream);
    Drop(&stream);
    const size_t ready = state_.ready();
    if (absl::IsNotFound(status)) ExpireRemoved();
    if (!absl::IsNotFound(status) || state_.ready() == ready) {  // it was not retention
      stream.error = absl::IsUnavailable(status)
                         ? Unavailable("deliveries of subscription {} cannot be recorded: {}",
                                       name_, MessageOf(status))
                         : status;
    }
    Changed();
  }
  waiting_.WakeStream(preparation->stream);
}

// --- Reading ahead.

// How many events of the log could be offered now.
uint64_t Subscription::Unscanned() const {
  if (!state_.MayOffer()) return 0;
  const uint64_t head = shared_.journal->head().head();
  if (reading_) return read_.size();
  return head >= state_.next() ? head - state_.next() + 1 : 0;
}

// Whether to read on, and what: not while enough is there, and one at a time.
bool Subscription::BeginReading(bool has_something, ReadPlan* plan) {
  if (reading_ || streams_.empty() || !state_.MayOffer() || read_.size() >= kReadAgainBelow ||
      read_bytes_ >= kReadAgainBelowBytes) {
    return false;
  }
  while (read_.empty() && state_.next() <= shared_.journal->head().head() &&
         state_.acked().Contains(state_.next())) {
    state_.Pass();
  }
  const uint64_t from = read_.empty() ? state_.next() : read_.back().candidate.sequence + 1;
  const uint64_t through = shared_.journal->head().head();
  if (from > through) return false;
  *plan = {.subscription = id_,
           .epoch = progress_.epoch,
           .from = from,
           .through = through,
           .not_before = progress_.not_before,
           .recorded_through = recorded_through_,
           .order_by_sender = header_.settings.order_by_sender(),
           .unrecorded_attempts = state_.unrecorded_attempts(),
           .filter = filter_};
  // In memory it is as cheap to read when it is wanted.
  if ((has_something || !read_.empty()) && shared_.lookahead->IsInMemory(*plan)) return false;
  const bool has_memory = read_part_.Resize(static_cast<int64_t>(read_bytes_ + kReadBytes));
  plan->max_bytes = has_memory ? kReadBytes : kLeastReadBytes;
  reading_ = true;
  ++reading_number_;
  plan->number = reading_number_;
  return true;
}

void Subscription::ReadAhead(const ReadPlan& plan) {
  auto events = shared_.lookahead->Read(plan, kReadEvents, /*in_memory=*/false);
  MutexLock lock(&mu_);
  EndReading(plan, std::move(events));
  Changed();
}

void Subscription::EndReading(const ReadPlan& plan, absl::StatusOr<std::vector<ReadEvent>> events) {
  if (plan.number != reading_number_) return;  // it moved meanwhile
  reading_ = false;
  if (events.ok()) {
    for (ReadEvent& event : *events) {
      if (event.candidate.sequence < state_.next()) continue;
      Correct(&event.candidate);
      read_bytes_ += event.event.size();
      read_.push_back(std::move(event));
    }
    PassUnwanted();
  } else {
    ExpireRemoved();
    if (plan.from >= state_.next()) read_error_ = events.status();  // it was not retention
  }
  read_at_ = shared_.clock->MonotonicMicros();
  read_part_.Insist(static_cast<int64_t>(read_bytes_));
  // Also those that get nothing of it wait for no more.
  if (std::exchange(told_to_wait_, false) && (read_.empty() || !read_error_.ok())) {
    waiting_.WakeAll();
  }
}

void Subscription::PassUnwanted() {
  while (!read_.empty()) {
    const ReadEvent& first = read_.front();
    if (first.candidate.sequence >= state_.next()) {
      if (first.wanted && !state_.acked().Contains(first.candidate.sequence)) return;
      state_.Pass();
    }
    PopRead();
  }
}

ReadEvent Subscription::PopRead() {
  ReadEvent read = std::move(read_.front());
  read_.pop_front();
  read_bytes_ -= read.event.size();
  return read;
}

// What was read, and what is being read, is not what comes next any more.
void Subscription::ForgetRead() {
  read_.clear();
  read_bytes_ = 0;
  read_part_.Resize(0);
  read_error_ = absl::OkStatus();
  reading_ = false;
  ++reading_number_;
  if (std::exchange(told_to_wait_, false)) waiting_.WakeAll();
}

// --- Waiting.

void Subscription::Wait(StreamId id, absl::AnyInvocable<void()> wake) {
  MutexLock lock(&mu_);
  const Stream& stream = streams_.at(id);
  if (deleted_ || stream.superseded || !stream.error.ok() || !read_error_.ok()) return wake();
  if (stream.preparation) {
    if (stream.preparation->ready) return wake();
    return waiting_.Add(id, /*has_room=*/false, std::move(wake));
  }
  if (state_.HasCut(id) || state_.Room(id, Unscanned()) > 0) return wake();
  waiting_.Add(id, /*has_room=*/state_.Room(id, 1) > 0, std::move(wake));
  WatchHead();
}

// A growing log wakes one stream; that one wakes the next if it leaves anything.
void Subscription::WatchHead() {
  if (!state_.MayOffer() || reading_) return;
  shared_.journal->head().Wait(this, state_.next() - 1, [this] { waiting_.WakeOne(); });
}

void Subscription::Changed() {
  const uint64_t unscanned = Unscanned();
  const bool any_waits = waiting_.WakeThoseWithRoom(
      [&](StreamId id) {
        mu_.AssertHeld();
        const auto stream = streams_.find(id);
        if (stream == streams_.end() || stream->second.superseded || stream->second.preparation) {
          return WaitingStreams::Room{};
        }
        const auto now = static_cast<uint64_t>(state_.Room(id, unscanned));
        return WaitingStreams::Room{.now = now, .for_new = now > 0 || state_.Room(id, 1) > 0};
      },
      state_.ready() + unscanned);
  if (any_waits && unscanned == 0) WatchHead();
  const bool to_save = state_.given_up() > 0 || state_.has_failed() || progress_changed_ ||
                       header_changed_ || !changes_.failed.empty() || WantsReplays();
  next_due_.store(to_save ? std::numeric_limits<int64_t>::min() : state_.NextDue(),
                  std::memory_order_relaxed);
}

}  // namespace mmsmo::embedded
