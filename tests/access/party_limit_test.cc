#include "gateway/access/party_limit.h"

#include <gtest/gtest.h>

#include <atomic>
#include <thread>
#include <vector>

namespace mmsmo::access {
namespace {

using Place = PartyLimit::Place;

Address At(const char* text) { return *ParseAddress(text); }

TEST(PartyLimit, AllowsEachPartySoMany) {
  PartyLimit limit(2);
  Place a, b, c, d;
  EXPECT_TRUE(limit.Take(At("192.0.2.1"), &a));
  EXPECT_TRUE(limit.Take(At("::ffff:192.0.2.1"), &b));
  EXPECT_FALSE(limit.Take(At("192.0.2.1"), &c));
  EXPECT_TRUE(limit.Take(At("192.0.2.2"), &c));
  EXPECT_EQ(limit.Highest(), 2);
  a.GiveBack();
  a.GiveBack();
  EXPECT_TRUE(limit.Take(At("192.0.2.1"), &d));
  EXPECT_FALSE(limit.Take(At("192.0.2.1"), &a));
}

TEST(PartyLimit, TakesA64OfIpv6ForOne) {
  PartyLimit limit(1);
  Place a, b;
  EXPECT_TRUE(limit.Take(At("2001:db8:0:1::1"), &a));
  EXPECT_FALSE(limit.Take(At("2001:db8:0:1:ffff::2"), &b));
  EXPECT_TRUE(limit.Take(At("2001:db8:0:2::1"), &b));
}

TEST(PartyLimit, KeepsNobodyWhoHasNothing) {
  PartyLimit limit(1);
  {
    Place place;
    EXPECT_TRUE(limit.Take(At("192.0.2.1"), &place));
    Place moved = std::move(place);
    EXPECT_EQ(limit.Highest(), 1);
    EXPECT_FALSE(limit.Take(At("192.0.2.1"), &place));
  }
  EXPECT_EQ(limit.Highest(), 0);
}

TEST(PartyLimit, MayBeNone) {
  PartyLimit limit(0);
  Place places[100];
  for (Place& place : places) EXPECT_TRUE(limit.Take(At("192.0.2.1"), &place));
  EXPECT_EQ(limit.Highest(), 0);
}

TEST(PartyLimit, IsOfAllThreadsTogether) {
  constexpr int kMost = 50;
  PartyLimit limit(kMost);
  std::atomic<int> taken{0};
  std::vector<std::vector<Place>> places(4);
  std::vector<std::thread> threads;
  threads.reserve(places.size());
  for (auto& mine : places) {
    threads.emplace_back([&] {
      for (int i = 0; i < kMost; ++i) {
        Place place;
        if (!limit.Take(At("192.0.2.1"), &place)) continue;
        ++taken;
        mine.push_back(std::move(place));
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(taken, kMost);
  places.clear();
  EXPECT_EQ(limit.Highest(), 0);
}

}  // namespace
}  // namespace mmsmo::access
