// The part of Subscription that decides what becomes of deliveries, and that the writer calls.

#include <algorithm>
#include <limits>
#include <optional>

#include "gateway/base/log.h"
#include "gateway/base/status.h"
#include "gateway/broker/proto_time.h"
#include "gateway/embedded/log/cursor.h"
#include "gateway/embedded/subscriptions/subscription.h"

namespace mmsmo::embedded {
namespace {

using Effect = SubscriptionState::Effect;
using Kind = broker::AckChange::Kind;
using DeadLetters = SubscriptionRecords::DeadLetters;

constexpr int64_t kUseEveryMicros = 60'000'000;
constexpr int64_t kLogEveryMicros = 60'000'000;
// A dead letter that cannot be written is tried again after so long.
constexpr int64_t kDeadLettersAgainMicros = 1'000'000;
// At most so many become dead letters with one write, and so many replays are in memory.
constexpr size_t kDeadLettersAtOnce = 1'000;
constexpr size_t kMaxReplays = 10'000;
// What one turn of the writer may read or move for one subscription, while all others wait.
constexpr size_t kPieceBytes = 4 << 20;
constexpr int64_t kPieceMicros = 20'000;
// Whoever could not use it while there was no gateway has so long to come back.
constexpr int64_t kGraceMicros = 300'000'000;

SubscriptionState::Lease LeaseOf(const AckId& id) {
  return {.sequence = id.sequence, .attempt = id.attempt, .number = id.lease};
}

}  // namespace

// --- What becomes of deliveries.

std::vector<std::optional<AckId>> Subscription::Hear(const std::vector<std::string_view>& ack_ids) {
  std::vector<std::optional<AckId>> ids;
  ids.reserve(ack_ids.size());
  for (const std::string_view text : ack_ids) {
    const auto id = DecodeAckId(text);
    ids.push_back(id.ok() && id->subscription == id_ ? std::optional(*id) : std::nullopt);
  }
  Epochs::Reader epochs = shared_.positions->ReadEpochs();
  MutexLock lock(&mu_);
  for (const auto& id : ids) {
    if (id && id->epoch == progress_.epoch && IsOfThisLog(*id, &epochs)) state_.Hear(LeaseOf(*id));
  }
  return ids;
}

absl::StatusOr<std::vector<Subscription::Verdict>> Subscription::Apply(
    const std::vector<std::optional<AckId>>& ids, const broker::AckChange& change) {
  std::vector<Verdict> verdicts;
  verdicts.reserve(ids.size());
  Epochs::Reader epochs = shared_.positions->ReadEpochs();
  MutexLock lock(&mu_);
  if (deleted_) return NotFound("subscription: there is no '{}'", name_);
  const int64_t now = shared_.clock->MonotonicMicros();
  for (const auto& id : ids) {
    if (!id) {
      verdicts.push_back({.reason = v1::ACK_FAILURE_REASON_INVALID});
    } else if (!IsOfThisLog(*id, &epochs)) {
      verdicts.push_back({.reason = v1::ACK_FAILURE_REASON_EXPIRED});
    } else {
      verdicts.push_back(ApplyOne(*id, change, now));
    }
  }
  Changed();
  return verdicts;
}

// Numbers that were given before a copy was restored, or before the end of the log was lost, are
// other events now. The epoch of what retention has removed may be forgotten.
bool Subscription::IsOfThisLog(const AckId& id, Epochs::Reader* epochs) const {
  if (id.epoch > progress_.epoch || id.sequence > shared_.journal->head().head()) return false;
  const auto replay = replayed_.find(id.sequence);
  if (replay != replayed_.end()) return replay->second == IncarnationOf(id);
  return id.sequence < shared_.journal->oldest() || epochs->Of(id.sequence) == IncarnationOf(id);
}

EpochId Subscription::IncarnationOf(const AckId& id) const {
  return id.incarnation != 0 ? id.incarnation : shared_.store->journal_id();
}

Subscription::Verdict Subscription::ApplyOne(const AckId& id, const broker::AckChange& change,
                                             int64_t now) {
  const Verdict expired{.reason = v1::ACK_FAILURE_REASON_EXPIRED};
  if (id.epoch < progress_.epoch) {  // of the time before a seek
    const bool done = state_.acked().Contains(id.sequence) && !state_.IsPending(id.sequence);
    const bool counts = change.kind == Kind::kAcknowledge || change.kind == Kind::kDeadLetter;
    return done && counts ? VerdictOn(Effect::kBefore, id, change) : expired;
  }
  const auto lease = LeaseOf(id);
  switch (change.kind) {
    case Kind::kAcknowledge:
      return VerdictOn(state_.Acknowledge(lease), id, change);
    case Kind::kExtend:
      return VerdictOn(state_.Extend(lease, now + change.micros), id, change);
    case Kind::kRedeliver:
      return VerdictOn(state_.Retry(lease, change.micros, now), id, change);
    case Kind::kRetry:
      return VerdictOn(state_.Retry(lease, std::nullopt, now), id, change);
    case Kind::kRelease:
      return VerdictOn(state_.Release(lease), id, change);
    case Kind::kDeadLetter:
      if (!HasDeadLetterRoomFor(0) && !state_.acked().Contains(id.sequence)) {
        return {.reason = v1::ACK_FAILURE_REASON_TRANSIENT};
      }
      return VerdictOn(state_.GiveUp(lease, change.reason), id, change);
  }
  return expired;
}

Subscription::Verdict Subscription::VerdictOn(Effect effect, const AckId& id,
                                              const broker::AckChange& change) {
  using VerdictKind = Verdict::Kind;
  const bool acknowledges = change.kind == Kind::kAcknowledge;
  const bool gives_up = change.kind == Kind::kDeadLetter;
  switch (effect) {
    case Effect::kDone:
      return {.kind = gives_up ? VerdictKind::kDeadLetter : VerdictKind::kSettled, .id = id};
    case Effect::kBefore:
      // It may have become a dead letter.
      if (progress_.dead_letters > 0 && (acknowledges || gives_up)) {
        return {.kind = VerdictKind::kLookUp, .id = id};
      }
      if (acknowledges) return {};
      break;
    case Effect::kUnscanned:
      return {.kind = VerdictKind::kLookUp, .id = id};
    case Effect::kExpired:
      break;
  }
  return {.reason = v1::ACK_FAILURE_REASON_EXPIRED};
}

void Subscription::LookUp(const broker::AckChange& change, std::vector<Verdict>* verdicts) {
  bool any = false;
  for (Verdict& verdict : *verdicts) {
    if (verdict.kind != Verdict::Kind::kLookUp) continue;
    verdict.kind = Verdict::Kind::kSettled;
    verdict.reason = LookUpOne(verdict.id, change);
    any = true;
  }
  if (!any) return;
  MutexLock lock(&mu_);
  Changed();
}

v1::AckFailureReason Subscription::LookUpOne(const AckId& id, const broker::AckChange& change) {
  uint32_t epoch = 0;
  bool done = false;
  {
    MutexLock lock(&mu_);
    epoch = progress_.epoch;
    done = state_.acked().Contains(id.sequence);
  }
  const auto dead_letter = ReadDeadLetter(id.sequence);
  const auto record = shared_.records->ReadAttempts(id_, epoch, id.sequence);
  if (!dead_letter.ok() || !record.ok()) return v1::ACK_FAILURE_REASON_TRANSIENT;
  absl::StatusOr<v1::DeadLetter> given_up = v1::DeadLetter();
  if (!done && change.kind == Kind::kDeadLetter) {
    given_up = DeadLetterOf(
        {.sequence = id.sequence, .attempts = id.attempt, .bytes = 0, .reason = change.reason});
    if (!given_up.ok()) return v1::ACK_FAILURE_REASON_TRANSIENT;
  }
  MutexLock lock(&mu_);
  return state_.acked().Contains(id.sequence)
             ? LookUpDone(id, change, *dead_letter)
             : LookUpUnscanned(id, change, *record, *given_up, dead_letter->has_value());
}

// What is done with may be a dead letter, which a late acknowledgement removes: of the same event,
// and of the time since the last seek.
v1::AckFailureReason Subscription::LookUpDone(const AckId& id, const broker::AckChange& change,
                                              const std::optional<std::string>& dead_letter) {
  if (!dead_letter) {
    return change.kind == Kind::kAcknowledge ? v1::ACK_FAILURE_REASON_UNSPECIFIED
                                             : v1::ACK_FAILURE_REASON_EXPIRED;
  }
  v1::DeadLetter parsed;
  if (!parsed.ParseFromString(*dead_letter)) return v1::ACK_FAILURE_REASON_EXPIRED;
  const auto cursor = DecodeCursor(parsed.event().cursor());
  const bool same = cursor.ok() && cursor->epoch == IncarnationOf(id);
  if (same && change.kind == Kind::kDeadLetter) {  // said again, perhaps since the answer was lost
    return v1::ACK_FAILURE_REASON_UNSPECIFIED;
  }
  if (!same || change.kind != Kind::kAcknowledge || id.epoch < progress_.epoch ||
      static_cast<uint32_t>(parsed.attempts()) != id.attempt) {
    return v1::ACK_FAILURE_REASON_EXPIRED;
  }
  changes_.dead_letters.erase(id.sequence);
  changes_.removed_dead_letters.insert(id.sequence);
  --progress_.dead_letters;
  progress_changed_ = true;
  AddDeadLetterBytes(-static_cast<int64_t>(parsed.event().ByteSizeLong()));
  return v1::ACK_FAILURE_REASON_UNSPECIFIED;
}

// Delivered before the restart: what is said of it now is heard by the record that it will be
// offered with.
v1::AckFailureReason Subscription::LookUpUnscanned(const AckId& id, const broker::AckChange& change,
                                                   const AttemptRecord& record,
                                                   const v1::DeadLetter& given_up, bool replaces) {
  if (id.epoch < progress_.epoch) return v1::ACK_FAILURE_REASON_EXPIRED;  // it was sought meanwhile
  if (state_.IsPending(id.sequence)) {  // it was offered meanwhile
    Epochs::Reader epochs = shared_.positions->ReadEpochs();
    if (!IsOfThisLog(id, &epochs)) return v1::ACK_FAILURE_REASON_EXPIRED;
    const Verdict verdict = ApplyOne(id, change, shared_.clock->MonotonicMicros());
    return verdict.kind == Verdict::Kind::kSettled ? verdict.reason
                                                   : v1::ACK_FAILURE_REASON_TRANSIENT;
  }
  if (record.attempts.value_or(state_.unrecorded_attempts()) != id.attempt) {
    return v1::ACK_FAILURE_REASON_EXPIRED;
  }
  switch (change.kind) {
    case Kind::kAcknowledge:
      state_.AcknowledgeUnscanned(id.sequence);
      break;
    case Kind::kRelease:  // it is offered again anyway
      break;
    case Kind::kRetry:
    case Kind::kRedeliver:
      RetryUnscanned(id.sequence, change, record);
      break;
    case Kind::kDeadLetter:
      if (!HasDeadLetterRoomFor(given_up.event().ByteSizeLong())) {
        return v1::ACK_FAILURE_REASON_TRANSIENT;
      }
      KeepDeadLetter({.sequence = id.sequence}, given_up, replaces);
      state_.AcknowledgeUnscanned(id.sequence);
      break;
    case Kind::kExtend:  // its lease has ended with the gateway's
      return v1::ACK_FAILURE_REASON_EXPIRED;
  }
  return v1::ACK_FAILURE_REASON_UNSPECIFIED;
}

void Subscription::RetryUnscanned(uint64_t sequence, const broker::AckChange& change,
                                  const AttemptRecord& record) {
  const uint32_t failures = record.failures + 1;
  const int64_t delay = change.kind == Kind::kRedeliver ? change.micros : state_.Backoff(failures);
  const SubscriptionState::Failed failed{.sequence = sequence,
                                         .failures = failures,
                                         .retry_at = shared_.clock->MonotonicMicros() + delay};
  if (!retried_.emplace(sequence, failed).second) return;  // said once more
  changes_.failed.push_back(failed);
  for (ReadEvent& read : read_) Correct(&read.candidate);
}

// What was read of the store before a failure was written there.
void Subscription::Correct(SubscriptionState::Candidate* candidate) const {
  if (retried_.empty()) return;
  const auto failed = retried_.find(candidate->sequence);
  if (failed == retried_.end()) return;
  candidate->failures = failed->second.failures;
  candidate->retry_at = failed->second.retry_at;
}

bool Subscription::JudgeDeadLetters(std::vector<Verdict>* verdicts) const {
  bool all = true;
  for (Verdict& verdict : *verdicts) {
    if (verdict.kind != Verdict::Kind::kDeadLetter) continue;
    bool waits = false, stuck = false;
    {
      MutexLock lock(&mu_);
      waits = state_.IsGivenUp(verdict.id.sequence);
      stuck = shared_.clock->MonotonicMicros() < dead_letters_again_at_;
    }
    if (waits && !stuck) {
      all = false;
      continue;
    }
    verdict.kind = Verdict::Kind::kSettled;
    const auto dead_letter = ReadDeadLetter(verdict.id.sequence);
    if (waits || !dead_letter.ok()) {
      verdict.reason = v1::ACK_FAILURE_REASON_TRANSIENT;
    } else if (!*dead_letter) {  // retention or a seek has taken the event
      verdict.reason = v1::ACK_FAILURE_REASON_EXPIRED;
    }
  }
  return all;
}

// --- Time.

void Subscription::OnTime() {
  uint64_t expired = 0;
  {
    MutexLock lock(&mu_);
    const int64_t now = shared_.clock->MonotonicMicros();
    state_.OnTime(now);
    ForgetEndedStreams(now);
    ForgetWhatIsNotTaken(now);
    ExpireRemoved();
    if (state_.streams() > 0 && last_used_ + kUseEveryMicros < shared_.journal->AgeMicros()) {
      Use();
    }
    Changed();
    const bool log = expired_unlogged_ > 0 &&
                     (expired_logged_at_ == 0 || now >= expired_logged_at_ + kLogEveryMicros);
    if (log) {
      expired = std::exchange(expired_unlogged_, 0);
      expired_logged_at_ = now;
    }
  }
  if (expired > 0) {
    Log()->warn("retention removed {} events before subscription {} had them acknowledged", expired,
                name_);
  }
}

bool Subscription::IsDue() const { return next_due() <= shared_.clock->MonotonicMicros(); }

bool Subscription::HasMoved() const {
  MutexLock lock(&mu_);
  return state_.acked().floor() != saved_floor_;
}

void Subscription::ExpireRemoved() {
  const uint64_t oldest = shared_.journal->oldest();
  if (state_.acked().floor() + 1 >= oldest) return;
  const uint64_t expired = state_.Expire(oldest);
  progress_.expired += expired;
  expired_unlogged_ += expired;
  // A replay's record may be behind it, and is still needed.
  if (progress_.replays == 0) changes_.forget_before = oldest;
  progress_changed_ = true;
  PassUnwanted();
}

// --- Dead letters.

bool Subscription::HasDeadLetterRoomFor(uint64_t bytes) const {
  return progress_.dead_letters + progress_.replays < shared_.max_dead_letters &&
         *shared_.dead_letter_bytes + static_cast<int64_t>(bytes) <=
             static_cast<int64_t>(shared_.max_dead_letter_bytes);
}

void Subscription::AddDeadLetterBytes(int64_t bytes) {
  progress_.dead_letter_bytes += static_cast<uint64_t>(bytes);
  *shared_.dead_letter_bytes += bytes;
}

void Subscription::PutDeadLetters() {
  const int64_t now = shared_.clock->MonotonicMicros();
  absl::Status why;
  bool any = false;
  size_t bytes = 0;
  std::vector<SubscriptionState::GivenUp> unread;
  for (size_t i = 0; i < kDeadLettersAtOnce && bytes < kPieceBytes; ++i) {
    if (shared_.clock->MonotonicMicros() >= now + kPieceMicros) break;
    SubscriptionState::GivenUp one;
    {
      MutexLock lock(&mu_);
      // Those that could not be written yet come first.
      if (now < dead_letters_again_at_ || (i == 0 && !changes_.dead_letters.empty())) return;
      const SubscriptionState::GivenUp* const first = state_.FirstGivenUp();
      if (first == nullptr) break;
      // A replay has its room already.
      if (!first->replay && !HasDeadLetterRoomFor(first->bytes)) {
        why = MakeStatus(absl::StatusCode::kResourceExhausted,
                         "the budget of dead letters is spent; replay or discard some");
        break;
      }
      one = state_.TakeGivenUp();
    }
    bytes += one.bytes;
    const auto dead_letter = DeadLetterOf(one);
    const auto before = ReadDeadLetter(one.sequence);
    const bool lost = absl::IsNotFound(dead_letter.status());
    MutexLock lock(&mu_);
    if (!state_.IsGivenUp(one.sequence)) continue;
    if (!lost && (!dead_letter.ok() || !before.ok())) {
      why = dead_letter.ok() ? before.status() : dead_letter.status();
      unread.push_back(std::move(one));
      continue;
    }
    any = true;
    lost ? CountLost() : KeepDeadLetter(one, *dead_letter, before->has_value());
    state_.Settle(one.sequence);
  }
  MutexLock lock(&mu_);
  for (SubscriptionState::GivenUp& one : unread) state_.GiveUpAgain(std::move(one));
  Changed();
  if (why.ok()) return;
  if (!any) dead_letters_again_at_ = now + kDeadLettersAgainMicros;
  if (dead_letters_logged_at_ > 0 && now < dead_letters_logged_at_ + kLogEveryMicros) return;
  dead_letters_logged_at_ = now;
  Log()->error("a dead letter of subscription {} is not written yet: {}", name_, MessageOf(why));
}

void Subscription::CountLost() {
  ++progress_.expired;
  progress_changed_ = true;
}

void Subscription::KeepDeadLetter(const SubscriptionState::GivenUp& given_up,
                                  const v1::DeadLetter& dead_letter, bool replaces) {
  const auto bytes = static_cast<int64_t>(dead_letter.event().ByteSizeLong());
  AddDeadLetterBytes(bytes);
  if (replaces) {
    AddDeadLetterBytes(-bytes);
  } else {
    ++progress_.dead_letters;
  }
  if (given_up.replay) {
    --progress_.replays;
    AddDeadLetterBytes(-bytes);
  }
  changes_.removed_dead_letters.erase(given_up.sequence);
  changes_.dead_letters[given_up.sequence] = dead_letter.SerializeAsString();
  progress_changed_ = true;
}

// NotFound for one that retention has removed.
absl::StatusOr<v1::DeadLetter> Subscription::DeadLetterOf(
    const SubscriptionState::GivenUp& given_up) const {
  v1::DeadLetter dead_letter;
  if (given_up.replay) {
    auto bytes = shared_.records->Read(DeadLetters::kReplayed, id_, given_up.sequence);
    if (!bytes.ok()) return bytes.status();
    if (!*bytes) return NotFound("there is no such replay");
    if (!dead_letter.ParseFromString(**bytes)) return DataLoss("its event cannot be read");
  } else {
    auto event = shared_.journal->reader().Event(given_up.sequence);
    if (!event.ok()) return event.status();
    if (!dead_letter.mutable_event()->ParseFromString(*event)) {
      return DataLoss("its event cannot be read");
    }
  }
  dead_letter.set_attempts(static_cast<int32_t>(given_up.attempts));
  dead_letter.set_reason(given_up.reason);
  *dead_letter.mutable_dead_letter_time() = broker::ToTimestamp(shared_.clock->NowMicros());
  return dead_letter;
}

// As memory has it, or else the store.
absl::StatusOr<std::optional<std::string>> Subscription::ReadDeadLetter(uint64_t sequence) const {
  {
    MutexLock lock(&mu_);
    if (changes_.removed_dead_letters.contains(sequence)) return std::nullopt;
    const auto unwritten = changes_.dead_letters.find(sequence);
    if (unwritten != changes_.dead_letters.end()) return unwritten->second;
    if (progress_.dead_letters == 0) return std::nullopt;
  }
  return shared_.records->Read(DeadLetters::kKept, id_, sequence);
}

bool Subscription::WantsReplays() const {
  // Not before those that are done with are removed from the store.
  return changes_.settled.empty() && state_.replays() < progress_.replays &&
         state_.replays() < kMaxReplays / 2;
}

absl::Status Subscription::LoadReplays() {
  uint64_t from = 0;
  uint32_t epoch = 0;
  {
    MutexLock lock(&mu_);
    if (!WantsReplays()) return absl::OkStatus();
    from = next_replay_;
    epoch = progress_.epoch;
  }
  std::vector<SubscriptionState::Candidate> replays;
  std::vector<std::pair<uint64_t, EpochId>> incarnations;
  absl::Status status;
  bool more = false;
  const auto load = [&](uint64_t sequence, std::string_view bytes) {
    if (replays.size() >= kMaxReplays) {
      more = true;
      return false;
    }
    v1::DeadLetter dead_letter;
    auto record = shared_.records->ReadAttempts(id_, epoch, sequence);
    if (!record.ok()) status = record.status();
    const bool parsed = dead_letter.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()));
    const auto cursor = DecodeCursor(dead_letter.event().cursor());
    if (!parsed || !cursor.ok()) {
      status = DataLoss("a dead letter of subscription {} cannot be read", name_);
    }
    if (!status.ok()) return false;
    incarnations.emplace_back(sequence, cursor->epoch);
    replays.push_back({.sequence = sequence,
                       .sender = SenderHash(dead_letter.event().mms_mo()),
                       .bytes = static_cast<uint32_t>(dead_letter.event().ByteSizeLong()),
                       .attempts = record->attempts.value_or(0),
                       .failures = record->failures,
                       .retry_at = record->RetryAt(shared_.clock->MonotonicMicros(),
                                                   shared_.clock->NowMicros())});
    from = sequence + 1;
    return true;
  };
  auto visited = shared_.records->Visit(DeadLetters::kReplayed, id_, from, load);
  if (!status.ok()) return status;
  if (!visited.ok()) return visited;
  MutexLock lock(&mu_);
  const int64_t now = shared_.clock->MonotonicMicros();
  for (const auto& replay : replays) state_.Replay(replay, now);
  replayed_.insert(incarnations.begin(), incarnations.end());
  next_replay_ = more ? from : 0;
  Changed();
  return absl::OkStatus();
}

// --- Saving.

SubscriptionChanges Subscription::TakeChanges() {
  MutexLock lock(&mu_);
  TakeSettled();
  SubscriptionChanges changes = std::exchange(changes_, {});
  if (deleted_) return {};
  if (std::exchange(header_changed_, false)) changes.header = header_;
  const auto failed = state_.TakeFailed();
  changes.failed.insert(changes.failed.end(), failed.begin(), failed.end());
  AckedSet::Changes blocks = state_.acked().TakeChanges();
  for (const uint64_t block : blocks.written) {
    changes.blocks.emplace_back(block, state_.acked().words(block));
  }
  changes.removed_blocks.insert(changes.removed_blocks.end(), blocks.removed.begin(),
                                blocks.removed.end());
  progress_.floor = state_.acked().floor();
  if (progress_.floor != saved_floor_ || progress_changed_) changes.progress = progress_;
  saved_floor_ = progress_.floor;
  progress_changed_ = false;
  Changed();
  return changes;
}

void Subscription::TakeSettled() {
  for (const SubscriptionState::Settled& one : state_.TakeSettled()) {
    changes_.settled.push_back(one);
    if (!one.replay) continue;
    replayed_.erase(one.sequence);
    if (changes_.dead_letters.contains(one.sequence)) continue;
    --progress_.replays;
    AddDeadLetterBytes(-static_cast<int64_t>(one.bytes));
    progress_changed_ = true;
  }
}

void Subscription::GiveBack(SubscriptionChanges changes) {
  MutexLock lock(&mu_);
  header_changed_ = header_changed_ || changes.header.has_value();
  changes_.MergeOlder(std::move(changes));
  state_.acked().MarkChanged();
  progress_changed_ = true;
  Changed();
}

// --- Moving.

absl::Status Subscription::Seek(const Positions::Start& start, const Write& write) {
  rocksdb::WriteBatch batch;
  SubscriptionProgress progress;
  std::vector<SubscriptionState::Candidate> replays;
  {
    MutexLock lock(&mu_);
    if (deleted_) return NotFound("subscription: there is no '{}'", name_);
    progress = progress_;
    replays = state_.DeliveredReplays();
  }
  progress.floor = start.after;
  progress.not_before = start.not_before;
  ++progress.epoch;
  if (auto status = shared_.records->DeletePositions(id_, &batch); !status.ok()) return status;
  for (const SubscriptionState::Candidate& replay : replays) {
    shared_.records->PutAttempts(id_, progress.epoch, replay.sequence, replay.attempts, &batch);
    if (replay.failures == 0) continue;
    shared_.records->PutFailures(id_, replay.sequence, replay.failures, &batch);
  }
  shared_.records->PutDeliveredThrough(id_, progress.epoch, start.after, &batch);
  shared_.records->Put(id_, progress, &batch);
  if (auto status = write(&batch); !status.ok()) return status;
  MutexLock lock(&mu_);
  TakeSettled();  // of what was acknowledged during that write, the replays
  std::erase_if(changes_.settled, [](const auto& one) { return !one.replay; });
  progress_.floor = saved_floor_ = progress.floor;
  progress_.not_before = progress.not_before;
  progress_.epoch = progress.epoch;
  recorded_through_ = 0;
  retried_.clear();
  state_.Seek(start.after, shared_.clock->MonotonicMicros());
  ForgetRead();
  Changed();
  return absl::OkStatus();
}

absl::StatusOr<Subscription::Moved> Subscription::Replay(const std::vector<uint64_t>& sequences,
                                                         const CountedWrite& write) {
  auto replayed = MoveDeadLetters(sequences, /*replays=*/true, write);
  if (!replayed.ok()) return replayed;
  if (auto status = LoadReplays(); !status.ok()) return status;
  return replayed;
}

absl::StatusOr<Subscription::Moved> Subscription::Discard(const std::vector<uint64_t>& sequences,
                                                          const CountedWrite& write) {
  return MoveDeadLetters(sequences, /*replays=*/false, write);
}

// The first of those that there are, to the replays or away.
absl::StatusOr<Subscription::Moved> Subscription::MoveDeadLetters(
    const std::vector<uint64_t>& sequences, bool replays, const CountedWrite& write) {
  const int64_t begin = shared_.clock->MonotonicMicros();
  rocksdb::WriteBatch batch;
  Moved moved;
  uint64_t first = std::numeric_limits<uint64_t>::max();
  size_t read_bytes = 0;
  uint64_t discarded_bytes = 0;
  for (const uint64_t sequence : sequences) {
    const bool enough =
        read_bytes >= kPieceBytes || shared_.clock->MonotonicMicros() >= begin + kPieceMicros;
    if (enough && moved.seen > 0) break;
    auto bytes = shared_.records->Read(DeadLetters::kKept, id_, sequence);
    if (!bytes.ok()) return bytes.status();
    ++moved.seen;
    if (!*bytes) continue;
    read_bytes += (*bytes)->size();
    if (replays) {
      if (v1::DeadLetter parsed; !parsed.ParseFromString(**bytes)) continue;
      shared_.records->Put(DeadLetters::kReplayed, id_, sequence, **bytes, &batch);
    } else {
      discarded_bytes += DeadLetterBytes(**bytes);
    }
    shared_.records->Delete(DeadLetters::kKept, id_, sequence, &batch);
    first = std::min(first, sequence);
    ++moved.count;
  }
  SubscriptionProgress progress;
  {
    MutexLock lock(&mu_);
    if (deleted_) return NotFound("subscription: there is no '{}'", name_);
    progress = progress_;
  }
  if (moved.count == 0) return moved;
  progress.dead_letters -= moved.count;
  progress.dead_letter_bytes -= discarded_bytes;
  if (replays) progress.replays += moved.count;
  shared_.records->Put(id_, progress, &batch);
  if (auto status = write(&batch, static_cast<int64_t>(moved.count)); !status.ok()) return status;
  MutexLock lock(&mu_);
  progress_.dead_letters -= moved.count;
  AddDeadLetterBytes(-static_cast<int64_t>(discarded_bytes));
  if (replays) {
    progress_.replays += moved.count;
    next_replay_ = std::min(next_replay_, first);
  } else {
    dead_letters_again_at_ = 0;  // there is room
  }
  Changed();
  return moved;
}

// --- The end.

bool Subscription::IsAbandoned() const {
  if (!header_.settings.has_expiration_ttl() || state_.streams() > 0) return false;
  const int64_t ttl = broker::MicrosOf(header_.settings.expiration_ttl());
  const int64_t now = shared_.journal->AgeMicros();
  return now > last_used_ + ttl && now > opened_at_ + std::min(ttl, kGraceMicros);
}

absl::Status Subscription::Delete(const Write& write) {
  {
    MutexLock lock(&mu_);
    deleting_ = true;
  }
  return DeleteNow(write);
}

bool Subscription::DeleteIfAbandoned(const Write& write) {
  {
    MutexLock lock(&mu_);
    if (!IsAbandoned()) return false;
    deleting_ = true;
  }
  return DeleteNow(write).ok();
}

absl::Status Subscription::DeleteNow(const Write& write) {
  rocksdb::WriteBatch batch;
  shared_.records->DeleteAll(header(), &batch);
  absl::Status status = write(&batch);
  MutexLock lock(&mu_);
  deleting_ = false;
  if (!status.ok()) return status;
  deleted_ = true;
  AddDeadLetterBytes(-static_cast<int64_t>(progress_.dead_letter_bytes));
  waiting_.WakeAll();
  return absl::OkStatus();
}

}  // namespace mmsmo::embedded
