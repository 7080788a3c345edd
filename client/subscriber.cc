#include "client/subscriber.h"

#include <condition_variable>
#include <mutex>
#include <optional>
#include <thread>
#include <utility>

#include "client/backoff.h"
#include "fmt/format.h"
#include "google/rpc/error_details.pb.h"
#include "google/rpc/status.pb.h"
#include "grpcpp/grpcpp.h"
#include "mmsmo/v1/mms_mo_service.grpc.pb.h"

namespace mmsmo {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

constexpr int kSilentHeartbeats = 3;
constexpr int kKeepaliveMillis = 30'000;
// The channel's own waiting between connections, kept below the subscriber's.
constexpr int kMaxReconnectMillis = 1000;

std::shared_ptr<grpc::Channel> Connect(const SubscriberOptions& options) {
  grpc::ChannelArguments arguments;
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIME_MS, kKeepaliveMillis);
  arguments.SetInt(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS,
                   static_cast<int>(options.min_backoff.count()));
  arguments.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, kMaxReconnectMillis);
  return grpc::CreateCustomChannel(
      options.target,
      options.credentials ? options.credentials : grpc::InsecureChannelCredentials(), arguments);
}

// The cursor to begin with, where the gateway names it.
std::string EarliestCursor(const grpc::Status& status) {
  google::rpc::Status details;
  if (!details.ParseFromString(status.error_details())) return "";
  for (const auto& any : details.details()) {
    google::rpc::ErrorInfo info;
    if (!any.UnpackTo(&info)) continue;
    const auto it = info.metadata().find("earliest_cursor");
    if (it != info.metadata().end()) return it->second;
  }
  return "";
}

// The two libraries number the codes alike.
absl::Status ToAbsl(const grpc::Status& status) {
  std::string message = status.error_message();
  if (const std::string earliest = EarliestCursor(status); !earliest.empty()) {
    message += fmt::format("; the earliest cursor is {}", earliest);
  }
  return absl::Status(static_cast<absl::StatusCode>(status.error_code()), message);
}

bool IsFinal(const absl::Status& status) {
  switch (status.code()) {
    case absl::StatusCode::kInvalidArgument:
    case absl::StatusCode::kNotFound:
    case absl::StatusCode::kPermissionDenied:
    case absl::StatusCode::kUnauthenticated:
    case absl::StatusCode::kUnimplemented:
    case absl::StatusCode::kFailedPrecondition:
    case absl::StatusCode::kOutOfRange:
      return true;
    default:
      return false;
  }
}

}  // namespace

// What Run's thread, the watchdog and Stop share.
struct Subscriber::State {
  mutable std::mutex mu;
  std::condition_variable changed;
  bool stopped = false;
  std::string cursor;
  // Of the stream that is being read: to be cancelled at `deadline` or by Stop.
  grpc::ClientContext* context = nullptr;
  std::optional<steady_clock::time_point> deadline;
  bool was_silent = false;
};

// One Subscribe call.
class Subscriber::Stream {
 public:
  Stream(const SubscriberOptions& options, State* state, v1::MmsMoService::Stub* stub)
      : options_(options), state_(*state), stub_(*stub), silence_(options.connect_timeout) {}

  // Reads until the stream ends or `handler` must not be called any more. `got_frame` says whether
  // the gateway answered.
  absl::Status Run(const v1::StartPosition& start, const Handler& handler, bool* got_frame) {
    {
      const std::lock_guard lock(state_.mu);
      if (state_.stopped) return absl::CancelledError("stopped");
      state_.context = &context_;
      state_.was_silent = false;
    }
    auto reader = stub_.Subscribe(&context_, Request(start));
    v1::SubscribeResponse frame;
    while (Read(*reader, &frame)) {
      *got_frame = true;
      if (!HandOver(frame, handler)) break;
    }
    {
      const std::lock_guard lock(state_.mu);
      if (state_.stopped) context_.TryCancel();
    }
    const grpc::Status status = reader->Finish();
    const std::lock_guard lock(state_.mu);
    state_.context = nullptr;
    if (state_.was_silent) return absl::DeadlineExceededError("the gateway gave no sign of life");
    return status.ok() ? absl::UnavailableError("the gateway ended the stream") : ToAbsl(status);
  }

 private:
  v1::SubscribeRequest Request(const v1::StartPosition& start) const {
    v1::SubscribeRequest request;
    *request.mutable_start_position() = start;
    *request.mutable_filter() = options_.filter;
    request.set_max_batch_size(options_.max_batch_size);
    request.set_client_id(options_.client_id);
    const auto millis = options_.heartbeat_interval.count();
    if (millis > 0) {
      request.mutable_heartbeat_interval()->set_seconds(millis / 1000);
      request.mutable_heartbeat_interval()->set_nanos(static_cast<int>(millis % 1000) * 1'000'000);
    }
    return request;
  }

  // The watchdog counts only while the gateway has to say something, not while a handler works.
  bool Read(grpc::ClientReader<v1::SubscribeResponse>& reader, v1::SubscribeResponse* frame) {
    SetDeadline(steady_clock::now() + silence_);
    const bool read = reader.Read(frame);
    SetDeadline(std::nullopt);
    return read;
  }

  void SetDeadline(std::optional<steady_clock::time_point> deadline) {
    const std::lock_guard lock(state_.mu);
    state_.deadline = deadline;
    state_.changed.notify_all();
  }

  bool stopped() const {
    const std::lock_guard lock(state_.mu);
    return state_.stopped;
  }

  // False where Stop came in between: the rest of the frame is not handed over.
  bool HandOver(const v1::SubscribeResponse& frame, const Handler& handler) {
    if (frame.has_started()) {
      const auto& interval = frame.started().heartbeat_interval();
      silence_ = kSilentHeartbeats *
                 milliseconds(interval.seconds() * 1000 + interval.nanos() / 1'000'000);
      if (options_.on_connected) options_.on_connected();
    }
    for (const v1::Delivery& delivery : frame.batch().deliveries()) {
      if (stopped()) return false;
      handler(delivery.event());
      SetCursor(delivery.event().cursor());
    }
    SetCursor(frame.cursor());  // which filtered events may have moved on
    if (frame.has_caught_up() && options_.on_caught_up) options_.on_caught_up();
    return true;
  }

  void SetCursor(const std::string& cursor) {
    if (cursor.empty()) return;
    const std::lock_guard lock(state_.mu);
    state_.cursor = cursor;
  }

  const SubscriberOptions& options_;
  State& state_;
  v1::MmsMoService::Stub& stub_;
  grpc::ClientContext context_;
  milliseconds silence_;  // no longer than this between two frames
};

Subscriber::Subscriber(SubscriberOptions options)
    : options_(std::move(options)), state_(std::make_unique<State>()) {}

Subscriber::~Subscriber() = default;

void Subscriber::Stop() {
  const std::lock_guard lock(state_->mu);
  state_->stopped = true;
  if (state_->context != nullptr) state_->context->TryCancel();
  state_->changed.notify_all();
}

std::string Subscriber::cursor() const {
  const std::lock_guard lock(state_->mu);
  return state_->cursor;
}

absl::Status Subscriber::Run(const v1::StartPosition& start, const Handler& handler) {
  const auto stub = v1::MmsMoService::NewStub(Connect(options_));
  bool done = false;
  std::thread watchdog([this, &done] {
    std::unique_lock lock(state_->mu);
    while (!done) {
      if (!state_->deadline) {
        state_->changed.wait(lock);
      } else if (steady_clock::now() < *state_->deadline) {
        state_->changed.wait_until(lock, *state_->deadline);
      } else {
        state_->deadline.reset();
        state_->was_silent = true;
        if (state_->context != nullptr) state_->context->TryCancel();
      }
    }
  });

  Backoff backoff({.min = options_.min_backoff, .max = options_.max_backoff});
  absl::Status status;
  while (true) {
    const std::string cursor = this->cursor();
    bool got_frame = false;
    status = Stream(options_, state_.get(), stub.get())
                 .Run(cursor.empty() ? start : AfterCursor(cursor), handler, &got_frame);
    if (got_frame) backoff.Reset();
    std::unique_lock lock(state_->mu);
    if (state_->stopped || IsFinal(status)) break;
    lock.unlock();
    if (options_.on_disconnected) options_.on_disconnected(status);
    lock.lock();
    state_->changed.wait_for(lock, backoff.Next(), [this] { return state_->stopped; });
  }
  {
    const std::lock_guard lock(state_->mu);
    if (state_->stopped) status = absl::OkStatus();
    done = true;
    state_->changed.notify_all();
  }
  watchdog.join();
  return status;
}

}  // namespace mmsmo
