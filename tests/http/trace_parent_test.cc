#include "gateway/http/trace_parent.h"

#include <gtest/gtest.h>

#include <string>

namespace mmsmo::http {
namespace {

constexpr std::string_view kValid = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

TEST(TraceParent, TakesWhatTheStandardAllows) {
  EXPECT_TRUE(IsTraceParent(kValid));
  std::string later(kValid);
  later.replace(0, 2, "cc");
  EXPECT_TRUE(IsTraceParent(later));
  EXPECT_TRUE(IsTraceParent(later + "-what-comes-later"));
}

TEST(TraceParent, RefusesAnythingElse) {
  const std::string valid(kValid);
  for (const std::string& text : {
           std::string(),
           valid.substr(1),
           valid + "-more",
           "ff" + valid.substr(2),
           "0G" + valid.substr(2),
           std::string("00-00000000000000000000000000000000-b7ad6b7169203331-01"),
           std::string("00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01"),
           std::string("00-0AF7651916CD43DD8448EB211C80319C-b7ad6b7169203331-01"),
           valid.substr(0, valid.size() - 1) + "G",
           std::string("00_0af7651916cd43dd8448eb211c80319c_b7ad6b7169203331_01"),
           "cc" + valid.substr(2) + "more",
           "cc" + valid.substr(2) + "-" + std::string(300, 'x'),
       }) {
    EXPECT_FALSE(IsTraceParent(text)) << text;
  }
}

}  // namespace
}  // namespace mmsmo::http
