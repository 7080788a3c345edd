#include "gateway/rpc/open_sockets.h"

#include <sys/stat.h>

#include <algorithm>
#include <utility>

namespace mmsmo::rpc {
namespace {

// 0 for what is no socket.
ino_t InodeOf(int fd) {
  struct stat found {};
  return fstat(fd, &found) == 0 && S_ISSOCK(found.st_mode) ? found.st_ino : 0;
}

}  // namespace

void OpenSockets::Add(int fd, access::PartyLimit::Place place) {
  sockets_.push_back({.fd = fd, .inode = InodeOf(fd), .place = std::move(place)});
}

size_t OpenSockets::Count() {
  std::erase_if(sockets_, [](const Socket& one) { return InodeOf(one.fd) != one.inode; });
  return sockets_.size();
}

}  // namespace mmsmo::rpc
