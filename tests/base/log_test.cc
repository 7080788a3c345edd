#include "gateway/base/log.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "tests/support/status_matchers.h"

namespace mmsmo {
namespace {

using testing::EndsWith;
using testing::HasSubstr;
using testing::MatchesRegex;

// What is logged so.
std::string Logged(const LogOptions& options, std::string_view message) {
  EXPECT_THAT(InitLog(options), IsOk());
  testing::internal::CaptureStderr();
  Log()->info("{}", message);
  FlushLog();
  return testing::internal::GetCapturedStderr();
}

TEST(Log, WritesOneJsonObjectALineWhateverTheMessageIs) {
  EXPECT_THAT(Logged({.level = "info", .format = "json"}, "a \"b\" \\ \n\x7f \xc3\xa9"),
              MatchesRegex(R"(\{"time":"[-0-9]+T[:.0-9]+Z","level":"info","thread":[0-9]+,)"
                           R"("message":"a \\"b\\" \\\\ \\u000a\\u007f )"
                           "\xc3\xa9\"\\}\n"));
}

TEST(Log, WritesTextForPeople) {
  EXPECT_THAT(Logged({.level = "debug", .format = "text"}, "a \"b\""), EndsWith(" a \"b\"\n"));
}

TEST(Log, LeavesOutWhatIsBelowItsLevel) {
  EXPECT_EQ(Logged({.level = "warning", .format = "text"}, "hello"), "");
  EXPECT_EQ(Logged({.level = "error", .format = "auto"}, "hello"), "");
}

TEST(Log, SaysWhatIsNotASetting) {
  EXPECT_THAT(InitLog({.level = "loud", .format = "text"}),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("log-level: 'loud'")));
  EXPECT_THAT(InitLog({.level = "info", .format = "xml"}),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("log-format: 'xml'")));
}

}  // namespace
}  // namespace mmsmo
