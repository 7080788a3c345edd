// Receives events from a gateway, and goes on where it was after any failure.
//
//   mmsmo::Subscriber subscriber({.target = "localhost:9090"});
//
// From a position that this program keeps:
//
//   absl::Status status = subscriber.Run(mmsmo::FromEarliest(), [](const mmsmo::v1::Event& event) {
//     std::cout << event.mms_mo().sender().value() << std::endl;
//   });
//
// Or of a named subscription, whose position the gateway keeps:
//
//   absl::Status status = subscriber.Run("billing", [](const mmsmo::v1::Delivery& delivery) {
//     return Book(delivery.event()) ? mmsmo::Ack() : mmsmo::Retry();
//   });

#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <stop_token>
#include <string>

#include "absl/status/status.h"
#include "grpcpp/security/credentials.h"
#include "mmsmo/defaults.h"
#include "mmsmo/start.h"
#include "mmsmo/tls.h"
#include "mmsmo/token.h"
#include "mmsmo/v1/mms_mo_service.pb.h"
#include "mmsmo/verdict.h"

namespace mmsmo {

struct SubscriberOptions {
  std::string target;  // HOST:PORT or unix:PATH
  // None: without encryption. TlsCredentials has some.
  std::shared_ptr<grpc::ChannelCredentials> credentials;
  // The name that the gateway's certificate must have; empty: the target's host.
  std::string server_name;
  // Shown with every call; null: none. Without encryption it goes to this machine only, unless
  // `send_token_unencrypted`.
  std::shared_ptr<Token> token;
  bool send_token_unencrypted = false;
  // Which events; with a start position only, since a named subscription has its own.
  v1::Filter filter;
  // Events a frame, and the gateway's sign of life; zero is the gateway's default.
  int max_batch_size = 0;
  std::chrono::milliseconds heartbeat_interval{0};
  // Names this program in the gateway's logs and metrics.
  std::string client_id;
  // Between two attempts: full jitter below a ceiling that doubles from the one to the other.
  std::chrono::milliseconds min_backoff = defaults::kMinBackoff;
  std::chrono::milliseconds max_backoff = defaults::kMaxBackoff;
  // How long an attempt may take until its first frame.
  std::chrono::milliseconds connect_timeout = defaults::kConnectTimeout;
  // Called on Run's thread: a stream began; a stream ended and will be tried again; everything that
  // the gateway had was received.
  std::function<void()> on_connected;
  std::function<void(const absl::Status&)> on_disconnected;
  std::function<void()> on_caught_up;

  // The rest is for named subscriptions.
  // How many handlers run at once, at least 1. With 1, in the order of arrival, on one thread.
  int concurrency = defaults::kConcurrency;
  // What the gateway may have under way to this program, in deliveries and in bytes of events: what
  // waits here included. Zero is the gateway's default.
  int max_outstanding_messages = 0;
  int64_t max_outstanding_bytes = 0;
  // A handler that has run for longer is told so by its stop token, and its delivery becomes a
  // Retry, whatever it returns. 0: it may take as long as it likes.
  std::chrono::milliseconds max_handler_time = defaults::kMaxHandlerTime;
  // How long Run waits, once the last handler has returned, until what they said is answered; and
  // what Stop takes for its timeout.
  std::chrono::milliseconds stop_timeout = defaults::kStopTimeout;
  // An Ack or a DeadLetter had no effect: DeadlineExceeded where the event is delivered again, or
  // was already, InvalidArgument where the gateway doesn't know the ack_id, or what the call
  // failed with for good. Called on a thread of its own, never after Run.
  std::function<void(const std::string& ack_id, const absl::Status& why)> on_ack_failed;
  // Called before each handler, on its thread. What it returns, unless empty, is called after the
  // handler, on the same thread, with the verdict, and then freed; the delivery lives until then.
  // Where the handler threw, the verdict is Retry(), and std::current_exception() is what it threw;
  // where its time was up, it is what the handler said too late. Neither call counts as the
  // handler's time, and neither may throw. A trace with OpenTelemetry, where TraceParent is a
  // TextMapCarrier whose "traceparent" is what it was made with:
  //
  //   options.on_handling = [tracer](const mmsmo::v1::Delivery& delivery) {
  //     opentelemetry::context::Context none;
  //     const TraceParent carrier(delivery.event().trace_parent());
  //     const auto sender = trace::propagation::HttpTraceContext().Extract(carrier, none);
  //     auto span = tracer->StartSpan("handle", {}, {{trace::GetSpan(sender)->GetContext(), {}}});
  //     auto scope = std::make_shared<trace::Scope>(span);  // current while the handler runs
  //     return [span, scope](const mmsmo::Verdict& verdict) {
  //       span->SetAttribute("verdict", static_cast<int>(verdict.kind));
  //       span->End();
  //     };
  //   };
  std::function<std::function<void(const Verdict&)>(const v1::Delivery&)> on_handling;
};

// What becomes of the deliveries that have arrived and that no handler has begun.
enum class StopMode {
  kRelease,  // they go to others at once
  kFinish,   // they are handled first
};

// One of the Runs is called, once; everything else is thread-safe.
class Subscriber {
 public:
  using Handler = std::function<void(const v1::Event&)>;
  using DeliveryHandler = std::function<Verdict(const v1::Delivery&)>;
  // The token is told when the handler's time is up.
  using StoppableHandler = std::function<Verdict(const v1::Delivery&, const std::stop_token&)>;

  explicit Subscriber(SubscriberOptions options);
  ~Subscriber();

  // Calls `handler` for each event, in order, on this thread. A stream that fails, ends, or is
  // silent for three heartbeats is replaced by one that begins after the last event that was handed
  // over. Returns OK after Stop, else why it makes no sense to try again:
  //   InvalidArgument, PermissionDenied, Unimplemented, NotFound, FailedPrecondition;
  //   Unauthenticated, unless the file of the token holds another by then;
  //   OutOfRange: the position is no longer retained; the message gives the earliest cursor;
  //   Internal: the handler threw; the message says what, and cursor() is before its event.
  absl::Status Run(const v1::StartPosition& start, const Handler& handler);

  // Calls `handler` for each delivery of a named subscription, on threads of its own, and tells the
  // gateway what it returns, in batches, again until that is answered. Leases are prolonged while
  // a delivery waits here or is handled. One that throws is a Retry. Streams are replaced, each
  // resuming the one before, so that a lost connection costs no delivery and no attempt; the result
  // is that of the other Run. An event can come more than once: delivery.attempt() counts, and
  // whoever has a lease that ended shares it with another.
  absl::Status Run(const std::string& subscription, const DeliveryHandler& handler);
  absl::Status Run(const std::string& subscription, const StoppableHandler& handler);

  // Ends Run: after the handlers that are running. The gateway delivers nothing more, and gives
  // what is on its way to others. What has arrived of a named subscription is handed back, or with
  // kFinish handled for up to `timeout` (by default stop_timeout) and the rest handed back, with
  // the tokens of the handlers that still run told. Also before Run; and once more, which only
  // makes it sooner.
  void Stop(StopMode mode = StopMode::kRelease);
  void Stop(StopMode mode, std::chrono::milliseconds timeout);

  // The position of what was handed over: AfterCursor(cursor()) goes on from here. Empty before the
  // first frame, and with a named subscription.
  std::string cursor() const;

  // How often on_ack_failed was called, or would have been.
  int64_t failed_acks() const;

 private:
  struct State;
  class PositionSink;
  class Running;
  template <typename AnyHandler>
  absl::Status RunNamed(const std::string& subscription, const AnyHandler& handler);

  const SubscriberOptions options_;
  const std::unique_ptr<State> state_;
};

}  // namespace mmsmo
