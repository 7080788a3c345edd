// An HTTP/1.1 server: one io_context a thread, each with its own acceptor.

#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "gateway/access/proxies.h"
#include "gateway/base/byte_budget.h"
#include "gateway/base/metrics.h"
#include "gateway/base/unix_socket.h"
#include "gateway/http/message.h"
#include "gateway/tls/certificates.h"

namespace mmsmo::http {

struct ServerOptions {
  std::string name;     // labels its metrics
  std::string setting;  // names the listen setting in errors, such as "http-listen"
  std::string listen;   // HOST:PORT or unix:PATH; port 0 takes a free one
  // For TLS, which no unix socket takes; must outlive the server. Null: plain.
  tls::Certificates* certificates = nullptr;
  int threads = 1;
  size_t max_header_bytes = 8 << 10;
  size_t max_body_bytes = 256 << 10;
  // Of requests that are being read, and of bodies until their handlers are done with them, which
  // may be after the answer.
  int64_t max_in_flight_bytes = 64 << 20;
  // At the ceiling connections without a request, and then those that send it slowly, make room.
  int max_connections = 10'000;
  std::chrono::milliseconds header_timeout{10'000};
  std::chrono::milliseconds body_timeout{30'000};
  std::chrono::milliseconds idle_timeout{75'000};
  std::chrono::milliseconds write_timeout{10'000};
  int access_log_rate = 0;  // lines a second at most; 0: none
  // Whose word counts for who asks.
  access::TrustedProxies proxies;
  // The longest that a handler may take; then its route's answer_late.
  std::chrono::milliseconds handler_timeout{8'000};
};

// Runs a task soon on one of the server's threads; callable from any thread.
using Post = std::function<void(absl::AnyInvocable<void()>)>;

class Server {
 public:
  // The routes of one thread, whose handlers run on it and may post to it.
  using MakeRoutes = std::function<Routes(Post)>;

  // Binds and listens, so that the port is known; serves after Start. InvalidArgument for an
  // address that cannot be read, or for TLS on a unix socket; FailedPrecondition for one that
  // cannot be had; both name the setting.
  static absl::StatusOr<std::unique_ptr<Server>> Listen(const ServerOptions& options,
                                                        const MakeRoutes& make_routes,
                                                        Metrics& metrics);
  ~Server();

  // The address with the port in use, or unix:PATH.
  const std::string& address() const { return address_; }
  bool uses_tls() const { return options_.certificates != nullptr; }
  // What max_in_flight_bytes limits, for what of it comes by other ways.
  ByteBudget* in_flight();
  // Whether only this machine can reach it.
  bool loopback() const { return loopback_; }

  void Start();
  // Other routes for the requests that come from now on. Thread-safe.
  void SetRoutes(const MakeRoutes& make_routes);
  // Accepts no more, closes idle connections, and closes the others after their next answer.
  // Idempotent.
  void Drain();
  // Waits for the connections to end, until the deadline, then cuts them and joins the threads.
  // Idempotent.
  void Stop(std::chrono::steady_clock::time_point deadline);

 private:
  class Worker;
  Server(ServerOptions options, Metrics& metrics);
  absl::Status ListenUnix(const MakeRoutes& make_routes);
  absl::Status ListenTcp(const MakeRoutes& make_routes);
  absl::Status AddWorkers(const MakeRoutes& make_routes,
                          const std::function<absl::Status(Worker&)>& listen);

  const ServerOptions options_;
  struct Shared;
  const std::unique_ptr<Shared> shared_;
  std::string address_;
  bool loopback_ = false;
  std::unique_ptr<UnixSocket> unix_socket_;  // where it listens on one
  std::vector<std::unique_ptr<Worker>> workers_;
};

}  // namespace mmsmo::http
