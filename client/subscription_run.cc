#include "client/subscription_run.h"

#include <google/protobuf/util/time_util.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <thread>
#include <utility>
#include <vector>

#include "client/connection.h"

namespace mmsmo {
namespace {

using google::protobuf::util::TimeUtil;
using std::chrono::milliseconds;
using std::chrono::steady_clock;

// How long a gateway keeps a stream's deliveries for its successor, by default.
constexpr milliseconds kResumeWithin{2'000};

}  // namespace

SubscriptionRun::SubscriptionRun(const SubscriberOptions& options, const std::string& subscription,
                                 const Subscriber::DeliveryHandler& handler,
                                 std::atomic<int64_t>* failed_acks)
    : options_(options),
      subscription_(subscription),
      handler_(handler),
      stub_(v1::MmsMoService::NewStub(Connect(options))),
      acknowledger_(stub_.get(), subscription, deliveries_,
                    {.min = options.min_backoff, .max = options.max_backoff},
                    [this, failed_acks](const FailedUpdate& failed) {
                      ++*failed_acks;
                      if (options_.on_ack_failed) options_.on_ack_failed(failed.ack_id, failed.why);
                    }),
      loop_(options, stub_.get()) {}

absl::Status SubscriptionRun::Run() {
  std::thread finisher([this] { FinishWhatIsInHand(); });
  absl::Status status = loop_.Run(this);
  Stop();
  finisher.join();
  // Not before the stream has ended: it would get them again.
  acknowledger_.AddAll({.kind = Update::Kind::kRelease}, deliveries_.held_ack_ids());
  acknowledger_.Flush(give_up_);
  return status;
}

// The stream stays open until everything is answered, because its end would take the leases away.
void SubscriptionRun::FinishWhatIsInHand() {
  std::vector<std::thread> handlers;
  for (int i = 0; i < std::max(1, options_.concurrency); ++i) {
    handlers.emplace_back([this] { HandleDeliveries(); });
  }
  for (std::thread& handler : handlers) handler.join();
  give_up_ = steady_clock::now() + options_.stop_timeout;
  acknowledger_.Flush(give_up_);
  loop_.Stop();
}

void SubscriptionRun::HandleDeliveries() {
  while (const std::optional<Deliveries::Claim> claim = deliveries_.Take()) {
    const Update update = Handle(claim->delivery());
    acknowledger_.Add(update, deliveries_.Finish(*claim));
  }
}

Update SubscriptionRun::Handle(const v1::Delivery& delivery) {
  Verdict verdict;
  try {
    verdict = handler_(delivery);
  } catch (...) {
    verdict = Retry();
  }
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
  if (!stream_id_.empty()) {
    request.set_resume_stream_id(stream_id_);
    request.set_received_frames(frames_);
  }
  return request;
}

void SubscriptionRun::OnFrame(const std::shared_ptr<v1::SubscribeResponse>& frame) {
  ++frames_;
  if (frame->has_started()) {
    stream_id_ = frame->started().stream_id();
    frames_ = 1;
    frame->started().resumed() ? deliveries_.KeepWaiting() : deliveries_.DropWaiting();
    acknowledger_.KeepLeases(
        milliseconds(TimeUtil::DurationToMilliseconds(frame->started().ack_deadline())));
  }
  if (frame->has_batch()) deliveries_.Push(frame);
}

// What waits here is still this program's, but for a short time only, unless the next stream
// resumes this one.
void SubscriptionRun::OnStreamEnd() {
  if (!loop_.stopped()) deliveries_.DropWaitingAt(steady_clock::now() + kResumeWithin);
}

}  // namespace mmsmo
