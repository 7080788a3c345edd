#include "gateway/broker/start_position.h"

#include <gtest/gtest.h>

#include "tests/support/status_matchers.h"

namespace mmsmo::broker {
namespace {

using testing::StartsWith;

TEST(ValidateStart, TakesWhatSaysWhereToBegin) {
  v1::StartPosition start;
  for (const auto boundary : {v1::BOUNDARY_EARLIEST, v1::BOUNDARY_LATEST}) {
    start.set_boundary(boundary);
    EXPECT_THAT(ValidateStart("target", start), IsOk());
  }
  start.set_after_cursor("?");
  EXPECT_THAT(ValidateStart("target", start), IsOk()) << "that is the engine's to judge";
  start.mutable_accept_time();
  EXPECT_THAT(ValidateStart("target", start), IsOk());
}

TEST(ValidateStart, NamesTheFieldOfWhatDoesNot) {
  v1::StartPosition start;
  EXPECT_THAT(ValidateStart("target", start),
              StatusIs(absl::StatusCode::kInvalidArgument, StartsWith("target: one of ")));
  for (const int boundary : {0, 99}) {
    start.set_boundary(static_cast<v1::Boundary>(boundary));
    EXPECT_THAT(ValidateStart("target", start),
                StatusIs(absl::StatusCode::kInvalidArgument, StartsWith("target.boundary: ")));
  }
}

}  // namespace
}  // namespace mmsmo::broker
