// How many of the sockets that were handed to gRPC are open still: it closes them itself, and does
// not say so.

#pragma once

#include <sys/types.h>

#include <cstddef>
#include <vector>

namespace mmsmo::rpc {

// For one thread at a time.
class OpenSockets {
 public:
  void Add(int fd);
  // Looks at every one of them: a few hundred nanoseconds each.
  size_t Count();

 private:
  // A descriptor is closed once it is that of another inode, or none.
  struct Socket {
    int fd = -1;
    ino_t inode = 0;
  };
  std::vector<Socket> sockets_;
};

}  // namespace mmsmo::rpc
