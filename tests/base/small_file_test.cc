#include "gateway/base/small_file.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>

#include "gateway/base/status.h"
#include "tests/support/temp_dir.h"

namespace mmsmo {
namespace {

TEST(SmallFile, IsReadWhole) {
  const TempDir dir;
  const std::string path = dir.path() + "/file";
  const std::string content(100'000, 'x');
  std::ofstream(path, std::ios::binary) << content;
  EXPECT_EQ(*ReadSmallFile(path), content);
  std::ofstream(path, std::ios::binary | std::ios::trunc).flush();
  EXPECT_EQ(*ReadSmallFile(path), "");
}

TEST(SmallFile, NamesWhatCannotBeRead) {
  const TempDir dir;
  const auto missing = ReadSmallFile(dir.path() + "/missing");
  EXPECT_EQ(missing.status().code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_NE(MessageOf(missing.status()).find("/missing' cannot be read: No such file"),
            std::string_view::npos);
  EXPECT_EQ(ReadSmallFile(dir.path()).status().code(), absl::StatusCode::kFailedPrecondition);
}

TEST(SmallFile, HasABound) {
  const TempDir dir;
  const std::string path = dir.path() + "/file";
  std::ofstream(path, std::ios::binary) << std::string(kMaxSmallFileBytes + 1, 'x');
  EXPECT_EQ(ReadSmallFile(path).status().code(), absl::StatusCode::kInvalidArgument);
}

TEST(SmallFile, IsNoPipeThatNobodyWritesTo) {
  const TempDir dir;
  const std::string path = dir.path() + "/pipe";
  ASSERT_EQ(mkfifo(path.c_str(), 0600), 0);
  EXPECT_EQ(*ReadSmallFile(path), "");
}

}  // namespace
}  // namespace mmsmo
