#include "gateway/rpc/peer_uids.h"

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <string>

namespace mmsmo::rpc {
namespace {

using std::chrono::seconds;

class PeerUidsTest : public testing::Test {
 protected:
  // One end of a connection; the other is closed at the end.
  int Connect() {
    int ends[2];
    EXPECT_EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
    close(ends[1]);
    return ends[0];
  }
  static std::string PeerOf(int fd) { return "fd:" + std::to_string(fd); }
  // Of connections that nobody is at any more, the next gets the number.
  int CloseAndConnect(int fd) {
    close(fd);
    const int next = Connect();
    EXPECT_EQ(next, fd);
    return next;
  }

  PeerUids::TimePoint now_{seconds(1000)};
  PeerUids uids_;
};

TEST_F(PeerUidsTest, KnowsWhoseAConnectionIs) {
  const int a = uids_.Add(Connect(), 1000, now_), b = uids_.Add(Connect(), 0, now_);
  EXPECT_EQ(uids_.Of(PeerOf(a)), 1000);
  EXPECT_EQ(uids_.Of(PeerOf(b)), 0);
  close(a);
  close(b);
}

TEST_F(PeerUidsTest, KnowsNothingOfOtherPeers) {
  const int fd = uids_.Add(Connect(), 1000, now_);
  const std::string number = std::to_string(fd);
  for (const std::string& peer :
       {std::string(), std::string("fd:"), "ipv4:127.0.0.1:" + number, "unix:fd:" + number,
        "unix:" + number, "fd:" + number + " ", "fd: " + number, "fd:" + number + "0", number})
    EXPECT_EQ(uids_.Of(peer), std::nullopt) << peer;
  close(fd);
}

TEST_F(PeerUidsTest, LastCallsAreTheirOwnClients) {
  const int first = uids_.Add(Connect(), 1000, now_);
  const int next = uids_.Add(CloseAndConnect(first), 0, now_ + seconds(1));
  EXPECT_NE(next, first);
  EXPECT_EQ(uids_.Of(PeerOf(first)), 1000);
  EXPECT_EQ(uids_.Of(PeerOf(next)), 0);
  close(next);
}

TEST_F(PeerUidsTest, GivesANumberAgainToTheSameUid) {
  const int first = uids_.Add(Connect(), 1000, now_);
  const int next = uids_.Add(CloseAndConnect(first), 1000, now_);
  EXPECT_EQ(next, first);
  close(next);
}

TEST_F(PeerUidsTest, ReservesANumberFromWhenItWasLastSeenOpen) {
  const int first = uids_.Add(Connect(), 1000, now_);
  now_ += seconds(3600);
  uids_.Look(now_);
  int next = uids_.Add(CloseAndConnect(first), 0, now_ + PeerUids::kReserved - seconds(1));
  EXPECT_NE(next, first);
  close(next);
  now_ += PeerUids::kReserved;
  uids_.Look(now_);
  EXPECT_EQ(uids_.Of(PeerOf(first)), std::nullopt);
  next = uids_.Add(Connect(), 0, now_);
  EXPECT_EQ(uids_.Of(PeerOf(next)), 0);
  close(next);
}

}  // namespace
}  // namespace mmsmo::rpc
