#include "gateway/base/line_writer.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <csignal>
#include <future>
#include <string>

namespace mmsmo {
namespace {

using std::chrono::milliseconds;

constexpr milliseconds kLong{60'000};

class Pipe {
 public:
  Pipe() {
    if (pipe(ends_) != 0) std::abort();
    fcntl(ends_[1], F_SETPIPE_SZ, 4096);
  }
  ~Pipe() { CloseReader(); }  // the writer's end is in use as long as the process lives

  int writer() const { return ends_[1]; }
  std::string Read(size_t size) const {
    std::string bytes(size, '\0');
    size_t got = 0;
    while (got < size) {
      const ssize_t count = read(ends_[0], bytes.data() + got, size - got);
      if (count <= 0) break;
      got += static_cast<size_t>(count);
    }
    bytes.resize(got);
    return bytes;
  }
  void CloseReader() {
    if (ends_[0] >= 0) close(ends_[0]);
    ends_[0] = -1;
  }

 private:
  int ends_[2] = {-1, -1};
};

std::string Line(size_t size) { return std::string(size - 1, 'x') + "\n"; }

TEST(LineWriter, WritesInOrder) {
  Pipe pipe;
  LineWriter& writer = *LineWriter::Start(pipe.writer(), nullptr);
  writer.Add("one\n");
  writer.Add("two\n");
  writer.Flush(kLong);
  EXPECT_EQ(pipe.Read(8), "one\ntwo\n");
  EXPECT_EQ(writer.dropped(), 0);
}

TEST(LineWriter, DropsAndCountsWhatNobodyReads) {
  Pipe pipe;
  std::promise<uint64_t> told;
  LineWriter& writer =
      *LineWriter::Start(pipe.writer(), [&](uint64_t lines) { told.set_value(lines); });
  constexpr size_t kLine = 1 << 10;
  constexpr size_t kFit = LineWriter::kMaxWaitingBytes / kLine;
  for (size_t i = 0; i < 4 * kFit; ++i) writer.Add(Line(kLine));
  writer.Flush(milliseconds(0));  // does not wait for the reader
  const uint64_t dropped = writer.dropped();
  EXPECT_GE(dropped, kFit);
  pipe.Read((4 * kFit - dropped) * kLine);
  EXPECT_EQ(told.get_future().get(), dropped);
  writer.Add("again\n");
  writer.Flush(kLong);
  EXPECT_EQ(pipe.Read(6), "again\n");
  EXPECT_EQ(writer.dropped(), dropped);
}

TEST(LineWriter, WaitsWhereTheDescriptorDoesNot) {
  Pipe pipe;
  fcntl(pipe.writer(), F_SETFL, O_WRONLY | O_NONBLOCK);
  LineWriter& writer = *LineWriter::Start(pipe.writer(), nullptr);
  writer.Add(Line(100'000));
  EXPECT_EQ(pipe.Read(100'000), Line(100'000));
  EXPECT_EQ(writer.dropped(), 0);
}

TEST(LineWriter, SurvivesAReaderThatHasGone) {
  Pipe pipe;
  LineWriter& writer = *LineWriter::Start(
      pipe.writer(), [](uint64_t) { ADD_FAILURE() << "nothing is written again"; });
  pipe.CloseReader();
  writer.Add("one\n");
  writer.Flush(kLong);
  EXPECT_EQ(writer.dropped(), 1);
  writer.Add("two\n");
  writer.Flush(kLong);
  EXPECT_EQ(writer.dropped(), 2);
}

}  // namespace
}  // namespace mmsmo
