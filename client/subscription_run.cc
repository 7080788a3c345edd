#include "client/subscription_run.h"

#include <google/protobuf/util/time_util.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <functional>
#include <optional>
#include <thread>
#include <utility>
#include <vector>

#include "client/backoff.h"
#include "client/connection.h"
#include "mmsmo/defaults.h"

namespace mmsmo {
using google::protobuf::util::TimeUtil;
using std::chrono::milliseconds;
using std::chrono::steady_clock;

namespace {
constexpr std::chrono::hours kLongest(24 * 365);  // that a time can be from now, without overflow
}  // namespace

SubscriptionRun::SubscriptionRun(const SubscriberOptions& options, const std::string& subscription,
                                 Handler handler, std::atomic<int64_t>* failed_acks)
    : options_(options),
      subscription_(subscription),
      handler_(handler),
      stub_(options),
      acknowledger_(stub_, subscription, deliveries_,
                    {.min = options.min_backoff, .max = options.max_backoff},
                    [this, failed_acks](const FailedUpdate& failed) {
                      ++*failed_acks;
                      if (options_.on_ack_failed) options_.on_ack_failed(failed.ack_id, failed.why);
                    }),
      ceiling_(options.max_handler_time,
               [this](const Deliveries::Claim& claim) {
                 acknowledger_.Add({.kind = Update::Kind::kRetry}, deliveries_.Disown(claim));
               }),
      loop_(options, &stub_) {}

absl::Status SubscriptionRun::Run() {
  std::thread finisher([this] { UntilStopped(); });
  absl::Status status = loop_.Run(this);
  Stop(StopMode::kRelease, milliseconds(0));
  finisher.join();
  return status;
}

void SubscriptionRun::Stop(StopMode mode, milliseconds timeout) {
  const MutexLock lock(&mu_);
  stopping_ = true;
  if (mode == StopMode::kFinish) {
    deliveries_.Drain(steady_clock::now() + std::min<milliseconds>(timeout, kLongest));
  } else {
    deliveries_.Close();
  }
  changed_.SignalAll();
}

// The stream stays open until everything is answered, because its end would take the leases away.
void SubscriptionRun::UntilStopped() {
  std::vector<std::thread> handlers;
  for (int i = 0; i < std::max(1, options_.concurrency); ++i) {
    handlers.emplace_back([this] { HandleDeliveries(); });
  }
  {
    const MutexLock lock(&mu_);
    while (!stopping_) changed_.Wait(&mu_);
  }
  std::thread leaver([this] { LeaveStreams(); });
  // First, so that nothing comes in place of what is handed back.
  WaitUntilLeft(steady_clock::now() + options_.stop_timeout);
  if (!deliveries_.WaitUntilFinished()) {
    deliveries_.Close();
    ceiling_.TellAll();
  }
  acknowledger_.AddAll({.kind = Update::Kind::kRelease}, deliveries_.TakeBack());
  for (std::thread& handler : handlers) handler.join();
  const auto give_up = steady_clock::now() + options_.stop_timeout;
  acknowledger_.Flush(give_up);
  WaitUntilLeft(give_up);
  {
    const MutexLock lock(&mu_);
    finished_ = true;
    if (leave_call_ != nullptr) leave_call_->TryCancel();
    changed_.SignalAll();
  }
  leaver.join();
  loop_.Stop();
}

// As far as there is a connection.
void SubscriptionRun::WaitUntilLeft(Outbox::Time give_up) {
  const MutexLock lock(&mu_);
  while (connected_ && stream_id_ != left_ && steady_clock::now() < give_up) {
    changed_.WaitUntil(&mu_, give_up);
  }
}

// Tells the gateway that nothing more is taken of the stream, nor of those that replace it, and
// what was: what is on its way goes to others, and is nobody's failure.
void SubscriptionRun::LeaveStreams() {
  Backoff backoff({.min = options_.min_backoff, .max = options_.max_backoff});
  while (true) {
    grpc::ClientContext context;
    const auto request = BeginToLeave(&context);
    if (!request) return;
    v1::ModifyAckDeadlineResponse response;
    const grpc::Status status = stub_.Get()->ModifyAckDeadline(&context, *request, &response);
    const MutexLock lock(&mu_);
    leave_call_ = nullptr;
    if (status.ok() || IsFinal(ToAbsl(status))) {
      left_ = request->stream_id();
      backoff.Reset();
      changed_.SignalAll();
    } else {
      changed_.WaitUntil(&mu_, steady_clock::now() + backoff.Next());
    }
  }
}

// Waits for a stream that is to be left; nothing once all is finished.
std::optional<v1::ModifyAckDeadlineRequest> SubscriptionRun::BeginToLeave(
    grpc::ClientContext* context) {
  const MutexLock lock(&mu_);
  while (!finished_ && stream_id_ == left_) changed_.Wait(&mu_);
  if (finished_) return std::nullopt;
  leave_call_ = context;
  context->set_deadline(std::chrono::system_clock::now() + defaults::kAckCallTimeout);
  v1::ModifyAckDeadlineRequest request;
  request.set_subscription(subscription_);
  request.mutable_release();
  request.set_stream_id(stream_id_);
  request.set_received_frames(frames_);
  return request;
}

void SubscriptionRun::HandleDeliveries() {
  while (const std::optional<Deliveries::Claim> claim = deliveries_.Take()) {
    const Update update = Handle(*claim);
    std::string ack_id = deliveries_.Finish(*claim);
    if (!ack_id.empty()) acknowledger_.Add(update, std::move(ack_id));
  }
}

Verdict SubscriptionRun::CallHandler(const Deliveries::Claim& claim) {
  using Stoppable = const Subscriber::StoppableHandler*;
  HandlerCeiling::Running running(&ceiling_, claim);
  if (const auto* const stoppable = std::get_if<Stoppable>(&handler_)) {
    return (**stoppable)(claim.delivery(), running.token());
  }
  return (*std::get<const Subscriber::DeliveryHandler*>(handler_))(claim.delivery());
}

Update SubscriptionRun::Handle(const Deliveries::Claim& claim) {
  std::function<void(const Verdict&)> on_handled;
  if (options_.on_handling) on_handled = options_.on_handling(claim.delivery());
  Verdict verdict = Retry();  // where it throws
  try {
    verdict = CallHandler(claim);
  } catch (...) {
    if (on_handled) std::exchange(on_handled, nullptr)(verdict);  // here it can see what was thrown
  }
  if (on_handled) on_handled(verdict);
  switch (verdict.kind) {
    case Verdict::Kind::kAck:
      return {.kind = Update::Kind::kAck};
    case Verdict::Kind::kRetry:
      return {.kind = Update::Kind::kRetry};
    case Verdict::Kind::kRetryAfter:
      return {.kind = Update::Kind::kRedeliver, .duration = verdict.delay};
    case Verdict::Kind::kDeadLetter:
      return {.kind = Update::Kind::kDeadLetter, .reason = std::move(verdict.reason)};
  }
  std::abort();
}

v1::SubscribeRequest SubscriptionRun::NextRequest() {
  v1::SubscribeRequest request;
  request.set_subscription(subscription_);
  request.set_max_outstanding_messages(options_.max_outstanding_messages);
  request.set_max_outstanding_bytes(options_.max_outstanding_bytes);
  const MutexLock lock(&mu_);
  if (!stream_id_.empty()) {
    request.set_resume_stream_id(stream_id_);
    request.set_received_frames(frames_);
  }
  return request;
}

void SubscriptionRun::OnFrame(const std::shared_ptr<v1::SubscribeResponse>& frame) {
  const MutexLock lock(&mu_);
  if (frame->has_started()) {
    stream_id_ = frame->started().stream_id();
    frames_ = 1;
    connected_ = true;
    changed_.SignalAll();
    if (frame->started().resumed()) {
      // What waited for too long was not begun any more, and is still this program's.
      acknowledger_.AddAll({.kind = Update::Kind::kRelease}, deliveries_.KeepWaiting());
    } else {
      deliveries_.DropWaiting();
    }
    acknowledger_.KeepLeases(
        milliseconds(TimeUtil::DurationToMilliseconds(frame->started().ack_deadline())));
  } else if (!stopping_) {  // else it counts as not received
    ++frames_;
    if (frame->has_batch()) deliveries_.Push(frame);
  }
}

// What waits here is still this program's, but for a short time only, unless the next stream
// resumes this one.
void SubscriptionRun::OnStreamEnd(bool was_silent) {
  if (was_silent) acknowledger_.CallAgain();
  const MutexLock lock(&mu_);
  connected_ = false;
  changed_.SignalAll();
  if (!loop_.stopped()) deliveries_.DropWaitingAt(steady_clock::now() + defaults::kResumeWindow);
}

}  // namespace mmsmo
