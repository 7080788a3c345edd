#include "client/stream_loop.h"

#include <google/protobuf/arena.h>
#include <google/protobuf/util/time_util.h>

#include <algorithm>
#include <thread>
#include <utility>

#include "client/backoff.h"
#include "client/connection.h"
#include "mmsmo/defaults.h"

namespace mmsmo {
namespace {

using google::protobuf::util::TimeUtil;
using std::chrono::milliseconds;
using std::chrono::steady_clock;

// On an arena of its own: most of what a client does for an event is to allocate and to free it.
std::shared_ptr<v1::SubscribeResponse> NewFrame() {
  auto arena = std::make_shared<google::protobuf::Arena>();
  auto* const frame = google::protobuf::Arena::CreateMessage<v1::SubscribeResponse>(arena.get());
  return {std::move(arena), frame};
}

}  // namespace

StreamLoop::StreamLoop(const SubscriberOptions& options, GatewayStub* stub)
    : options_(options), stub_(*stub) {}

void StreamLoop::Stop() {
  const MutexLock lock(&mu_);
  stopped_ = true;
  if (context_ != nullptr) context_->TryCancel();
  changed_.SignalAll();
}

absl::Status StreamLoop::Run(Sink* sink) {
  std::thread watchdog([this] { WatchForSilence(); });
  Backoff backoff({.min = options_.min_backoff, .max = options_.max_backoff});
  absl::Status status;
  while (true) {
    bool got_frame = false;
    const std::string token = CurrentToken();
    status = ReadStream(sink, &got_frame);
    // What has failed waits in gRPC, too, for up to seconds before it connects again.
    const bool is_silent = was_silent();
    if (is_silent || !got_frame) stub_.Renew();
    sink->OnStreamEnd(is_silent);
    const bool has_new_token = absl::IsUnauthenticated(status) && CurrentToken() != token;
    if (stopped() || (IsFinal(status) && !has_new_token)) break;
    if (got_frame) backoff.Reset();
    if (options_.on_disconnected) options_.on_disconnected(status);
    Wait(std::max(backoff.Next(), RetryDelayOf(status)));
  }
  {
    const MutexLock lock(&mu_);
    done_ = true;
    changed_.SignalAll();
  }
  watchdog.join();
  return stopped() ? absl::OkStatus() : status;
}

bool StreamLoop::was_silent() const {
  const MutexLock lock(&mu_);
  return was_silent_;
}

void StreamLoop::Wait(milliseconds time) {
  const Time end = steady_clock::now() + time;
  const MutexLock lock(&mu_);
  while (!stopped() && steady_clock::now() < end) changed_.WaitUntil(&mu_, end);
}

std::string StreamLoop::CurrentToken() const {
  return options_.token == nullptr ? "" : options_.token->Get();
}

absl::Status StreamLoop::ReadStream(Sink* sink, bool* got_frame) {
  grpc::ClientContext context;
  if (!Begin(&context)) return absl::CancelledError("stopped");
  silence_ = options_.connect_timeout;
  const auto stub = stub_.Get();
  const auto reader = stub->Subscribe(&context, Complete(sink->NextRequest()));
  while (!stopped()) {
    const std::shared_ptr<v1::SubscribeResponse> frame = NewFrame();
    // The gateway has to say something now; it has not while the sink works.
    SetDeadline(steady_clock::now() + silence_);
    const bool read = reader->Read(frame.get());
    SetDeadline(Time::max());
    if (!read) break;
    *got_frame = true;
    sink->OnFrame(frame);
    if (frame->has_started()) OnStarted(frame->started());
    if (frame->has_caught_up() && options_.on_caught_up && !stopped()) options_.on_caught_up();
  }
  return End(reader->Finish());
}

bool StreamLoop::Begin(grpc::ClientContext* context) {
  const MutexLock lock(&mu_);
  if (stopped_) return false;
  context_ = context;
  was_silent_ = false;
  return true;
}

absl::Status StreamLoop::End(const grpc::Status& status) {
  const MutexLock lock(&mu_);
  context_ = nullptr;
  if (was_silent_) return absl::DeadlineExceededError("the gateway gave no sign of life");
  return status.ok() ? absl::UnavailableError("the gateway ended the stream") : ToAbsl(status);
}

void StreamLoop::OnStarted(const v1::Started& started) {
  silence_ = defaults::kSilentHeartbeats *
             milliseconds(TimeUtil::DurationToMilliseconds(started.heartbeat_interval()));
  if (options_.on_connected) options_.on_connected();
}

v1::SubscribeRequest StreamLoop::Complete(v1::SubscribeRequest request) const {
  request.set_max_batch_size(options_.max_batch_size);
  request.set_client_id(options_.client_id);
  if (options_.heartbeat_interval > milliseconds(0)) {
    *request.mutable_heartbeat_interval() =
        TimeUtil::MillisecondsToDuration(options_.heartbeat_interval.count());
  }
  return request;
}

void StreamLoop::SetDeadline(Time deadline) {
  const MutexLock lock(&mu_);
  deadline_ = deadline;
  if (deadline < watchdog_sleeps_until_) changed_.SignalAll();
}

void StreamLoop::WatchForSilence() {
  const MutexLock lock(&mu_);
  while (!done_) {
    if (steady_clock::now() < deadline_) {
      watchdog_sleeps_until_ = deadline_;
      changed_.WaitUntil(&mu_, deadline_);
      continue;
    }
    deadline_ = Time::max();
    was_silent_ = true;
    if (context_ != nullptr) context_->TryCancel();
  }
}

}  // namespace mmsmo
