#include "gateway/base/unix_socket.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <memory>
#include <string>

#include "tests/support/status_matchers.h"
#include "tests/support/temp_dir.h"

namespace mmsmo {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::StartsWith;

class UnixSocketTest : public testing::Test {
 protected:
  absl::StatusOr<std::unique_ptr<UnixSocket>> Listen(mode_t mode = 0660) {
    return UnixSocket::Listen("grpc-listen", "unix:" + path_, mode);
  }
  // A socket file of this user's. Where nobody listens behind it, it is what a kill leaves.
  int BindByHand(int type = SOCK_STREAM) {
    const int fd = socket(AF_UNIX, type, 0);
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    path_.copy(address.sun_path, sizeof address.sun_path - 1);
    EXPECT_EQ(bind(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
    return fd;
  }
  ino_t Inode() {
    struct stat found {};
    return lstat(path_.c_str(), &found) == 0 ? found.st_ino : 0;
  }
  void ExpectIsLeftAlone(const std::string& why) {
    const ino_t before = Inode();
    EXPECT_THAT(Listen(),
                StatusIs(absl::StatusCode::kFailedPrecondition,
                         AllOf(StartsWith("grpc-listen: "), HasSubstr(path_), HasSubstr(why))));
    EXPECT_EQ(Inode(), before);
  }

  TempDir dir_;
  std::string path_ = dir_ / "gateway.sock";
};

TEST_F(UnixSocketTest, HasTheModeWhateverTheUmask) {
  for (const mode_t mode : {0660U, 0600U, 0777U}) {
    const auto listening = Listen(mode);
    ASSERT_THAT(listening, IsOk());
    struct stat made {};
    ASSERT_EQ(lstat(path_.c_str(), &made), 0);
    EXPECT_EQ(made.st_mode & 07777U, mode);
  }
}

TEST_F(UnixSocketTest, ReplacesWhatAKillLeft) {
  close(BindByHand());
  const ino_t before = Inode();
  const auto listening = Listen();
  ASSERT_THAT(listening, IsOk());
  EXPECT_NE(before, 0U);
  const int fd = (*listening)->Duplicate();
  EXPECT_GE(fd, 0);
  close(fd);
}

TEST_F(UnixSocketTest, LeavesAloneWhatIsServed) {
  const auto listening = Listen();
  ASSERT_THAT(listening, IsOk());
  ExpectIsLeftAlone("is served by another process; stop it");
}

TEST_F(UnixSocketTest, LeavesAloneWhatIsTooBusyToAccept) {
  const int fd = BindByHand();
  ASSERT_EQ(listen(fd, 0), 0);
  const int client = socket(AF_UNIX, SOCK_STREAM, 0);
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  path_.copy(address.sun_path, sizeof address.sun_path - 1);
  ASSERT_EQ(connect(client, reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
  ExpectIsLeftAlone("is served by another process");
  close(client);
  close(fd);
}

TEST_F(UnixSocketTest, LeavesAloneWhatTakesDatagrams) {
  const int fd = BindByHand(SOCK_DGRAM);
  ExpectIsLeftAlone("is served by another process");
  close(fd);
}

TEST_F(UnixSocketTest, LeavesAloneWhatIsNoSocket) {
  std::ofstream(path_) << "precious";
  ExpectIsLeftAlone("is no socket; choose another path");
  std::ifstream file(path_);
  EXPECT_EQ(std::string(std::istreambuf_iterator<char>(file), {}), "precious");
}

TEST_F(UnixSocketTest, LeavesAloneALinkAlsoToASocketThatWasLeft) {
  const std::string link = path_;
  path_ = dir_ / "other.sock";
  close(BindByHand());
  std::filesystem::create_symlink(path_, link);
  path_ = link;
  ExpectIsLeftAlone("is no socket");
}

TEST_F(UnixSocketTest, LeavesAloneTheSocketOfAnotherUser) {
  close(BindByHand());
  if (chown(path_.c_str(), 65534, 65534) != 0) GTEST_SKIP() << "only root gives files away";
  ExpectIsLeftAlone("another user (uid 65534");
}

TEST_F(UnixSocketTest, RemovesItsFileAtTheEndButNotAnothers) {
  ASSERT_THAT(Listen(), IsOk());
  EXPECT_EQ(Inode(), 0U);
  auto first = Listen();
  ASSERT_THAT(first, IsOk());
  unlink(path_.c_str());
  const auto second = Listen();
  ASSERT_THAT(second, IsOk());
  const ino_t inode = Inode();
  first->reset();
  EXPECT_EQ(Inode(), inode);
}

TEST_F(UnixSocketTest, SaysWhatIsWrongWithAPath) {
  path_ = dir_ / "no/such.sock";
  EXPECT_THAT(Listen(), StatusIs(absl::StatusCode::kFailedPrecondition,
                                 HasSubstr("No such file or directory")));
  for (const size_t length : {size_t{0}, size_t{108}}) {
    path_ = std::string(length, 'x');
    EXPECT_THAT(Listen(), StatusIs(absl::StatusCode::kInvalidArgument,
                                   HasSubstr("grpc-listen: a unix socket's path has from 1 to")));
  }
}

}  // namespace
}  // namespace mmsmo
