#include "gateway/access/endpoint_files.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "gateway/base/status.h"
#include "tests/support/temp_dir.h"

namespace mmsmo::access {
namespace {

class EndpointFilesTest : public testing::Test {
 protected:
  EndpointFilesTest() { Write("first"); }

  void Write(const std::string& secret) { std::ofstream(path_, std::ios::trunc) << secret; }
  std::vector<EndpointSettings> Settings() const {
    return {{.name = "open", .path = "/open"},
            {.name = "shut", .path = "/shut", .bearer_tokens = {.files = {path_}}}};
  }
  static bool LetsIn(const EndpointFiles& files, std::string_view token) {
    const std::string value = "Bearer " + std::string(token);
    return !files.endpoints()[1]->CheckHeader(
        {}, [&](std::string_view) { return std::optional<std::string_view>(value); });
  }
  double Count(const std::string& result) {
    return metrics_.Counter("mmsmo_access_reloads_total", "", {{"result", result}}).Value();
  }

  TempDir dir_;
  const std::string path_ = dir_.path() + "/token";
  Metrics metrics_;
};

TEST_F(EndpointFilesTest, TakesOverWhatHasChanged) {
  const auto files = *EndpointFiles::Open(Settings(), metrics_);
  const auto open = files->endpoints()[0];
  EXPECT_TRUE(LetsIn(*files, "first"));
  EXPECT_FALSE(files->Look());
  Write("second\n");
  EXPECT_TRUE(files->Look());
  EXPECT_FALSE(LetsIn(*files, "first"));
  EXPECT_TRUE(LetsIn(*files, "second"));
  EXPECT_EQ(files->endpoints()[0], open) << "it has not changed";
  EXPECT_EQ(Count("changed"), 1);
}

TEST_F(EndpointFilesTest, KeepsWhatWasWhereAFileIsBroken) {
  const auto files = *EndpointFiles::Open(Settings(), metrics_);
  Write("");
  EXPECT_FALSE(files->Look());
  EXPECT_FALSE(files->Look());
  EXPECT_EQ(Count("kept"), 1) << "it is told once";
  std::filesystem::remove(path_);
  EXPECT_FALSE(files->Look());
  EXPECT_EQ(Count("kept"), 2);
  EXPECT_TRUE(LetsIn(*files, "first"));
  Write("first");
  EXPECT_FALSE(files->Look());
}

TEST_F(EndpointFilesTest, NamesTheEndpointThatIsWrong) {
  auto settings = Settings();
  settings.push_back({.name = "open", .path = "/other"});
  EXPECT_EQ(MessageOf(EndpointFiles::Open(settings, metrics_).status()),
            "endpoint 'open': it is declared twice");
  settings.back() = {.name = "other", .path = "/shut"};
  EXPECT_EQ(MessageOf(EndpointFiles::Open(settings, metrics_).status()),
            "endpoint 'other': path: another endpoint has '/shut'");
  std::filesystem::remove(path_);
  EXPECT_EQ(MessageOf(EndpointFiles::Open(Settings(), metrics_).status()),
            "endpoint 'shut': bearer: '" + path_ + "' cannot be read: No such file or directory");
}

}  // namespace
}  // namespace mmsmo::access
