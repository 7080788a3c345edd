#include "client/command/table.h"

#include <gtest/gtest.h>

namespace mmsmo::command {
namespace {

TEST(Table, AlignsItsColumnsByCharacters) {
  Table table({"NAME", "COUNT", "REASON"});
  table.Add({"billing", "1", "caf\xC3\xA9"});
  table.Add({"caf\xC3\xA9", "12345678", ""});
  EXPECT_EQ(table.Take(),
            "NAME     COUNT     REASON\n"
            "billing  1         caf\xC3\xA9\n"
            "caf\xC3\xA9     12345678  -\n");
}

TEST(Table, GoesOnWithItsColumnsOnTheNextPage) {
  Table table({"A", "B"});
  table.Add({"long", "1"});
  EXPECT_EQ(table.Take(), "A     B\nlong  1\n");
  table.Add({"s", "2"});
  EXPECT_EQ(table.Take(), "s     2\n");
  EXPECT_EQ(table.Take(), "");
}

TEST(Table, ShowsItsHeaderAlsoWhenItIsEmpty) { EXPECT_EQ(Table({"A", "B"}).Take(), "A  B\n"); }

}  // namespace
}  // namespace mmsmo::command
