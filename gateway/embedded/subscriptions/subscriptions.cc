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
constexpr auto kHousekeepingEvery = std::chrono::seconds(1);
constexpr size_t kReplayPiece = 1000;

absl::Status Unwritten(const absl::Status& why) {
  return Unavailable("the subscription could not be written; try again: {}", MessageOf(why));
}

}  // namespace

EmbeddedSubscriptions::EmbeddedSubscriptions(Journal* journal, Store* store,
                                             const Positions* positions, const Clock& clock)
    : journal_(journal), store_(store), positions_(positions), clock_(clock), records_(store) {}

absl::StatusOr<std::unique_ptr<EmbeddedSubscriptions>> EmbeddedSubscriptions::Open(
    Journal* journal, Store* store, const Positions* positions, const Clock& clock) {
  std::unique_ptr<EmbeddedSubscriptions> subscriptions(
      new EmbeddedSubscriptions(journal, store, positions, clock));
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
  auto headers = records_.ReadAll();
  if (!headers.ok()) return headers.status();
  for (SubscriptionHeader& header : *headers) {
    auto subscription =
        Subscription::Open({journal_, store_, &records_, positions_, &clock_}, std::move(header));
    if (!subscription.ok()) return subscription.status();
    MutexLock lock(&mu_);
    subscriptions_.emplace((*subscription)->name(), *subscription);
  }
  return absl::OkStatus();
}

absl::StatusOr<EmbeddedSubscriptions::SubscriptionPtr> EmbeddedSubscriptions::Find(
    const std::string& name) const {
  MutexLock lock(&mu_);
  const auto it = subscriptions_.find(name);
  if (it == subscriptions_.end()) return NotFound("subscription: there is no '{}'", name);
  return it->second;
}

std::vector<EmbeddedSubscriptions::SubscriptionPtr> EmbeddedSubscriptions::All() const {
  MutexLock lock(&mu_);
  std::vector<SubscriptionPtr> all;
  all.reserve(subscriptions_.size());
  for (const auto& [name, subscription] : subscriptions_) all.push_back(subscription);
  return all;
}

absl::StatusOr<v1::Subscription> EmbeddedSubscriptions::Create(
    const v1::Subscription& subscription) {
  absl::StatusOr<v1::Subscription> made;
  auto status = RunOnWriter([&] {
    made = Make(subscription);
    return made.status();
  });
  if (!status.ok()) return status;
  return made;
}

absl::StatusOr<v1::Subscription> EmbeddedSubscriptions::Make(const v1::Subscription& subscription) {
  if (auto existing = Find(subscription.name()); existing.ok()) {
    const std::string difference =
        broker::DifferenceBetween((*existing)->header().settings, subscription);
    if (!difference.empty()) {
      return MakeStatus(absl::StatusCode::kAlreadyExists,
                        fmt::format("subscription {} exists with other settings: {}",
                                    subscription.name(), difference));
    }
    return (*existing)->Describe();
  }
  auto start = positions_->Resolve("subscription.start_position", subscription.start_position());
  if (!start.ok()) return start.status();
  std::random_device random;
  const int64_t now = clock_.NowMicros();
  SubscriptionHeader header{
      .id = uint64_t{random()} << 32 | random(), .last_used_micros = now, .settings = subscription};
  *header.settings.mutable_create_time() = broker::ToTimestamp(now);
  rocksdb::WriteBatch batch;
  records_.Put(header, &batch);
  records_.Put(header.id, {.floor = start->after, .not_before = start->not_before}, &batch);
  if (auto status = Write(&batch); !status.ok()) return Unwritten(status);
  auto opened =
      Subscription::Open({journal_, store_, &records_, positions_, &clock_}, std::move(header));
  if (!opened.ok()) return opened.status();
  Log()->info("subscription {} was created", subscription.name());
  MutexLock lock(&mu_);
  subscriptions_[subscription.name()] = *opened;
  return (*opened)->Describe();
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
    const v1::Subscription& wanted, const google::protobuf::FieldMask& mask) {
  auto status = RunOnWriter([&] { return Change(wanted, mask); });
  if (!status.ok()) return status;
  return Get(wanted.name());
}

absl::Status EmbeddedSubscriptions::Change(const v1::Subscription& wanted,
                                           const google::protobuf::FieldMask& mask) {
  auto found = Find(wanted.name());
  if (!found.ok()) return found.status();
  SubscriptionHeader header = (*found)->header();
  auto updated = broker::UpdatedSubscription(header.settings, wanted, mask);
  if (!updated.ok()) return updated.status();
  if (broker::DifferenceBetween(header.settings, *updated).empty()) return absl::OkStatus();
  broker::CopyChangeableSettings(*updated, &header.settings);
  rocksdb::WriteBatch batch;
  records_.Put(header, &batch);
  if (auto status = Write(&batch); !status.ok()) return Unwritten(status);
  (*found)->SetHeader(std::move(header));
  return absl::OkStatus();
}

absl::Status EmbeddedSubscriptions::Delete(const std::string& name) {
  return RunOnWriter([&] {
    auto found = Find(name);
    if (!found.ok()) return found.status();
    if (auto status = (*found)->Delete(Writes()); !status.ok()) return Unwritten(status);
    Forget(**found, "on request");
    return absl::OkStatus();
  });
}

void EmbeddedSubscriptions::Forget(const Subscription& subscription, std::string_view why) {
  Log()->info("subscription {} was deleted {}", subscription.name(), why);
  MutexLock lock(&mu_);
  subscriptions_.erase(subscription.name());
}

absl::StatusOr<v1::Subscription> EmbeddedSubscriptions::Seek(const std::string& name,
                                                             const v1::StartPosition& target) {
  auto start = positions_->Resolve("target", target);
  if (!start.ok()) return start.status();
  auto status = RunOnWriter([&] {
    auto found = Find(name);
    if (!found.ok()) return found.status();
    auto moved = SaveAll({*found});
    if (moved.ok()) moved = (*found)->Seek(*start, Writes());
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
    const std::string& name, const std::vector<std::string>& cursors) {
  auto found = Find(name);
  if (!found.ok()) return found.status();
  auto sequences = (*found)->DeadLettersAt(cursors);
  if (!sequences.ok()) return sequences.status();
  int64_t replayed = 0;
  // In pieces, so that nobody else waits for long.
  for (size_t i = 0; i < sequences->size(); i += kReplayPiece) {
    const auto begin = sequences->begin() + static_cast<ptrdiff_t>(i);
    const std::vector<uint64_t> piece(
        begin, begin + static_cast<ptrdiff_t>(std::min(kReplayPiece, sequences->size() - i)));
    auto status = RunOnWriter([&] {
      auto count = (*found)->Replay(piece, Writes());
      if (!count.ok()) {
        return absl::IsNotFound(count.status()) ? count.status() : Unwritten(count.status());
      }
      replayed += *count;
      return absl::OkStatus();
    });
    if (!status.ok()) return status;
  }
  return replayed;
}

absl::StatusOr<broker::SubscriptionStream> EmbeddedSubscriptions::OpenStream(
    const std::string& name, const broker::StreamLimits& limits) {
  auto found = Find(name);
  if (!found.ok()) return found.status();
  const v1::Subscription settings = (*found)->header().settings;
  const int messages =
      std::min(limits.max_outstanding_messages > 0 ? limits.max_outstanding_messages
                                                   : kDefaultStreamMessages,
               settings.max_outstanding_messages());
  const int64_t bytes =
      limits.max_outstanding_bytes > 0 ? limits.max_outstanding_bytes : kDefaultStreamBytes;
  broker::SubscriptionStream stream{
      .feed = std::make_unique<SubscriptionFeed>(
          *found, SubscriptionState::Window{.messages = messages, .bytes = bytes}),
      .ack_deadline_micros = broker::MicrosOf(settings.ack_deadline()),
      .max_outstanding_messages = messages};
  MutexLock lock(&mu_);
  active_.insert(*found);
  changed_.Signal();
  return stream;
}

std::vector<broker::SubscriptionStats> EmbeddedSubscriptions::Stats() {
  std::vector<broker::SubscriptionStats> stats;
  for (const auto& subscription : All()) stats.push_back(subscription->Stats());
  return stats;
}

void EmbeddedSubscriptions::Change(const std::string& name, std::vector<std::string> ack_ids,
                                   broker::AckChange change, broker::AckDone done) {
  auto found = Find(name);
  if (!found.ok()) return std::move(done)(found.status());
  MutexLock lock(&mu_);
  pending_.push_back({.subscription = *std::move(found),
                      .ack_ids = std::move(ack_ids),
                      .change = std::move(change),
                      .done = std::move(done)});
  if (pending_.size() == 1) changed_.Signal();
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

    const auto now = steady_clock::now();
    if (now >= next_check_) {
      next_check_ = now + kCheckEvery;
      std::vector<SubscriptionPtr> active;
      {
        MutexLock lock(&mu_);
        active.assign(active_.begin(), active_.end());
      }
      SaveDue(active);
    }
    if (now >= next_housekeeping_) {
      next_housekeeping_ = now + kHousekeepingEvery;
      KeepHouse();
    }
    MutexLock lock(&mu_);
    if (stopping_ && pending_.empty()) return;
  }
}

std::vector<EmbeddedSubscriptions::Request> EmbeddedSubscriptions::TakeRequests() {
  MutexLock lock(&mu_);
  while (pending_.empty() && !stopping_) {
    const auto due =
        active_.empty() ? next_housekeeping_ : std::min(next_check_, next_housekeeping_);
    if (steady_clock::now() >= due) break;
    changed_.WaitUntil(&mu_, due);
  }
  return std::exchange(pending_, {});
}

void EmbeddedSubscriptions::CommitChanges(std::vector<Request> requests) {
  if (requests.empty()) return;
  rocksdb::WriteBatch batch;
  std::vector<absl::StatusOr<std::vector<v1::AckFailure>>> answers(requests.size());
  std::vector<SubscriptionPtr> touched;
  for (size_t i = 0; i < requests.size(); ++i) {
    const Request& request = requests[i];
    std::vector<v1::AckFailure> failures;
    auto status = request.subscription->Apply(request.ack_ids, request.change, &batch, &failures);
    if (status.ok()) {
      answers[i] = std::move(failures);
      touched.push_back(request.subscription);
    } else {
      answers[i] = std::move(status);
    }
  }
  std::sort(touched.begin(), touched.end());
  touched.erase(std::unique(touched.begin(), touched.end()), touched.end());
  const absl::Status status = SaveAll(touched, std::move(batch));
  for (size_t i = 0; i < requests.size(); ++i) {
    if (!status.ok() && answers[i].ok()) answers[i] = Unwritten(status);
    std::move(requests[i].done)(std::move(answers[i]));
  }
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

absl::Status EmbeddedSubscriptions::SaveAll(const std::vector<SubscriptionPtr>& subscriptions,
                                            rocksdb::WriteBatch batch) {
  for (const auto& subscription : subscriptions) subscription->Save(&batch);
  absl::Status status = batch.Count() > 0 ? Write(&batch) : absl::OkStatus();
  for (const auto& subscription : subscriptions) subscription->Saved(status.ok());
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
    if (subscription->DeleteIfAbandoned(Writes())) Forget(*subscription, "since nobody used it");
  }
  MutexLock lock(&mu_);
  for (auto it = active_.begin(); it != active_.end();) {
    it = (*it)->streams() == 0 ? active_.erase(it) : std::next(it);
  }
}

absl::Status EmbeddedSubscriptions::Write(rocksdb::WriteBatch* batch) {
  absl::Status status = store_->Write(batch, "writing a subscription");
  if (!status.ok() && !failed_) Log()->error("{}", MessageOf(status));
  failed_ = !status.ok();
  if (failed_) journal_->ReportFailedWrite(status);
  return status;
}

}  // namespace mmsmo::embedded
