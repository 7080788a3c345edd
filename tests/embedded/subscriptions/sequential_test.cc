#include "gateway/embedded/subscriptions/sequential.h"

#include <gmock/gmock.h>

#include <algorithm>
#include <cstdint>
#include <map>
#include <random>
#include <vector>

#include "absl/container/btree_map.h"
#include "absl/container/btree_set.h"

namespace mmsmo::embedded {
namespace {

using Map = Sequential<absl::btree_map<uint64_t, int>>;

TEST(Sequential, FindsWhatAnyMapWouldWhateverWasDoneBefore) {
  std::mt19937 random(1);
  const auto below = [&random](uint64_t limit) { return random() % limit; };
  Map map;
  std::map<uint64_t, int> model;
  uint64_t next = 0;
  for (int i = 0; i < 200'000; ++i) {
    // Mostly in order, as a subscription asks.
    const uint64_t key = below(4) == 0 ? below(next + 2) : next;
    switch (below(6)) {
      case 0:
        EXPECT_EQ(map.emplace(key, i).second, model.emplace(key, i).second);
        break;
      case 1: {
        const uint64_t last = model.empty() ? 0 : model.rbegin()->first + 1;
        map.emplace_last(last, i);
        model.emplace(last, i);
        break;
      }
      case 2:
        map.erase(key);
        model.erase(key);
        break;
      default:
        break;
    }
    if (below(10'000) == 0) {
      map.clear();
      model.clear();
    }
    if (below(1'000) == 0) {
      Map moved = std::move(map);
      map = std::move(moved);
    }
    const auto found = map.find(key);
    const auto wanted = model.find(key);
    ASSERT_EQ(found == map.end(), wanted == model.end()) << "at step " << i;
    ASSERT_TRUE(wanted == model.end() || found->second == wanted->second);
    ASSERT_EQ(map.contains(key + 1), model.contains(key + 1));
    ASSERT_EQ(map.size(), model.size());
    next = key + 1 > model.size() * 2 ? 0 : key + 1;
  }
  EXPECT_TRUE(std::equal(map.begin(), map.end(), model.begin(), model.end(),
                         [](const auto& a, const auto& b) { return a.first == b.first; }));
}

TEST(Sequential, HoldsASet) {
  Sequential<absl::btree_set<int>> set;
  for (const int key : {1, 2, 3}) set.emplace_last(key);
  set.erase(set.find(2));
  set.erase(7);
  EXPECT_THAT(std::vector<int>(set.begin(), set.end()), testing::ElementsAre(1, 3));
}

}  // namespace
}  // namespace mmsmo::embedded
