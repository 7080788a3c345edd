#include "gateway/embedded/subscriptions/subscriptions.h"

#include <algorithm>
#include <future>
#include <random>
#include <utility>

#include "gateway/base/log.h"
#include "gateway/base/status.h"
#include "gateway/broker/page.h"
#include "gateway/broker/proto_time.h"
#include "gateway/broker/subscription_settings.h"
#include "gateway/embedded/subscriptions/subscription_feed.h"

namespace mmsmo::embedded {
namespace {

using std::chrono::steady_clock;

// How exact the ends of leases and of waits are.
constexpr auto kCheckEvery = std::chrono::milliseconds(20);
// Where none of them is near: whatever makes one nearer gives it at least so long, or is a request.
constexpr auto kCheckEveryWhileIdle = std::chrono::milliseconds(100);
constexpr auto kHousekeepingEvery = std::chrono::seconds(1);
constexpr size_t kDeadLettersAtOnce = 1'000;
// Of so many subscriptions a second it is read since when their oldest event waits.
constexpr int kOldestAtOnce = 1'000;
constexpr int kReaders = 2;
constexpr int kReadersNiceness = 10;
// Of events that were read and are not offered yet, of all subscriptions.
constexpr int64_t kReadAheadBytes = 32 << 20;

std::vector<broker::AckFailure> FailuresOf(const std::vector<Subscription::Verdict>& verdicts) {
  std::vector<broker::AckFailure> failures;
  for (size_t i = 0; i < verdicts.size(); ++i) {
    if (verdicts[i].reason == v1::ACK_FAILURE_REASON_UNSPECIFIED) continue;
    failures.push_back({.index = i, .reason = verdicts[i].reason});
  }
  return failures;
}

absl::Status Unwritten(const absl::Status& why) {
  return Unavailable("the subscription could not be written; try again: {}", MessageOf(why));
}

}  // namespace

EmbeddedSubscriptions::EmbeddedSubscriptions(const Options& options, Journal* journal, Store* store,
                                             AuditLog* audit, const Positions* positions,
                                             const Clock& clock)
    : journal_(journal),
      store_(store),
      audit_(audit),
      positions_(positions),
      clock_(clock),
      records_(store),
      lookahead_(journal, store, &records_, &clock),
      read_ahead_(kReadAheadBytes),
      recorder_(store),
      readers_(kReaders, kReadersNiceness),
      shared_{.journal = journal,
              .store = store,
              .records = &records_,
              .positions = positions,
              .clock = &clock,
              .lookahead = &lookahead_,
              .readers = &readers_,
              .recorder = &recorder_,
              .read_ahead = &read_ahead_,
              .resume_window_micros = options.resume_window_micros,
              .max_dead_letters = options.max_dead_letters,
              .max_dead_letter_bytes = options.max_dead_letter_bytes,
              .dead_letter_bytes = &dead_letter_bytes_},
      watch_(clock) {}

absl::StatusOr<std::unique_ptr<EmbeddedSubscriptions>> EmbeddedSubscriptions::Open(
    const Options& options, Journal* journal, Store* store, AuditLog* audit,
    const Positions* positions, const Clock& clock) {
  std::unique_ptr<EmbeddedSubscriptions> subscriptions(
      new EmbeddedSubscriptions(options, journal, store, audit, positions, clock));
  if (auto status = subscriptions->Load(); !status.ok()) return status;
  subscriptions->writer_ = std::thread([raw = subscriptions.get()] { raw->Run(); });
  return subscriptions;
}

EmbeddedSubscriptions::~EmbeddedSubscriptions() {
  {
    MutexLock lock(&mu_);
    stopping_ = true;
    changed_.SignalAll();
  }
  if (writer_.joinable()) writer_.join();
}

absl::Status EmbeddedSubscriptions::Load() {
  auto found = records_.ReadAll();
  if (!found.ok()) return found.status();
  for (SubscriptionRecords::Found& one : *found) {
    absl::Status why = one.header.status();
    if (why.ok()) {
      auto subscription = Subscription::Open(shared_, *std::move(one.header));
      if (subscription.ok()) {
        MutexLock lock(&mu_);
        subscriptions_.emplace(one.name, *std::move(subscription));
        continue;
      }
      why = subscription.status();
    }
    if (!absl::IsDataLoss(why)) return why;
    Log()->error("subscription {} is damaged and stands still until it is deleted: {}", one.name,
                 MessageOf(why));
    MutexLock lock(&mu_);
    damaged_.emplace(one.name, DataLoss("subscription: '{}' is damaged; delete it, or restore a "
                                        "copy of the data directory: {}",
                                        one.name, MessageOf(why)));
  }
  return absl::OkStatus();
}

absl::StatusOr<EmbeddedSubscriptions::SubscriptionPtr> EmbeddedSubscriptions::Find(
    const std::string& name) const {
  MutexLock lock(&mu_);
  if (const auto it = subscriptions_.find(name); it != subscriptions_.end()) return it->second;
  if (const auto it = damaged_.find(name); it != damaged_.end()) return it->second;
  return NotFound("subscription: there is no '{}'", name);
}

std::vector<EmbeddedSubscriptions::SubscriptionPtr> EmbeddedSubscriptions::All() const {
  MutexLock lock(&mu_);
  std::vector<SubscriptionPtr> all;
  all.reserve(subscriptions_.size());
  for (const auto& [name, subscription] : subscriptions_) all.push_back(subscription);
  return all;
}

absl::StatusOr<v1::Subscription> EmbeddedSubscriptions::Create(const v1::Subscription& subscription,
                                                               const broker::ActPtr& act) {
  // Here, as its description is: what reads the store may wait, and the writer's clients with it.
  const auto start = positions_->Resolve(subscription.start_position());
  absl::StatusOr<SubscriptionPtr> made;
  auto status = RunOnWriter([&] {
    made = Make(subscription, start, act);
    return made.status();
  });
  if (!status.ok()) return status;
  return (*made)->Describe();
}

absl::StatusOr<EmbeddedSubscriptions::SubscriptionPtr> EmbeddedSubscriptions::Make(
    const v1::Subscription& subscription, const absl::StatusOr<Positions::Start>& start,
    const broker::ActPtr& act) {
  auto existing = Find(subscription.name());
  if (!existing.ok() && !absl::IsNotFound(existing.status())) return existing.status();
  if (existing.ok()) {
    const std::string difference =
        broker::DifferenceBetween((*existing)->header().settings, subscription);
    if (!difference.empty()) {
      return MakeStatus(absl::StatusCode::kAlreadyExists,
                        fmt::format("subscription {} exists with other settings: {}",
                                    subscription.name(), difference));
    }
    return existing;
  }
  if (!start.ok()) return start.status();
  std::random_device random;
  SubscriptionHeader header{.id = uint64_t{random()} << 32 | random(),
                            .last_used_micros = journal_->AgeMicros(),
                            .settings = subscription};
  *header.settings.mutable_create_time() = broker::ToTimestamp(clock_.NowMicros());
  rocksdb::WriteBatch batch;
  records_.Put(header, &batch);
  records_.Put(header.id, {.floor = start->after, .not_before = start->not_before}, &batch);
  if (auto status = WriteActed(act, 0, &batch); !status.ok()) return Unwritten(status);
  auto opened = Subscription::Open(shared_, std::move(header));
  if (!opened.ok()) return opened.status();
  Log()->info("subscription {} was created", subscription.name());
  MutexLock lock(&mu_);
  subscriptions_[subscription.name()] = *opened;
  return opened;
}

absl::StatusOr<v1::Subscription> EmbeddedSubscriptions::Get(const std::string& name) {
  auto subscription = Find(name);
  if (!subscription.ok()) return subscription.status();
  return (*subscription)->Describe();
}

v1::ListSubscriptionsResponse EmbeddedSubscriptions::List(int page_size,
                                                          const std::string& page_token) {
  std::vector<SubscriptionPtr> page;
  v1::ListSubscriptionsResponse response;
  {
    MutexLock lock(&mu_);
    auto it = subscriptions_.lower_bound(page_token);
    for (; it != subscriptions_.end() && page.size() < static_cast<size_t>(page_size); ++it) {
      page.push_back(it->second);
    }
    if (it != subscriptions_.end()) response.set_next_page_token(it->first);
  }
  size_t bytes = 0;
  for (const auto& subscription : page) {
    v1::Subscription description = subscription->Describe();
    bytes += description.ByteSizeLong();
    if (bytes > broker::kMaxPageBytes && response.subscriptions_size() > 0) {
      response.set_next_page_token(subscription->name());
      break;
    }
    response.add_subscriptions()->Swap(&description);
  }
  return response;
}

absl::StatusOr<v1::Subscription> EmbeddedSubscriptions::Update(
    const v1::Subscription& wanted, const google::protobuf::FieldMask& mask,
    const broker::ActPtr& act) {
  auto status = RunOnWriter([&] { return Change(wanted, mask, act); });
  if (!status.ok()) return status;
  return Get(wanted.name());
}

absl::Status EmbeddedSubscriptions::Change(const v1::Subscription& wanted,
                                           const google::protobuf::FieldMask& mask,
                                           const broker::ActPtr& act) {
  auto found = Find(wanted.name());
  if (!found.ok()) return found.status();
  SubscriptionHeader header = (*found)->header();
  auto updated = broker::UpdatedSubscription(header.settings, wanted, mask);
  if (!updated.ok()) return updated.status();
  if (broker::DifferenceBetween(header.settings, *updated).empty()) return absl::OkStatus();
  broker::CopyChangeableSettings(*updated, &header.settings);
  rocksdb::WriteBatch batch;
  records_.Put(header, &batch);
  if (auto status = WriteActed(act, 0, &batch); !status.ok()) return Unwritten(status);
  (*found)->SetHeader(std::move(header));
  return absl::OkStatus();
}

absl::Status EmbeddedSubscriptions::Delete(const std::string& name, const broker::ActPtr& act) {
  return RunOnWriter([&] {
    auto found = Find(name);
    absl::Status status = found.status();
    if (found.ok()) {
      status = (*found)->Delete(Writes(act));
    } else if (absl::IsDataLoss(status)) {
      // What its other records are cannot be told from its name; they do no harm.
      rocksdb::WriteBatch batch;
      records_.DeleteHeader(name, &batch);
      status = WriteActed(act, 0, &batch);
    } else {
      return status;
    }
    if (!status.ok()) return Unwritten(status);
    Forget(name, "on request");
    return absl::OkStatus();
  });
}

void EmbeddedSubscriptions::Forget(const std::string& name, std::string_view why) {
  Log()->info("subscription {} was deleted {}", name, why);
  MutexLock lock(&mu_);
  subscriptions_.erase(name);
  damaged_.erase(name);
}

absl::StatusOr<v1::Subscription> EmbeddedSubscriptions::Seek(const std::string& name,
                                                             const v1::StartPosition& target,
                                                             const broker::ActPtr& act) {
  auto start = positions_->Resolve(target);
  if (!start.ok()) return start.status();
  auto status = RunOnWriter([&] {
    auto found = Find(name);
    if (!found.ok()) return found.status();
    auto moved = SaveAll({*found});
    if (moved.ok()) moved = (*found)->Seek(*start, Writes(act));
    return moved.ok() ? moved : Unwritten(moved);
  });
  if (!status.ok()) return status;
  return Get(name);
}

absl::StatusOr<v1::ListDeadLettersResponse> EmbeddedSubscriptions::ListDeadLetters(
    const std::string& name, int page_size, const std::string& page_token) {
  auto found = Find(name);
  if (!found.ok()) return found.status();
  return (*found)->ListDeadLetters(page_size, page_token);
}

absl::StatusOr<int64_t> EmbeddedSubscriptions::ReplayDeadLetters(
    const std::string& name, const std::vector<std::string>& cursors, const broker::ActPtr& act) {
  return WithDeadLetters(name, cursors, &Subscription::Replay, act);
}

absl::StatusOr<int64_t> EmbeddedSubscriptions::DiscardDeadLetters(
    const std::string& name, const std::vector<std::string>& cursors, const broker::ActPtr& act) {
  return WithDeadLetters(name, cursors, &Subscription::Discard, act);
}

absl::StatusOr<int64_t> EmbeddedSubscriptions::WithDeadLetters(
    const std::string& name, const std::vector<std::string>& cursors, OfPiece of_piece,
    const broker::ActPtr& act) {
  auto found = Find(name);
  if (!found.ok()) return found.status();
  if (!cursors.empty()) {
    auto sequences = (*found)->DeadLettersAt(cursors);
    if (!sequences.ok()) return sequences.status();
    return WithPieces(*found, *std::move(sequences), of_piece, act);
  }
  int64_t done = 0;
  // What was given up before this call: what is in memory only is not there yet.
  for (uint64_t from = 0;;) {
    auto some = (*found)->DeadLettersFrom(from, kDeadLettersAtOnce);
    if (!some.ok()) return some.status();
    if (some->empty()) return done;
    from = some->back() + 1;
    auto count = WithPieces(*found, *std::move(some), of_piece, act);
    if (!count.ok()) return count;
    done += *count;
  }
}

absl::StatusOr<int64_t> EmbeddedSubscriptions::WithPieces(const SubscriptionPtr& subscription,
                                                          std::vector<uint64_t> sequences,
                                                          OfPiece of_piece,
                                                          const broker::ActPtr& act) {
  int64_t done = 0;
  while (!sequences.empty()) {
    absl::StatusOr<Subscription::Moved> moved;
    auto status = RunOnWriter([&] {
      if (auto saved = SaveAll({subscription}); !saved.ok()) return Unwritten(saved);
      moved = (*subscription.*of_piece)(sequences, [&](rocksdb::WriteBatch* batch, int64_t count) {
        return WriteActed(act, count, batch);
      });
      if (moved.ok() || absl::IsNotFound(moved.status())) return moved.status();
      return Unwritten(moved.status());
    });
    if (!status.ok()) return status;
    done += static_cast<int64_t>(moved->count);
    sequences.erase(sequences.begin(), sequences.begin() + static_cast<ptrdiff_t>(moved->seen));
  }
  return done;
}

void EmbeddedSubscriptions::OpenStream(const std::string& name, const broker::StreamWish& wish,
                                       broker::OpenStreamDone done) {
  std::move(done)(OpenStream(name, wish));
}

absl::StatusOr<broker::SubscriptionStream> EmbeddedSubscriptions::OpenStream(
    const std::string& name, const broker::StreamWish& wish) {
  auto found = Find(name);
  if (!found.ok()) return found.status();
  const v1::Subscription settings = (*found)->header().settings;
  const int messages = std::min(
      wish.max_outstanding_messages > 0 ? wish.max_outstanding_messages : kDefaultStreamMessages,
      settings.max_outstanding_messages());
  const int64_t bytes =
      wish.max_outstanding_bytes > 0 ? wish.max_outstanding_bytes : kDefaultStreamBytes;
  auto opened = (*found)->AddStream(wish, {.messages = messages, .bytes = bytes});
  if (!opened.ok()) return opened.status();
  broker::SubscriptionStream stream{
      .feed = std::make_unique<SubscriptionFeed>(*found, opened->id),
      .ack_deadline_micros = broker::MicrosOf(settings.ack_deadline()),
      .max_outstanding_messages = messages,
      .resumed = opened->resumed};
  MutexLock lock(&mu_);
  active_.insert(*found);
  changed_.Signal();
  return stream;
}

absl::StatusOr<std::vector<std::string>> EmbeddedSubscriptions::EndpointsOf(
    const std::string& name) {
  auto subscription = Find(name);
  if (!subscription.ok()) return subscription.status();
  return (*subscription)->Endpoints();
}

std::vector<broker::SubscriptionStats> EmbeddedSubscriptions::Stats() {
  std::vector<broker::SubscriptionStats> stats;
  for (const auto& subscription : All()) stats.push_back(subscription->Stats());
  return stats;
}

void EmbeddedSubscriptions::Change(const std::string& name,
                                   const std::vector<std::string_view>& ack_ids,
                                   broker::AckChange change, broker::AckDone done) {
  auto found = Find(name);
  if (!found.ok()) return std::move(done)(found.status());
  std::vector<std::optional<AckId>> ids = (*found)->Hear(ack_ids);
  if (change.kind == broker::AckChange::Kind::kExtend) {  // nothing of it is written
    auto verdicts = (*found)->Apply(ids, change);
    if (!verdicts.ok()) return std::move(done)(verdicts.status());
    return std::move(done)(FailuresOf(*verdicts));
  }
  MutexLock lock(&mu_);
  pending_.push_back({.subscription = *std::move(found),
                      .change = std::move(change),
                      .ids = std::move(ids),
                      .done = std::move(done)});
  if (pending_.size() == 1) changed_.Signal();
}

void EmbeddedSubscriptions::Leave(const std::string& name, const std::string& stream_id,
                                  int64_t received_frames, broker::LeaveDone done) {
  auto found = Find(name);
  std::move(done)(found.ok() ? (*found)->Leave(stream_id, received_frames) : found.status());
}

absl::Status EmbeddedSubscriptions::RunOnWriter(absl::AnyInvocable<absl::Status()> task) {
  std::promise<absl::Status> done;
  auto result = done.get_future();
  {
    MutexLock lock(&mu_);
    pending_.push_back({.task = [&] { done.set_value(task()); }});
    changed_.Signal();
  }
  return result.get();
}

void EmbeddedSubscriptions::Run() {
  next_housekeeping_ = steady_clock::now() + kHousekeepingEvery;
  while (true) {
    std::vector<Request> requests = TakeRequests();
    const auto working = watch_.Begin();
    const bool is_idle = requests.empty();
    Serve(std::move(requests));
    const auto now = steady_clock::now();
    if (!is_idle) next_check_ = std::min(next_check_, now + kCheckEvery);
    if (now >= next_check_) {
      std::vector<SubscriptionPtr> active;
      {
        MutexLock lock(&mu_);
        active.assign(active_.begin(), active_.end());
      }
      SaveDue(active);
      next_check_ = now + UntilNextCheck(active);
    }
    if (now >= next_housekeeping_) {
      next_housekeeping_ = now + kHousekeepingEvery;
      KeepHouse();
    }
    MutexLock lock(&mu_);
    if (stopping_ && pending_.empty() && dead_letters_.empty()) return;
  }
}

// What is pending; of what makes dead letters, one request a time, so that the others do not wait.
std::vector<EmbeddedSubscriptions::Request> EmbeddedSubscriptions::TakeRequests() {
  std::vector<Request> pending;
  {
    MutexLock lock(&mu_);
    while (pending_.empty() && dead_letters_.empty() && !stopping_) {
      const auto due =
          active_.empty() ? next_housekeeping_ : std::min(next_check_, next_housekeeping_);
      if (steady_clock::now() >= due) break;
      changed_.WaitUntil(&mu_, due);
    }
    pending = std::exchange(pending_, {});
  }
  std::vector<Request> requests;
  requests.reserve(pending.size() + 1);
  for (Request& request : pending) {
    const bool takes_long =
        !request.task && request.change.kind == broker::AckChange::Kind::kDeadLetter;
    if (takes_long) {
      dead_letters_.push_back(std::move(request));
    } else {
      requests.push_back(std::move(request));
    }
  }
  if (!dead_letters_.empty()) {
    requests.push_back(std::move(dead_letters_.front()));
    dead_letters_.pop_front();
  }
  return requests;
}

void EmbeddedSubscriptions::Serve(std::vector<Request> requests) {
  std::vector<Request> changes;
  for (Request& request : requests) {
    if (!request.task) {
      changes.push_back(std::move(request));
      continue;
    }
    CommitChanges(std::exchange(changes, {}));
    request.task();
  }
  CommitChanges(std::move(changes));
}

void EmbeddedSubscriptions::CommitChanges(std::vector<Request> requests) {
  if (requests.empty()) return;
  std::vector<SubscriptionPtr> touched;
  for (Request& request : requests) {
    if (request.verdicts.empty()) {
      auto verdicts = request.subscription->Apply(request.ids, request.change);
      if (!verdicts.ok()) {
        std::move(request.done)(verdicts.status());
        request.subscription = nullptr;  // it is answered
        continue;
      }
      request.verdicts = *std::move(verdicts);
      request.subscription->LookUp(request.change, &request.verdicts);
    }
    touched.push_back(request.subscription);
  }
  std::sort(touched.begin(), touched.end());
  touched.erase(std::unique(touched.begin(), touched.end()), touched.end());
  const absl::Status status = SaveAll(touched);
  for (Request& request : requests) {
    if (!request.subscription) continue;
    if (!status.ok()) {
      std::move(request.done)(Unwritten(status));
    } else if (!request.subscription->JudgeDeadLetters(&request.verdicts)) {
      dead_letters_.push_front(std::move(request));  // the next piece has more of them
    } else {
      std::move(request.done)(FailuresOf(request.verdicts));
    }
  }
}

std::chrono::microseconds EmbeddedSubscriptions::UntilNextCheck(
    const std::vector<SubscriptionPtr>& subscriptions) const {
  std::chrono::microseconds until = kCheckEveryWhileIdle;
  const int64_t now = clock_.MonotonicMicros();
  for (const auto& subscription : subscriptions) {
    until =
        std::min(until, std::chrono::microseconds(std::max(subscription->next_due(), now) - now));
  }
  return std::max<std::chrono::microseconds>(until, kCheckEvery);
}

void EmbeddedSubscriptions::SaveDue(const std::vector<SubscriptionPtr>& subscriptions) {
  std::vector<SubscriptionPtr> due;
  for (const auto& subscription : subscriptions) {
    if (!subscription->IsDue()) continue;
    subscription->OnTime();
    if (subscription->IsDue()) due.push_back(subscription);
  }
  if (!due.empty()) (void)SaveAll(due);  // what is not written stays due
}

absl::Status EmbeddedSubscriptions::SaveAll(const std::vector<SubscriptionPtr>& subscriptions) {
  rocksdb::WriteBatch batch;
  std::vector<SubscriptionChanges> changes;
  changes.reserve(subscriptions.size());
  for (const auto& subscription : subscriptions) {
    subscription->PutDeadLetters();
    changes.push_back(subscription->TakeChanges());
    changes.back().Put(subscription->id(), records_, clock_, &batch);
  }
  absl::Status status = batch.Count() > 0 ? Write(&batch) : absl::OkStatus();
  for (size_t i = 0; i < subscriptions.size(); ++i) {
    if (!status.ok()) {
      subscriptions[i]->GiveBack(std::move(changes[i]));
    } else if (auto loaded = subscriptions[i]->LoadReplays(); !loaded.ok()) {
      Log()->error("replays of subscription {} cannot be read: {}", subscriptions[i]->name(),
                   MessageOf(loaded));
    }
  }
  return status;
}

void EmbeddedSubscriptions::KeepHouse() {
  if (failed_) store_->db().Resume();
  const std::vector<SubscriptionPtr> all = All();
  std::vector<SubscriptionPtr> changed;
  for (const auto& subscription : all) {
    subscription->OnTime();
    if (subscription->IsDue() || subscription->HasMoved()) changed.push_back(subscription);
  }
  if (!changed.empty()) (void)SaveAll(changed);  // what is not written stays changed
  for (const auto& subscription : all) {
    if (subscription->DeleteIfAbandoned(Writes())) {
      Forget(subscription->name(), "since nobody used it");
    }
  }
  RefreshOldest();
  if (auto status = audit_->RemoveOld(journal_->AgeMicros()); !status.ok())
    Log()->error("old audit records cannot be removed: {}", MessageOf(status));
  MutexLock lock(&mu_);
  for (auto it = active_.begin(); it != active_.end();) {
    it = (*it)->streams() == 0 ? active_.erase(it) : std::next(it);
  }
}

// Of some, in turn, on a thread that may wait for the store.
void EmbeddedSubscriptions::RefreshOldest() {
  std::vector<SubscriptionPtr> some;
  {
    MutexLock lock(&mu_);
    auto it = subscriptions_.upper_bound(oldest_refreshed_);
    for (; it != subscriptions_.end() && some.size() < kOldestAtOnce; ++it) {
      some.push_back(it->second);
    }
    oldest_refreshed_ = it == subscriptions_.end() ? "" : some.back()->name();
  }
  if (some.empty()) return;
  readers_.Run([some = std::move(some)] {
    for (const auto& subscription : some) subscription->RefreshOldest();
  });
}

absl::Status EmbeddedSubscriptions::WriteActed(const broker::ActPtr& act, int64_t count,
                                               rocksdb::WriteBatch* batch) {
  audit_->Put(act, count, journal_->AgeMicros(), batch);
  absl::Status status = Write(batch);
  if (status.ok()) AuditLog::Log(act);
  return status;
}

absl::Status EmbeddedSubscriptions::Write(rocksdb::WriteBatch* batch) {
  absl::Status status = store_->Write(batch, "writing a subscription");
  if (!status.ok() && !failed_) Log()->error("{}", MessageOf(status));
  failed_ = !status.ok();
  if (failed_) journal_->ReportFailedWrite(status);
  return status;
}

}  // namespace mmsmo::embedded
