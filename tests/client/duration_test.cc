#include "client/command/duration.h"

#include <gtest/gtest.h>

namespace mmsmo::command {
namespace {

using std::chrono::milliseconds;

TEST(Duration, IsANumberAndAUnit) {
  const struct {
    std::string_view text;
    int64_t millis;
  } kCases[] = {
      {"0s", 0},         {"500ms", 500},      {"30s", 30'000},    {"10m", 600'000},
      {"2h", 7'200'000}, {"7d", 604'800'000}, {"90m", 5'400'000}, {"36500d", 3'153'600'000'000}};
  for (const auto& expected : kCases) {
    const auto duration = ParseDuration(expected.text);
    ASSERT_TRUE(duration.ok()) << expected.text;
    EXPECT_EQ(*duration, milliseconds(expected.millis)) << expected.text;
    EXPECT_EQ(FormatDuration(*duration), expected.text);
  }
  EXPECT_EQ(FormatDuration(milliseconds(60'000)), "1m");
  EXPECT_EQ(FormatDuration(milliseconds(1500)), "1500ms");
}

TEST(Duration, RefusesAnythingElse) {
  for (std::string_view text :
       {"", "s", "30", "-1s", "+1s", "1.5h", "30 s", "30S", "30sec", "1h30m", "36501d",
        "9223372036854775807d", "99999999999999999999s"}) {
    const auto duration = ParseDuration(text);
    EXPECT_EQ(duration.status().code(), absl::StatusCode::kInvalidArgument) << text;
  }
}

}  // namespace
}  // namespace mmsmo::command
