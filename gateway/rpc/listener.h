// Accepts connections for the gRPC server, whose own listener closes for good when the process runs
// out of descriptors. This one waits until there are some.

#pragma once

#include <sys/types.h>

#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "absl/functional/any_invocable.h"
#include "absl/status/statusor.h"
#include "gateway/access/party_limit.h"
#include "gateway/access/proxies.h"
#include "gateway/base/metrics.h"

namespace mmsmo::rpc {

// At most so many connections at once; more are closed.
struct ConnectionLimit {
  int most = 10'000;
  prometheus::Gauge& open;
  prometheus::Counter& refused;
  // Of one party, but for trusted proxies.
  access::PartyLimit* parties;
  access::TrustedProxies proxies;
  prometheus::Counter& refused_party;
};

class Listener {
 public:
  // `listen` is HOST:PORT, where port 0 takes a free one, or unix:PATH, whose file has
  // `socket_mode`. InvalidArgument for what is neither, FailedPrecondition where the address cannot
  // be had.
  static absl::StatusOr<std::unique_ptr<Listener>> Listen(const std::string& listen,
                                                          mode_t socket_mode);
  virtual ~Listener() = default;  // stops

  // The address with the port in use.
  virtual const std::string& address() const = 0;
  // Whether only this machine can reach it.
  virtual bool loopback() const = 0;
  // Whose process made the unix connection that is a call's peer; none for what is no such peer.
  // Thread-safe.
  virtual std::optional<uid_t> UidOf(std::string_view peer) const = 0;
  // Calls `accepted` from a thread of its own, with connections as non-blocking sockets that are
  // the callee's to close. What the limit refers to must outlive the listener.
  virtual void Start(ConnectionLimit limit, absl::AnyInvocable<void(int fd)> accepted) = 0;
  // No more connections from when it returns. Idempotent.
  virtual void Stop() = 0;
};

}  // namespace mmsmo::rpc
