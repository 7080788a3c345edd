#include "gateway/rpc/open_sockets.h"

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <utility>

namespace mmsmo::rpc {
namespace {

TEST(OpenSockets, NoticeThatADescriptorIsClosedOrSomebodyElses) {
  int one[2], other[2];
  ASSERT_EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, one), 0);
  access::PartyLimit parties(2);
  OpenSockets sockets;
  for (const int fd : one) {
    access::PartyLimit::Place place;
    ASSERT_TRUE(parties.Take({}, &place));
    sockets.Add(fd, std::move(place));
  }
  EXPECT_EQ(sockets.Count(), 2u);
  EXPECT_EQ(parties.Highest(), 2);
  close(one[0]);
  EXPECT_EQ(sockets.Count(), 1u);
  EXPECT_EQ(parties.Highest(), 1);
  ASSERT_EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, other), 0);
  ASSERT_EQ(dup2(other[0], one[1]), one[1]);  // closed and taken again
  EXPECT_EQ(sockets.Count(), 0u);
  for (const int fd : {one[1], other[0], other[1]}) close(fd);
}

}  // namespace
}  // namespace mmsmo::rpc
