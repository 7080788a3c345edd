#include "gateway/embedded/log/journal.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include "gateway/base/log.h"
#include "gateway/base/status.h"
#include "gateway/embedded/store/big_endian.h"

namespace mmsmo::embedded {
namespace {

using std::chrono::steady_clock;

constexpr auto kHousekeepingEvery = std::chrono::seconds(1);
// A group is cut here, so that its memory stays bounded; a sync costs the same whatever its size.
constexpr size_t kMaxGroupEntries = 4096;
constexpr size_t kMaxGroupBytes = 4 << 20;

constexpr std::string_view kProbeKey = "probe";
constexpr int64_t kSaveTimeEvery = 60'000'000;

void SendAll(std::vector<Answer> answers) {
  std::vector<broker::Then> then;
  for (Answer& answer : answers) {
    if (auto one = std::move(answer).Send()) then.push_back(std::move(one));
  }
  for (auto& one : then) one();
}

double SecondsSince(steady_clock::time_point start) {
  return std::chrono::duration<double>(steady_clock::now() - start).count();
}

}  // namespace

Journal::Journal(const Options& options, Store* store, AuditLog* audit, const Clock& clock,
                 Metrics& metrics)
    : options_(options),
      store_(store),
      audit_(audit),
      clock_(clock),
      reader_(store),
      commit_seconds_(metrics.Histogram(
          "mmsmo_commit_seconds", "How long one group took to become durable.",
          {0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 1, 5})),
      group_size_(metrics.Histogram("mmsmo_commit_group_size",
                                    "Postbacks that became durable with one sync.",
                                    {1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 4096})),
      failed_commits_(
          metrics.Counter("mmsmo_commit_failures_total", "How often writes began to fail.")),
      retention_(options, store, reader_, metrics),
      watch_(clock),
      newest_(options.newest_bytes) {}

absl::StatusOr<std::unique_ptr<Journal>> Journal::Open(const Options& options, Store* store,
                                                       AuditLog* audit, const Clock& clock,
                                                       Metrics& metrics) {
  std::unique_ptr<Journal> journal(new Journal(options, store, audit, clock, metrics));
  if (auto status = journal->Load(); !status.ok()) return status;
  journal->writer_ = std::thread([raw = journal.get()] { raw->Run(); });
  return journal;
}

Journal::~Journal() {
  {
    MutexLock lock(&mu_);
    stopping_ = true;
    appended_.SignalAll();
  }
  if (writer_.joinable()) writer_.join();
}

// Where the log stands, from the store alone: at the start, and after a failure left that in doubt.
absl::Status Journal::Load() {
  auto read = ReadLogState(store_, reader_);
  if (!read.ok()) return read.status();
  const LogState state = *read;
  if (!timeline_) {  // it runs on where the store is read anew
    auto timeline = ReadTimeline(store_, clock_, state);
    if (!timeline.ok()) return timeline.status();
    timeline_ = *std::move(timeline);
    UpdateTime();
  }
  time_saved_at_.reset();
  if (auto status = epochs_.Load(store_, state.oldest, state.head); !status.ok()) return status;
  store_->ForgetBefore(state.oldest);

  ids_.reset();  // the one before must have written its file
  auto ids = IdIndex::Open(store_, state.oldest, state.head, {});
  if (!ids.ok()) return ids.status();
  ids_ = *std::move(ids);
  auto quarantine = QuarantineShelves::Open(store_, options_);
  if (!quarantine.ok()) return quarantine.status();
  quarantine_ = *std::move(quarantine);

  state_ = state;
  oldest_.store(state.oldest, std::memory_order_release);
  if (state.head > head_.head()) head_.MoveTo(state.head);
  head_.WakeAll();
  UpdateGauges();
  return absl::OkStatus();
}

void Journal::UpdateTime() {
  timeline_->Update();
  age_lead_ = timeline_->age_lead();
}

void Journal::SaveTime(rocksdb::WriteBatch* batch) {
  const int64_t now = clock_.BootMicros();
  if (!timeline_->settled() || (time_saved_at_ && now < *time_saved_at_ + kSaveTimeEvery)) return;
  PutTimeline(*store_, *timeline_, batch);
  time_saved_at_ = now;
}

void Journal::Append(std::vector<broker::Entry> entries, broker::AppendDone done) {
  Submit({.entries = std::move(entries), .appended = std::move(done)});
}

void Journal::Discard(std::vector<std::string> quarantine_ids, broker::DiscardDone done,
                      const broker::ActPtr& act) {
  Submit({.discards = std::move(quarantine_ids), .discarded = std::move(done), .act = act});
}

void Journal::Submit(Submission submission) {
  bool first = false;
  {
    MutexLock lock(&mu_);
    first = pending_.empty();
    pending_.push_back(std::move(submission));
  }
  // Without the lock, so that the writer does not wake up only to wait for it.
  if (first) appended_.Signal();
}

absl::Status Journal::Ready() const {
  MutexLock lock(&mu_);
  return poison_;
}

broker::LogStats Journal::Stats() const {
  MutexLock lock(&mu_);
  return stats_;
}

void Journal::Run() {
  next_housekeeping_ = steady_clock::now() + kHousekeepingEvery;
  while (true) {
    std::vector<Submission> group = TakeGroup();
    const auto working = watch_.Begin();
    if (!group.empty()) {
      Commit(std::move(group));
    } else {
      MutexLock lock(&mu_);
      if (stopping_) return;
    }
    if (steady_clock::now() < next_housekeeping_) continue;
    UpdateTime();
    if (Ready().ok()) {
      RemoveOld();
    } else if (!needs_reopening_) {
      TryToRecover();
    }
    next_housekeeping_ = steady_clock::now() + kHousekeepingEvery;
  }
}

// What is pending, once something is, or nothing when it is time for something else.
std::vector<Submission> Journal::TakeGroup() {
  {
    MutexLock lock(&mu_);
    while (pending_.empty() && !stopping_ && steady_clock::now() < next_housekeeping_) {
      appended_.WaitUntil(&mu_, next_housekeeping_);
    }
  }
  // Whoever is about to append on this core goes first: the larger the groups, the fewer the syncs.
  std::this_thread::yield();
  MutexLock lock(&mu_);
  size_t submissions = 0, entries = 0;
  for (CommitSize size; submissions < pending_.size() && entries < kMaxGroupEntries;
       ++submissions) {
    pending_[submissions].AddTo(&size);
    if (submissions > 0 && size.event_bytes + size.body_bytes > kMaxGroupBytes) break;
    entries += pending_[submissions].size();
  }
  if (submissions == pending_.size()) return std::exchange(pending_, {});
  const auto end = pending_.begin() + static_cast<ptrdiff_t>(submissions);
  std::vector<Submission> group(std::make_move_iterator(pending_.begin()),
                                std::make_move_iterator(end));
  pending_.erase(pending_.begin(), end);
  return group;
}

void Journal::Commit(std::vector<Submission> group) {
  if (auto status = Ready(); !status.ok()) {
    std::vector<Answer> answers;
    answers.reserve(group.size());
    for (Submission& submission : group) answers.emplace_back(std::move(submission), status);
    return SendAll(std::move(answers));
  }
  const auto start = steady_clock::now();
  UpdateTime();
  CommitSize expected;
  std::vector<PostbackKey> keys;
  for (const Submission& submission : group) {
    submission.AddTo(&expected);
    for (const broker::Entry& entry : submission.entries) {
      if (!entry.event.empty()) keys.push_back(entry.key);
    }
  }
  CommitGroup staged({.store = store_,
                      .ids = ids_.get(),
                      .reader = &reader_,
                      .epochs = &epochs_,
                      .quarantine = quarantine_.get(),
                      .keep_raw = options_.keep_raw},
                     expected, keys, state_,
                     std::max(timeline_->accept_micros(), state_.accept_micros),
                     timeline_->stamp());
  std::vector<Answer> answers;
  answers.reserve(group.size());
  size_t size = 0;
  for (Submission& submission : group) {
    size += submission.size();
    answers.emplace_back(std::move(submission), &staged);
  }
  const bool publishes = !staged.run()->empty();
  if (publishes) epochs_.Begin(*store_, state_.head + 1, &staged.batch());
  if (staged.batch().Count() > 0) {
    SaveTime(&staged.batch());
    for (const auto& [act, count] : staged.acts())
      audit_->Put(act, count, AgeMicros(), &staged.batch());
    if (auto status = Write(&staged.batch()); !status.ok()) {
      ReportFailedWrite(status);
      for (Answer& answer : answers) answer.Fail(status);
    } else {
      for (const auto& [act, count] : staged.acts()) AuditLog::Log(act);
      PublishGroup(staged);
    }
  }
  commit_seconds_.Observe(SecondsSince(start));
  group_size_.Observe(static_cast<double>(size));
  SendAll(std::move(answers));
  // The provider's answers go out before the work that they make for subscribers.
  if (publishes) head_.WakeAll();
}

absl::Status Journal::Write(rocksdb::WriteBatch* batch) {
  absl::Status status = store_->Write(batch, "writing to the journal");
  if (status.ok()) quarantine_->Written();
  return status;
}

void Journal::PublishGroup(const CommitGroup& group) {
  if (!group.run()->empty()) epochs_.Begun(state_.head + 1);
  state_ = group.state();
  for (const auto& [key, sequence] : group.new_ids()) ids_->Insert(key, sequence);
  UpdateGauges();
  if (group.run()->empty()) return;
  newest_.Add(group.run());
  head_.MoveTo(state_.head);
}

void Journal::ReportFailedWrite(const absl::Status& why) {
  {
    MutexLock lock(&mu_);
    ++failures_;
    if (!poison_.ok()) return;
    poison_ = why;
  }
  failed_commits_.Increment();
  Log()->error("nothing can be made durable, and postbacks are answered 503 until it can: {}",
               MessageOf(why));
}

// A failed write may have left anything behind: nothing, or the whole group. So the store is asked
// to go on, must prove itself with a synced write, and is then read anew.
void Journal::TryToRecover() {
  uint64_t failures = 0;
  {
    MutexLock lock(&mu_);
    failures = failures_;
  }
  bool reopen = false;
  absl::Status status = store_->Resume(&reopen);
  if (reopen) needs_reopening_ = true;
  if (status.ok()) {
    rocksdb::WriteBatch probe;
    probe.Put(store_->meta(), Slice(kProbeKey),
              BigEndian(static_cast<uint64_t>(clock_.NowMicros())));
    status = Write(&probe);
  }
  if (status.ok()) status = Load();
  if (!status.ok()) {
    Log()->debug("the journal is not writable yet: {}", MessageOf(status));
    return;
  }
  {
    MutexLock lock(&mu_);
    if (failures_ != failures) return;
    poison_ = absl::OkStatus();
  }
  Log()->info("postbacks can be made durable again");
}

void Journal::RemoveOld() {
  rocksdb::WriteBatch batch;
  SaveTime(&batch);
  const LogState after = retention_.Apply(state_, *timeline_, quarantine_.get(), &batch);
  if (batch.Count() == 0) return;
  // Readers first: whoever still reads what goes is told that it went.
  oldest_.store(after.oldest, std::memory_order_release);
  if (auto status = Write(&batch); !status.ok()) {
    oldest_.store(state_.oldest, std::memory_order_release);
    return ReportFailedWrite(status);
  }
  retention_.Drop(state_, after);
  state_ = after;
  UpdateGauges();
}

void Journal::UpdateGauges() {
  MutexLock lock(&mu_);
  stats_ = {.head = state_.head,
            .oldest = state_.oldest,
            .events_retained = state_.head + 1 - state_.oldest,
            .bytes_retained = state_.log_bytes - state_.removed_bytes,
            .quarantined = {}};
  for (const Shelf shelf : kShelves) {
    const ShelfState& state = quarantine_->state(shelf);
    stats_.quarantined.push_back({.shelf = std::string(Name(shelf)),
                                  .count = state.count,
                                  .bytes = state.bytes,
                                  .dropped = state.dropped});
  }
}

}  // namespace mmsmo::embedded
