// Receives events from a gateway, and goes on where it was after any failure.
//
//   mmsmo::Subscriber subscriber({.target = "localhost:9090"});
//   absl::Status status = subscriber.Run(mmsmo::FromEarliest(), [](const mmsmo::v1::Event& event) {
//     std::cout << event.mms_mo().sender().value() << std::endl;
//   });

#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "client/start.h"
#include "grpcpp/security/credentials.h"
#include "mmsmo/v1/event.pb.h"

namespace mmsmo {

struct SubscriberOptions {
  std::string target;  // HOST:PORT or unix:PATH
  // None: without encryption.
  std::shared_ptr<grpc::ChannelCredentials> credentials;
  v1::Filter filter;
  // Events a frame, and the gateway's sign of life; zero is the gateway's default.
  int max_batch_size = 0;
  std::chrono::milliseconds heartbeat_interval{0};
  // Names this program in the gateway's logs and metrics.
  std::string client_id;
  // Between two attempts: full jitter below a ceiling that doubles from the one to the other.
  std::chrono::milliseconds min_backoff{100};
  std::chrono::milliseconds max_backoff{10'000};
  // How long an attempt may take until its first frame.
  std::chrono::milliseconds connect_timeout{10'000};
  // Called on Run's thread: a stream began; a stream ended and will be tried again; everything that
  // the gateway had was handed over.
  std::function<void()> on_connected;
  std::function<void(const absl::Status&)> on_disconnected;
  std::function<void()> on_caught_up;
};

// Run is called once; everything else is thread-safe.
class Subscriber {
 public:
  using Handler = std::function<void(const v1::Event&)>;

  explicit Subscriber(SubscriberOptions options);
  ~Subscriber();

  // Calls `handler` for each event, in order, on this thread. A stream that fails, ends, or is
  // silent for three heartbeats is replaced by one that begins after the last event that was handed
  // over. Returns OK after Stop, else why it makes no sense to try again:
  //   InvalidArgument, PermissionDenied, Unauthenticated, Unimplemented, NotFound,
  //   FailedPrecondition;
  //   OutOfRange: the position is no longer retained; the message gives the earliest cursor.
  absl::Status Run(const v1::StartPosition& start, const Handler& handler);

  // Ends Run soon: after the handler that is running, before the next event. Also before Run.
  void Stop();

  // The position of what was handed over: AfterCursor(cursor()) goes on from here. Empty before the
  // first frame.
  std::string cursor() const;

 private:
  class Stream;
  struct State;

  const SubscriberOptions options_;
  const std::unique_ptr<State> state_;
};

}  // namespace mmsmo
