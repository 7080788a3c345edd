// The gRPC server: the services, health checking and reflection, on TCP or a unix socket.

#pragma once

#include <sys/types.h>

#include <chrono>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "gateway/access/identity.h"
#include "gateway/access/proxies.h"
#include "gateway/base/byte_budget.h"
#include "gateway/base/clock.h"
#include "gateway/base/metrics.h"
#include "gateway/broker/broker.h"
#include "gateway/tls/certificates.h"

namespace mmsmo::rpc {

// What of gRPC may be in use at once.
struct Limits {
  int connections = 10'000;
  int connections_per_address = 0;  // or /64 of IPv6, but for trusted proxies; 0: no limit
  int streams = 20'000;
  int streams_a_connection = 4'096;  // unary calls included; a client waits with more
  int calls = 10'000;                // unary ones
  int64_t call_bytes = 64 << 20;     // of requests that are under way, likewise
  int64_t frame_bytes = 32 << 20;    // of the frames that streams have not taken yet, together
};

struct ServerOptions {
  std::string listen;         // HOST:PORT or unix:PATH; port 0 takes a free one
  mode_t socket_mode = 0660;  // of the file of unix:PATH
  // For TLS, which no unix socket takes; must outlive the server. Null: plain.
  const tls::Certificates* certificates = nullptr;
  std::chrono::milliseconds handshake_timeout{10'000};
  int delivery_threads = 1;
  std::chrono::milliseconds heartbeat_interval{15'000};
  Limits limits;
  // Who may call; with none declared, everybody. Not null.
  std::shared_ptr<const access::Identities> identities = std::make_shared<access::Identities>();
  bool reflection = true;
  bool health_open = true;  // to those who are not known, too
  access::TrustedProxies proxies;
  // Of postbacks that are not durable yet, those that are reprocessed too; null: no limit. Must
  // outlive the server and the broker.
  ByteBudget* in_flight = nullptr;
};

class Server {
 public:
  // Serves at once. FailedPrecondition where the address cannot be had, InvalidArgument for one
  // that cannot be read, or for TLS on a unix socket. All must outlive the server.
  static absl::StatusOr<std::unique_ptr<Server>> Start(const ServerOptions& options,
                                                       broker::Broker* broker, const Clock& clock,
                                                       Metrics& metrics);
  virtual ~Server() = default;

  // The address with the port in use.
  virtual const std::string& address() const = 0;
  // Whether only this machine can reach it.
  virtual bool loopback() const = 0;
  // Calls are judged by these from now on, those that go on likewise: what is not allowed any more
  // ends soon. Not null. Thread-safe.
  virtual void SetIdentities(std::shared_ptr<const access::Identities> identities) = 0;
  // The files of the certificates were looked at: calls that go on are judged by what clients'
  // certificates are worth now. Thread-safe.
  virtual void JudgeCertificates() = 0;
  // What health checks answer.
  virtual void SetServing(bool serving) = 0;
  // Streams are told that the end is near; they go on to the tail, or until `close_at`. Idempotent.
  virtual void Drain(std::chrono::steady_clock::time_point close_at) = 0;
  // Waits for the calls to end, cutting them at `deadline`.
  virtual void Stop(std::chrono::steady_clock::time_point deadline) = 0;
};

}  // namespace mmsmo::rpc
