#include "gateway/base/byte_budget.h"

#include <gtest/gtest.h>

#include <utility>

namespace mmsmo {
namespace {

TEST(ByteBudget, GivesNoMoreThanItHas) {
  ByteBudget budget(10);
  ByteBudget::Part one(&budget), other(&budget);
  EXPECT_TRUE(one.Resize(6));
  EXPECT_FALSE(other.Resize(5));
  EXPECT_EQ(budget.held(), 6);
  EXPECT_TRUE(other.Resize(4));
  EXPECT_TRUE(one.Resize(2));
  EXPECT_EQ(budget.held(), 6);
}

TEST(ByteBudget, GetsAPartBackAtItsEnd) {
  ByteBudget budget(10);
  {
    ByteBudget::Part one(&budget);
    one.Resize(6);
    ByteBudget::Part moved(std::move(one));
    EXPECT_EQ(budget.held(), 6);
    ByteBudget::Part other(&budget);
    other.Resize(3);
    other = std::move(moved);
    EXPECT_EQ(budget.held(), 6);
  }
  EXPECT_EQ(budget.held(), 0);
}

TEST(ByteBudget, CanBeOverdrawn) {
  ByteBudget budget(10);
  ByteBudget::Part one(&budget), other(&budget);
  one.Insist(15);
  EXPECT_EQ(budget.held(), 15);
  EXPECT_FALSE(other.Resize(1));
  EXPECT_TRUE(one.Resize(12));  // less is never refused
  EXPECT_FALSE(other.Resize(1));
  EXPECT_TRUE(one.Resize(9));
  EXPECT_TRUE(other.Resize(1));
}

TEST(ByteBudget, IsNotAskedByAPartOfNone) {
  ByteBudget::Part part;
  EXPECT_TRUE(part.Resize(1 << 30));
}

}  // namespace
}  // namespace mmsmo
