#include "client/backoff.h"

#include <gtest/gtest.h>

namespace mmsmo {
namespace {

using std::chrono::milliseconds;

TEST(Backoff, DoublesItsCeilingUpToTheMaximum) {
  Backoff backoff({.min = milliseconds(100), .max = milliseconds(1000)}, [] { return 0.5; });
  for (int64_t expected : {50, 100, 200, 400, 500, 500}) {
    EXPECT_EQ(backoff.Next(), milliseconds(expected));
  }
  backoff.Reset();
  EXPECT_EQ(backoff.Next(), milliseconds(50));
}

TEST(Backoff, SpreadsOverTheWholeRange) {
  Backoff none({}, [] { return 0.0; });
  EXPECT_EQ(none.Next(), milliseconds(0));
  Backoff system({.min = milliseconds(1000), .max = milliseconds(1000)});
  for (int i = 0; i < 1000; ++i) EXPECT_LT(system.Next(), milliseconds(1000));
}

}  // namespace
}  // namespace mmsmo
