#include "mmsmo/start.h"

#include <gtest/gtest.h>

namespace mmsmo {
namespace {

TEST(Start, ReadsBoundariesTimesAndCursors) {
  EXPECT_EQ(ParseStart("earliest")->boundary(), v1::BOUNDARY_EARLIEST);
  EXPECT_EQ(ParseStart("latest")->boundary(), v1::BOUNDARY_LATEST);
  EXPECT_EQ(ParseStart("2014-02-03T11:19:49-05:00")->accept_time().seconds(), 1391444389);
  EXPECT_EQ(ParseStart("AQEAAAAAAAAAAQ_-")->after_cursor(), "AQEAAAAAAAAAAQ_-");
}

TEST(Start, RefusesAnythingElse) {
  for (std::string_view text : {"", "2014-02-03 11:19", "yesterday noon", "a+b"}) {
    EXPECT_EQ(ParseStart(text).status().code(), absl::StatusCode::kInvalidArgument) << text;
  }
}

}  // namespace
}  // namespace mmsmo
