#include "gateway/rpc/subscribe_stream.h"

#include <grpcpp/server_context.h>

#include <algorithm>
#include <utility>

#include "gateway/base/status.h"
#include "gateway/broker/proto_time.h"
#include "gateway/rpc/frame.h"
#include "gateway/rpc/status.h"

namespace mmsmo::rpc {
namespace {

using std::chrono::steady_clock;

constexpr std::chrono::milliseconds kProgressInterval{1'000};
constexpr std::chrono::milliseconds kAcknowledgedCheckEvery{20};
constexpr std::chrono::milliseconds kTryAgainAfter{200};
// So long a client that was superseded may take what it is being sent.
constexpr std::chrono::milliseconds kLastWrite{200};

grpc::Status ShuttingDown() {
  return ToGrpc(
      WithReason(Unavailable("this gateway is shutting down; connect again"), "draining"));
}

grpc::Status Superseded() {
  return {grpc::StatusCode::ABORTED, "another stream has resumed this one"};
}

}  // namespace

std::shared_ptr<SubscribeStream> SubscribeStream::Start(Settings settings,
                                                        grpc::CallbackServerContext* context,
                                                        Threads threads, const Clock& clock,
                                                        Hooks hooks) {
  std::shared_ptr<SubscribeStream> stream(
      new SubscribeStream(std::move(settings), context, threads, clock, std::move(hooks)));
  stream->self_ = stream;
  return stream;
}

SubscribeStream::SubscribeStream(Settings settings, grpc::CallbackServerContext* context,
                                 Threads threads, const Clock& clock, Hooks hooks)
    : settings_(std::move(settings)),
      context_(context),
      peer_(context->peer()),
      threads_(threads),
      clock_(clock),
      hooks_(std::move(hooks)),
      sizer_(settings_.frame_bytes) {}

void SubscribeStream::Open(absl::StatusOr<Source> source) {
  {
    MutexLock lock(&mu_);
    opened_ = true;
    if (source.ok()) {
      source_ = *std::move(source);
    } else {
      open_error_ = source.status();
    }
  }
  AskForStep();
}

// A client that reads is told why; a write that its client does not read would keep the call open.
void SubscribeStream::Supersede() {
  {
    MutexLock lock(&mu_);
    superseded_ = true;
  }
  AskForStep();
  threads_.live->RunAt(steady_clock::now() + kLastWrite, [weak = weak_from_this()] {
    if (const auto self = weak.lock()) self->CancelWrite();
  });
}

// While it is cancelled no step finishes the call, so that its context stays.
void SubscribeStream::CancelWrite() {
  {
    MutexLock lock(&mu_);
    if (!writing_) return;
    cancelling_ = true;
  }
  context_->TryCancel();
  {
    MutexLock lock(&mu_);
    cancelling_ = false;
  }
  AskForStep();
}

// To be asked without the lock: a feed wakes its stream, which takes it, with locks of its own
// held.
const broker::Feed* SubscribeStream::Feed() const {
  MutexLock lock(&mu_);
  return source_.feed.get();
}

int64_t SubscribeStream::Lag() const {
  const broker::Feed* const feed = Feed();
  return feed != nullptr ? feed->Backlog() : 0;
}

void SubscribeStream::Drain(TimePoint close_at) {
  {
    MutexLock lock(&mu_);
    close_at_ = close_at;
  }
  AskForStep();
}

void SubscribeStream::OnWriteDone(bool ok) {
  {
    MutexLock lock(&mu_);
    writing_ = false;
    if (!ok) cancelled_ = true;
  }
  AskForStep();
}

void SubscribeStream::OnCancel() {
  {
    MutexLock lock(&mu_);
    cancelled_ = true;
  }
  AskForStep();
}

void SubscribeStream::OnDone() {
  hooks_.done(this);
  const auto last = std::move(self_);  // a step that is queued may outlive the call
}

void SubscribeStream::AskForStep() {
  {
    MutexLock lock(&mu_);
    if (turn_ == Turn::kRunning) turn_ = Turn::kRunningAndAskedAgain;
    if (turn_ != Turn::kIdle) return;
    turn_ = Turn::kQueued;
  }
  Queue();
}

void SubscribeStream::AskForStepAt(TimePoint when) {
  threads_.live->RunAt(when, [weak = weak_from_this()] {
    if (const auto self = weak.lock()) self->AskForStep();
  });
}

void SubscribeStream::Queue() {
  // A wake-up may come while the last reference goes.
  auto self = weak_from_this().lock();
  if (!self) return;
  const broker::Feed* const feed = Feed();
  const bool reads_store = feed != nullptr && feed->ReadsStore();
  (reads_store ? threads_.store : threads_.live)->Run([self = std::move(self)] {
    self->RunSteps();
  });
}

// One step a turn, so that streams take turns; a step that was asked for meanwhile goes to the end
// of the queue.
void SubscribeStream::RunSteps() {
  {
    MutexLock lock(&mu_);
    turn_ = Turn::kRunning;
  }
  Step();
  {
    MutexLock lock(&mu_);
    if (turn_ == Turn::kRunning) {
      turn_ = Turn::kIdle;
      return;
    }
    turn_ = Turn::kQueued;
  }
  Queue();
}

void SubscribeStream::Step() {
  {
    MutexLock lock(&mu_);
    if (writing_ || cancelling_) return;
    if (!opened_ && !cancelled_) return;
  }
  if (finished_) return;
  sizer_.WriteEnds(steady_clock::now());
  if (!SendDue()) SendDeliveries();
}

// What goes before deliveries: the end, the first frame, the notice of the end.
bool SubscribeStream::SendDue() {
  bool cancelled = false, superseded = false;
  std::optional<TimePoint> close_at;
  absl::Status error;
  {
    MutexLock lock(&mu_);
    cancelled = cancelled_;
    superseded = superseded_;
    close_at = close_at_;
    error = open_error_;
  }
  if (superseded) {
    FinishOnce(Superseded());
    return true;
  }
  if (cancelled) {
    FinishOnce(grpc::Status(grpc::StatusCode::CANCELLED, "the call was cancelled"));
    return true;
  }
  if (!error.ok()) {
    FinishOnce(ToGrpc(error));
    return true;
  }
  v1::SubscribeResponse frame;
  frame.set_cursor(source_.feed->Cursor());
  if (!started_) {
    started_ = true;
    v1::Started& started = *frame.mutable_started();
    started.set_stream_id(settings_.stream_id);
    started.set_earliest_cursor(settings_.earliest_cursor);
    *started.mutable_heartbeat_interval() =
        broker::ToDuration(settings_.heartbeat_interval.count() * 1000);
    if (source_.ack_deadline_micros > 0) {
      *started.mutable_ack_deadline() = broker::ToDuration(source_.ack_deadline_micros);
      started.set_max_outstanding_messages(source_.max_outstanding_messages);
      started.set_resumed(source_.resumed);
    }
    Send(frame);
  } else if (close_at && !drain_announced_) {
    drain_announced_ = true;
    const auto left =
        std::chrono::duration_cast<std::chrono::microseconds>(*close_at - steady_clock::now());
    *frame.mutable_draining()->mutable_close_time() =
        broker::ToTimestamp(clock_.NowMicros() + left.count());
    Send(frame);
  } else if (close_at && steady_clock::now() >= *close_at) {
    FinishOnce(ShuttingDown());
  } else {
    return false;
  }
  return true;
}

void SubscribeStream::SendDeliveries() {
  if (drain_announced_ && source_.ack_deadline_micros > 0) return EndWhenAcknowledged();
  if (frame_room_ == 0) frame_room_ = sizer_.Reserve();
  auto batch = source_.feed->Take(
      {.max_events = settings_.max_batch_size, .max_bytes = frame_room_, .frame = frames_ + 1});
  // What is being made ready keeps its room.
  if (!batch.ok() || batch->left != broker::Batch::Left::kComing || batch->count > 0) {
    frame_room_ = 0;
    sizer_.WriteBegins(batch.ok() ? batch->deliveries.size() : 0, steady_clock::now());
  }
  if (absl::IsUnavailable(batch.status())) return TryLater();
  if (!batch.ok()) return FinishOnce(ToGrpc(batch.status()));
  if (batch->count > 0) {
    hooks_.delivered(batch->count);
    return Send(MakeBatchFrame(*std::move(batch)));
  }
  if (batch->left == broker::Batch::Left::kNothing) return AtTail(batch->cursor);
  // A long way through what the filter keeps out, or a wait for others: a heartbeat now and then
  // shows how far it got.
  const bool blocked = batch->left != broker::Batch::Left::kMore;
  const auto interval = blocked ? settings_.heartbeat_interval
                                : std::min(settings_.heartbeat_interval, kProgressInterval);
  if (steady_clock::now() >= last_frame_ + interval) return SendHeartbeat(batch->cursor);
  blocked ? WaitForMore() : AskForStep();
}

// A subscription's stream takes nothing more once it drains, but its client may finish what it has:
// the end would hand that back.
void SubscribeStream::EndWhenAcknowledged() {
  if (source_.feed->Outstanding() == 0) {
    return FinishOnce(ShuttingDown());
  }
  AskForStepAt(steady_clock::now() + kAcknowledgedCheckEvery);
}

// The stream stays: what its client has in hand is still its own.
void SubscribeStream::TryLater() {
  if (steady_clock::now() >= last_frame_ + settings_.heartbeat_interval) {
    return SendHeartbeat(source_.feed->Cursor());
  }
  AskForStepAt(steady_clock::now() + kTryAgainAfter);
}

void SubscribeStream::AtTail(const std::string& cursor) {
  bool closing = false;
  {
    MutexLock lock(&mu_);
    closing = close_at_.has_value();
  }
  if (!caught_up_) {
    caught_up_ = true;
    v1::SubscribeResponse frame;
    frame.set_cursor(cursor);
    frame.mutable_caught_up();
    Send(frame);
  } else if (closing) {
    FinishOnce(ShuttingDown());
  } else if (steady_clock::now() >= last_frame_ + settings_.heartbeat_interval) {
    SendHeartbeat(cursor);
  } else {
    WaitForMore();
  }
}

void SubscribeStream::SendHeartbeat(const std::string& cursor) {
  v1::SubscribeResponse frame;
  frame.set_cursor(cursor);
  *frame.mutable_heartbeat()->mutable_server_time() = broker::ToTimestamp(clock_.NowMicros());
  frame.mutable_heartbeat()->set_backlog_count(source_.feed->Backlog());
  Send(frame);
}

void SubscribeStream::WaitForMore() {
  const TimePoint due = last_frame_ + settings_.heartbeat_interval;
  // One timer at a time: one that fires early finds no heartbeat due and sets the next.
  if (wake_at_ <= steady_clock::now() || wake_at_ == TimePoint::max()) {
    wake_at_ = due;
    AskForStepAt(due);
  }
  source_.feed->Wait([this] { AskForStep(); });
}

void SubscribeStream::Send(const v1::SubscribeResponse& frame) { Send(MakeFrame(frame)); }

void SubscribeStream::Send(const grpc::ByteBuffer& frame) {
  frame_ = frame;  // of the references only
  ++frames_;
  last_frame_ = steady_clock::now();
  bool superseded = false;
  {
    MutexLock lock(&mu_);
    superseded = superseded_;
    writing_ = !superseded;
  }
  if (superseded) return FinishOnce(Superseded());
  StartWrite(&frame_);
}

void SubscribeStream::FinishOnce(const grpc::Status& status) {
  if (finished_) return;
  finished_ = true;
  Finish(status);
}

}  // namespace mmsmo::rpc
