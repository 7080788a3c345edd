// How many of the sockets that were handed to gRPC are open still: it closes them itself, and does
// not say so.

#pragma once

#include <sys/types.h>

#include <cstddef>
#include <vector>

#include "gateway/access/party_limit.h"

namespace mmsmo::rpc {

// For one thread at a time.
class OpenSockets {
 public:
  // `place` is kept as long as the socket is open.
  void Add(int fd, access::PartyLimit::Place place);
  // Looks at every one of them: a few hundred nanoseconds each.
  size_t Count();

 private:
  // A descriptor is closed once it is that of another inode, or none.
  struct Socket {
    int fd = -1;
    ino_t inode = 0;
    access::PartyLimit::Place place;
  };
  std::vector<Socket> sockets_;
};

}  // namespace mmsmo::rpc
