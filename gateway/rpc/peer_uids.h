// Whose process is at the other end of a unix connection. The client's own name of its socket is
// nothing to go by; the number of the connection's descriptor, which gRPC makes its calls' peer of,
// is the gateway's.

#pragma once

#include <sys/types.h>

#include <chrono>
#include <optional>
#include <string_view>

#include "absl/container/flat_hash_map.h"
#include "mutex.h"

namespace mmsmo::rpc {

// Thread-safe.
class PeerUids {
 public:
  using TimePoint = std::chrono::steady_clock::time_point;
  // A connection's last calls may come when its number is free already: for so long it goes to none
  // of another uid.
  static constexpr std::chrono::seconds kReserved{10};

  // Takes `fd`, an open connection of `uid`, and gives it back, or its duplicate where calls of
  // another uid may still come under its number; -1, closed, where it cannot have one.
  int Add(int fd, uid_t uid, TimePoint now);
  // Finds out which are closed: to be called every second or so.
  void Look(TimePoint now);

  // Of a call's peer, "fd:NUMBER"; none for any other.
  std::optional<uid_t> Of(std::string_view peer) const;

 private:
  struct Connection {
    uid_t uid;
    ino_t inode;
    TimePoint last_seen;  // open
  };

  bool IsReserved(int fd, uid_t uid, TimePoint now) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);

  mutable Mutex mu_;
  absl::flat_hash_map<int, Connection> connections_ ABSL_GUARDED_BY(mu_);
};

}  // namespace mmsmo::rpc
