#include "gateway/rpc/subscribe_stream.h"

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

grpc::Status ShuttingDown() {
  return ToGrpc(
      WithReason(Unavailable("this gateway is shutting down; connect again"), "draining"));
}

}  // namespace

std::shared_ptr<SubscribeStream> SubscribeStream::Start(Settings settings,
                                                        std::unique_ptr<broker::Feed> feed,
                                                        DeliveryPool* pool, const Clock& clock,
                                                        Hooks hooks) {
  std::shared_ptr<SubscribeStream> stream(
      new SubscribeStream(std::move(settings), std::move(feed), pool, clock, std::move(hooks)));
  stream->self_ = stream;
  stream->AskForStep();
  return stream;
}

SubscribeStream::SubscribeStream(Settings settings, std::unique_ptr<broker::Feed> feed,
                                 DeliveryPool* pool, const Clock& clock, Hooks hooks)
    : settings_(std::move(settings)),
      pool_(pool),
      clock_(clock),
      hooks_(std::move(hooks)),
      sizer_(settings_.frame_bytes),
      feed_(std::move(feed)) {}

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
  // A wake-up may come while the last reference goes.
  if (auto self = weak_from_this().lock()) {
    pool_->Run([self = std::move(self)] { self->RunSteps(); });
  }
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
  pool_->Run([self = shared_from_this()] { self->RunSteps(); });
}

void SubscribeStream::Step() {
  {
    MutexLock lock(&mu_);
    if (writing_) return;
  }
  if (finished_) return;
  sizer_.WriteEnds(steady_clock::now());
  if (!SendDue()) SendDeliveries();
}

// What goes before deliveries: the end, the first frame, the notice of the end.
bool SubscribeStream::SendDue() {
  bool cancelled = false;
  std::optional<TimePoint> close_at;
  {
    MutexLock lock(&mu_);
    cancelled = cancelled_;
    close_at = close_at_;
  }
  v1::SubscribeResponse frame;
  frame.set_cursor(feed_->Cursor());
  if (cancelled) {
    FinishOnce(grpc::Status(grpc::StatusCode::CANCELLED, "the call was cancelled"));
  } else if (!started_) {
    started_ = true;
    v1::Started& started = *frame.mutable_started();
    started.set_stream_id(settings_.stream_id);
    started.set_earliest_cursor(settings_.earliest_cursor);
    *started.mutable_heartbeat_interval() =
        broker::ToDuration(settings_.heartbeat_interval.count() * 1000);
    if (settings_.ack_deadline_micros > 0) {
      *started.mutable_ack_deadline() = broker::ToDuration(settings_.ack_deadline_micros);
      started.set_max_outstanding_messages(settings_.max_outstanding_messages);
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
  if (drain_announced_ && settings_.ack_deadline_micros > 0) return EndWhenAcknowledged();
  auto batch = feed_->Take({.max_events = settings_.max_batch_size, .max_bytes = sizer_.Reserve()});
  sizer_.WriteBegins(batch.ok() ? batch->deliveries.size() : 0, steady_clock::now());
  if (!batch.ok()) return FinishOnce(ToGrpc(batch.status()));
  if (batch->count > 0) {
    hooks_.delivered(batch->count);
    return Send(MakeBatchFrame(*std::move(batch)));
  }
  if (batch->left == broker::Batch::Left::kNothing) return AtTail(batch->cursor);
  // A long way through what the filter keeps out, or a wait for others: a heartbeat now and then
  // shows how far it got.
  const bool blocked = batch->left == broker::Batch::Left::kBlocked;
  const auto interval = blocked ? settings_.heartbeat_interval
                                : std::min(settings_.heartbeat_interval, kProgressInterval);
  if (steady_clock::now() >= last_frame_ + interval) return SendHeartbeat(batch->cursor);
  blocked ? WaitForMore() : AskForStep();
}

// A subscription's stream takes nothing more once it drains, but its client may finish what it has:
// the end would hand that back.
void SubscribeStream::EndWhenAcknowledged() {
  if (feed_->Outstanding() == 0) {
    return FinishOnce(ShuttingDown());
  }
  pool_->RunAt(steady_clock::now() + kAcknowledgedCheckEvery, [weak = weak_from_this()] {
    if (const auto self = weak.lock()) self->AskForStep();
  });
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
  frame.mutable_heartbeat()->set_backlog_count(feed_->Backlog());
  Send(frame);
}

void SubscribeStream::WaitForMore() {
  const TimePoint due = last_frame_ + settings_.heartbeat_interval;
  // One timer at a time: one that fires early finds no heartbeat due and sets the next.
  if (wake_at_ <= steady_clock::now() || wake_at_ == TimePoint::max()) {
    wake_at_ = due;
    pool_->RunAt(due, [weak = weak_from_this()] {
      if (const auto self = weak.lock()) self->AskForStep();
    });
  }
  feed_->Wait([this] { AskForStep(); });
}

void SubscribeStream::Send(const v1::SubscribeResponse& frame) { Send(MakeFrame(frame)); }

void SubscribeStream::Send(const grpc::ByteBuffer& frame) {
  frame_ = frame;  // of the references only
  last_frame_ = steady_clock::now();
  {
    MutexLock lock(&mu_);
    writing_ = true;
  }
  StartWrite(&frame_);
}

void SubscribeStream::FinishOnce(const grpc::Status& status) {
  if (finished_) return;
  finished_ = true;
  Finish(status);
}

}  // namespace mmsmo::rpc
