#include "mmsmo/subscriber.h"

#include <atomic>
#include <exception>
#include <utility>

#include "client/connection.h"
#include "client/stream_loop.h"
#include "client/subscription_run.h"
#include "fmt/format.h"
#include "mutex.h"

namespace mmsmo {

using StopFunction = std::function<void(StopMode, std::chrono::milliseconds)>;

// What Run, Stop and the observers share.
struct Subscriber::State {
  Mutex mu;
  bool stopped ABSL_GUARDED_BY(mu) = false;   // before Run
  StopFunction stop_run ABSL_GUARDED_BY(mu);  // while there is a Run
  std::string cursor ABSL_GUARDED_BY(mu);

  std::atomic<int64_t> failed_acks = 0;
};

// While it lives, Stop stops this Run.
class Subscriber::Running {
 public:
  Running(State* state, StopFunction stop) : state_(*state) {
    const MutexLock lock(&state_.mu);
    if (state_.stopped) stop(StopMode::kRelease, std::chrono::milliseconds(0));
    state_.stop_run = std::move(stop);
  }
  ~Running() {
    const MutexLock lock(&state_.mu);
    state_.stop_run = nullptr;
  }
  Running(const Running&) = delete;
  Running& operator=(const Running&) = delete;

 private:
  State& state_;
};

// Hands events over, and remembers where it is.
class Subscriber::PositionSink : public StreamLoop::Sink {
 public:
  PositionSink(const v1::StartPosition& start, const v1::Filter& filter, const Handler& handler,
               StreamLoop* loop, State* state)
      : start_(start), filter_(filter), handler_(handler), loop_(*loop), state_(*state) {}

  v1::SubscribeRequest NextRequest() override {
    v1::SubscribeRequest request;
    *request.mutable_filter() = filter_;
    const MutexLock lock(&state_.mu);
    *request.mutable_start_position() = state_.cursor.empty() ? start_ : AfterCursor(state_.cursor);
    return request;
  }

  void OnFrame(const std::shared_ptr<v1::SubscribeResponse>& frame) override {
    for (const v1::Delivery& delivery : frame->batch().deliveries()) {
      if (loop_.stopped()) return;  // the rest of the frame is not handed over
      if (!Handle(delivery.event())) return loop_.Stop();
      SetCursor(delivery.event().cursor());
    }
    SetCursor(frame->cursor());  // which filtered events may have moved on
  }

  // What the handler threw, if it did.
  const absl::Status& failure() const { return failure_; }

 private:
  bool Handle(const v1::Event& event) {
    try {
      handler_(event);
      return true;
    } catch (const std::exception& error) {
      failure_ = absl::InternalError(fmt::format("the handler threw: {}", error.what()));
    } catch (...) {
      failure_ = absl::InternalError("the handler threw what is no std::exception");
    }
    return false;
  }

  void SetCursor(const std::string& cursor) {
    if (cursor.empty()) return;
    const MutexLock lock(&state_.mu);
    state_.cursor = cursor;
  }

  const v1::StartPosition& start_;
  const v1::Filter& filter_;
  const Handler& handler_;
  StreamLoop& loop_;
  State& state_;
  absl::Status failure_;
};

Subscriber::Subscriber(SubscriberOptions options)
    : options_(std::move(options)), state_(std::make_unique<State>()) {}

Subscriber::~Subscriber() = default;

void Subscriber::Stop(StopMode mode) { Stop(mode, options_.stop_timeout); }

void Subscriber::Stop(StopMode mode, std::chrono::milliseconds timeout) {
  const MutexLock lock(&state_->mu);
  state_->stopped = true;
  if (state_->stop_run) state_->stop_run(mode, timeout);
}

std::string Subscriber::cursor() const {
  const MutexLock lock(&state_->mu);
  return state_->cursor;
}

int64_t Subscriber::failed_acks() const { return state_->failed_acks; }

absl::Status Subscriber::Run(const v1::StartPosition& start, const Handler& handler) {
  if (auto status = CheckToken(options_.target, options_.credentials != nullptr,
                               options_.token.get(), options_.send_token_unencrypted);
      !status.ok()) {
    return status;
  }
  GatewayStub stub(options_);
  StreamLoop loop(options_, &stub);
  PositionSink sink(start, options_.filter, handler, &loop, state_.get());
  const Running running(state_.get(),
                        [&loop](StopMode, std::chrono::milliseconds) { loop.Stop(); });
  const absl::Status status = loop.Run(&sink);
  return sink.failure().ok() ? status : sink.failure();
}

template <typename AnyHandler>
absl::Status Subscriber::RunNamed(const std::string& subscription, const AnyHandler& handler) {
  if (auto status = CheckToken(options_.target, options_.credentials != nullptr,
                               options_.token.get(), options_.send_token_unencrypted);
      !status.ok()) {
    return status;
  }
  SubscriptionRun run(options_, subscription, &handler, &state_->failed_acks);
  const Running running(state_.get(), [&run](StopMode mode, std::chrono::milliseconds timeout) {
    run.Stop(mode, timeout);
  });
  return run.Run();
}

absl::Status Subscriber::Run(const std::string& subscription, const DeliveryHandler& handler) {
  return RunNamed(subscription, handler);
}

absl::Status Subscriber::Run(const std::string& subscription, const StoppableHandler& handler) {
  return RunNamed(subscription, handler);
}

}  // namespace mmsmo
