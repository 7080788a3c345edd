#include "client/acknowledger.h"

#include <google/protobuf/util/time_util.h>

#include <algorithm>
#include <iterator>
#include <utility>

#include "client/connection.h"
#include "grpcpp/grpcpp.h"
#include "mmsmo/defaults.h"

namespace mmsmo {
namespace {

using google::protobuf::util::TimeUtil;
using std::chrono::milliseconds;
using std::chrono::steady_clock;

v1::ModifyAckDeadlineRequest ModificationOf(const Update& update) {
  v1::ModifyAckDeadlineRequest request;
  const auto duration = TimeUtil::MillisecondsToDuration(update.duration.count());
  switch (update.kind) {
    case Update::Kind::kExtend:
      *request.mutable_extend_by() = duration;
      break;
    case Update::Kind::kRedeliver:
      *request.mutable_redeliver_after() = duration;
      break;
    case Update::Kind::kRetry:
      request.mutable_retry();
      break;
    case Update::Kind::kRelease:
      request.mutable_release();
      break;
    case Update::Kind::kDeadLetter:
      request.set_dead_letter_reason(update.reason);
      break;
    case Update::Kind::kAck:
      break;  // is a method of its own
  }
  return request;
}

}  // namespace

struct Acknowledger::Exchange {
  UpdateCall call;  // its ack_ids are in the request while it is under way
  grpc::ClientContext context;
  std::shared_ptr<v1::MmsMoService::Stub> stub;
  v1::AcknowledgeRequest acknowledge;
  v1::AcknowledgeResponse acknowledged;
  v1::ModifyAckDeadlineRequest modify;
  v1::ModifyAckDeadlineResponse modified;
  grpc::Status status;

  explicit Exchange(UpdateCall update_call) : call(std::move(update_call)) {}

  bool is_ack() const { return call.update.kind == Update::Kind::kAck; }
  google::protobuf::RepeatedPtrField<std::string>* ids_under_way() {
    return is_ack() ? acknowledge.mutable_ack_ids() : modify.mutable_ack_ids();
  }
  const google::protobuf::RepeatedPtrField<v1::AckFailure>& failures() const {
    return is_ack() ? acknowledged.failures() : modified.failures();
  }
};

Acknowledger::Acknowledger(const GatewayStub& stub, std::string subscription,
                           const Deliveries& deliveries, Backoff::Options backoff,
                           OnFailed on_failed)
    : stub_(stub),
      subscription_(std::move(subscription)),
      deliveries_(deliveries),
      on_failed_(std::move(on_failed)),
      outbox_(Backoff(backoff)),
      thread_([this] { Loop(); }) {}

Acknowledger::~Acknowledger() {
  {
    const MutexLock lock(&mu_);
    closing_ = true;
    changed_.Signal();
  }
  thread_.join();  // which starts no more calls
  const MutexLock lock(&mu_);
  for (Exchange& exchange : under_way_) exchange.context.TryCancel();
  while (!under_way_.empty()) idle_.Wait(&mu_);
}

void Acknowledger::Add(const Update& update, std::string ack_id) {
  const auto now = steady_clock::now();
  const MutexLock lock(&mu_);
  if (outbox_.Add(update, std::move(ack_id), now)) changed_.Signal();
}

void Acknowledger::AddAll(const Update& update, std::vector<std::string> ack_ids) {
  const MutexLock lock(&mu_);
  outbox_.AddAll(update, std::move(ack_ids), steady_clock::now());
  changed_.Signal();
}

void Acknowledger::KeepLeases(milliseconds ack_deadline) {
  const MutexLock lock(&mu_);
  ack_deadline_ = ack_deadline;
  const auto next = steady_clock::now() + ack_deadline / defaults::kExtensionsPerDeadline;
  // Not later than it was due, however often streams begin.
  next_extension_ =
      ack_deadline > milliseconds(0) ? std::min(next_extension_, next) : Outbox::Time::max();
  changed_.Signal();
}

void Acknowledger::CallAgain() {
  const MutexLock lock(&mu_);
  for (Exchange& exchange : under_way_) exchange.context.TryCancel();
}

void Acknowledger::Flush(Outbox::Time deadline) {
  const MutexLock lock(&mu_);
  outbox_.Hurry(steady_clock::now());
  changed_.Signal();
  while (!IsIdle() && steady_clock::now() < deadline) idle_.WaitUntil(&mu_, deadline);
}

bool Acknowledger::IsIdle() const {
  return outbox_.empty() && under_way_.empty() && answered_.empty();
}

void Acknowledger::Loop() {
  const MutexLock lock(&mu_);
  while (!closing_) {
    TakeAnswers();
    SendWhatIsDue();
    if (IsIdle()) idle_.SignalAll();
    if (closing_ || !answered_.empty()) continue;
    const bool has_room = under_way_.size() < defaults::kMaxAcksUnderWay;
    const Outbox::Time due = has_room ? outbox_.due() : Outbox::Time::max();
    changed_.WaitUntil(&mu_, std::min(due, next_extension_));
  }
}

void Acknowledger::TakeAnswers() {
  std::vector<FailedUpdate> failed;
  for (Exchange& exchange : answered_) {
    auto* ids = exchange.ids_under_way();
    exchange.call.ack_ids.assign(std::move_iterator(ids->begin()), std::move_iterator(ids->end()));
    auto more = outbox_.OnAnswer(std::move(exchange.call), ToAbsl(exchange.status),
                                 exchange.failures(), steady_clock::now());
    failed.insert(failed.end(), std::move_iterator(more.begin()), std::move_iterator(more.end()));
  }
  std::list<Exchange> done;
  done.swap(answered_);
  mu_.Unlock();
  for (const FailedUpdate& update : failed) on_failed_(update);
  done.clear();
  mu_.Lock();
}

void Acknowledger::SendWhatIsDue() {
  const auto now = steady_clock::now();
  std::list<Exchange> calls;
  if (now >= next_extension_) ProlongLeases(&calls, now);
  while (under_way_.size() + calls.size() < defaults::kMaxAcksUnderWay) {
    std::optional<UpdateCall> call = outbox_.Take(now);
    if (!call) break;
    calls.emplace_back(std::move(*call));
  }
  // Iterators stay valid; a call that is under way is touched by this thread until Start returns.
  std::vector<std::list<Exchange>::iterator> started;
  for (auto it = calls.begin(); it != calls.end(); ++it) started.push_back(it);
  under_way_.splice(under_way_.end(), calls);
  mu_.Unlock();
  for (const auto exchange : started) Start(exchange);
  mu_.Lock();
}

// Beside the limit of calls under way: leases do not wait until a slow gateway has answered.
void Acknowledger::ProlongLeases(std::list<Exchange>* calls, Outbox::Time now) {
  next_extension_ = now + ack_deadline_ / defaults::kExtensionsPerDeadline;
  std::vector<std::string> held = deliveries_.held_ack_ids();
  for (size_t begin = 0; begin < held.size(); begin += defaults::kMaxAckIds) {
    const size_t end = std::min(held.size(), begin + defaults::kMaxAckIds);
    UpdateCall call{.update = {.kind = Update::Kind::kExtend, .duration = ack_deadline_}};
    call.ack_ids.assign(std::move_iterator(held.begin() + static_cast<ptrdiff_t>(begin)),
                        std::move_iterator(held.begin() + static_cast<ptrdiff_t>(end)));
    calls->emplace_back(std::move(call));
  }
}

void Acknowledger::Start(std::list<Exchange>::iterator exchange) {
  exchange->stub = stub_.Get();
  exchange->context.set_deadline(std::chrono::system_clock::now() + defaults::kAckCallTimeout);
  const auto on_done = [this, exchange](const grpc::Status& status) { OnDone(exchange, status); };
  if (!exchange->is_ack()) exchange->modify = ModificationOf(exchange->call.update);
  auto* ids = exchange->ids_under_way();
  ids->Reserve(static_cast<int>(exchange->call.ack_ids.size()));
  for (std::string& ack_id : exchange->call.ack_ids) *ids->Add() = std::move(ack_id);
  if (exchange->is_ack()) {
    exchange->acknowledge.set_subscription(subscription_);
    exchange->stub->async()->Acknowledge(&exchange->context, &exchange->acknowledge,
                                         &exchange->acknowledged, on_done);
  } else {
    exchange->modify.set_subscription(subscription_);
    exchange->stub->async()->ModifyAckDeadline(&exchange->context, &exchange->modify,
                                               &exchange->modified, on_done);
  }
}

void Acknowledger::OnDone(std::list<Exchange>::iterator exchange, const grpc::Status& status) {
  const MutexLock lock(&mu_);
  exchange->status = status;
  answered_.splice(answered_.end(), under_way_, exchange);
  // Under the lock: the destructor may run as soon as it is released.
  changed_.Signal();
  idle_.SignalAll();
}

}  // namespace mmsmo
