// What the engine makes of the states in which a crash, an operator or the disk may leave its data
// directory.

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <climits>
#include <filesystem>
#include <fstream>
#include <future>
#include <string>
#include <vector>

#include "gateway/embedded/store/big_endian.h"
#include "tests/embedded/engine.h"

namespace mmsmo::embedded {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

class RecoveryTest : public testing::Test, protected Engine {
 protected:
  absl::Status TryOpen() {
    Metrics metrics;
    return EmbeddedBroker::Open(options(), clock(), metrics).status();
  }
  std::filesystem::path NewestWal() {
    std::filesystem::path newest;
    for (const auto& file : std::filesystem::directory_iterator(options().data_dir)) {
      if (file.path().extension() == ".log" && file.path().filename() > newest.filename())
        newest = file.path();
    }
    return newest;
  }
  // The data directory as a kill would leave it now.
  void Snapshot(const std::string& to) {
    std::filesystem::copy(options().data_dir, to, std::filesystem::copy_options::recursive);
  }
};

TEST_F(RecoveryTest, OpensWhatAKillLeft) {
  Open();
  ASSERT_THAT(Append(EventOf("a")), IsOk());
  TempDir copy;
  Snapshot(copy / "data");
  Close();
  options().data_dir = copy / "data";
  Open();
  EXPECT_THAT(ReadIds(Earliest()), ElementsAre("a"));
}

TEST_F(RecoveryTest, CutsATornTail) {
  Open();
  ASSERT_THAT(Append(EventOf("a")), IsOk());
  const auto whole = std::filesystem::file_size(NewestWal());
  ASSERT_THAT(Append(EventOf("b")), IsOk());
  TempDir copy;
  Snapshot(copy / "data");
  Close();
  options().data_dir = copy / "data";
  const auto torn = std::filesystem::file_size(NewestWal());
  ASSERT_GT(torn, whole);
  std::filesystem::resize_file(NewestWal(), (whole + torn) / 2);
  Open();
  EXPECT_THAT(ReadIds(Earliest()), ElementsAre("a"));
  EXPECT_EQ(Append(EventOf("b"))->outcome, broker::Receipt::Outcome::kAccepted);
  EXPECT_FALSE(std::filesystem::exists(options().data_dir + "/damaged"));
}

// What follows the damage is not there any more, but neither is it gone.
TEST_F(RecoveryTest, KeepsALogThatIsDamagedBeforeItsEnd) {
  Open();
  ASSERT_THAT(Append(EventOf("a")), IsOk());
  const auto intact = std::filesystem::file_size(NewestWal());
  for (const char* id : {"b", "c"}) ASSERT_THAT(Append(EventOf(id)), IsOk());
  TempDir copy;
  Snapshot(copy / "data");
  Close();
  options().data_dir = copy / "data";
  const std::filesystem::path log = NewestWal();
  std::fstream file(log, std::ios::binary | std::ios::in | std::ios::out);
  file.seekp(static_cast<std::streamoff>(intact + 20));
  file.put('!');
  file.close();
  const auto size = std::filesystem::file_size(log);
  Open();
  EXPECT_THAT(ReadIds(Earliest()), ElementsAre("a"));
  EXPECT_EQ(std::filesystem::file_size(copy / "data/damaged" / log.filename()), size);
}

TEST_F(RecoveryTest, SaysThatTheDirectoryIsInUse) {
  Open();
  EXPECT_THAT(TryOpen(), StatusIs(absl::StatusCode::kFailedPrecondition,
                                  HasSubstr("in use by another gateway")));
}

TEST_F(RecoveryTest, SaysThatTheDirectoryIsOfANewerFormat) {
  Open();
  Close();
  {
    auto store = *Store::Open(options().data_dir);
    ASSERT_TRUE(store->db().Put({}, store->meta(), "format_version", BigEndian(99)).ok());
  }
  EXPECT_THAT(TryOpen(), StatusIs(absl::StatusCode::kFailedPrecondition, HasSubstr("format 99")));
}

TEST_F(RecoveryTest, SaysThatTheDirectoryHasWhatOnlyANewerGatewayKnows) {
  Open();
  Close();
  {
    auto store = *Store::Open(options().data_dir);
    rocksdb::ColumnFamilyHandle* later = nullptr;
    ASSERT_TRUE(store->db().CreateColumnFamily({}, "later", &later).ok());
    store->db().DestroyColumnFamilyHandle(later);
  }
  EXPECT_THAT(TryOpen(),
              StatusIs(absl::StatusCode::kFailedPrecondition, HasSubstr("a newer gateway")));
}

TEST_F(RecoveryTest, SaysThatTheDirectoryCannotBeOpened) {
  std::filesystem::create_directories(options().data_dir + "/CURRENT");
  EXPECT_THAT(TryOpen(), StatusIs(absl::StatusCode::kUnavailable,
                                  HasSubstr("data-dir: " + options().data_dir)));
}

// Also where the bit makes it another number, of a file that is not there.
TEST_F(RecoveryTest, SaysThatABitOfTheFileThatNamesAllOthersFlipped) {
  Open();
  Close();
  const std::string path = options().data_dir + "/CURRENT";
  std::string name;
  std::getline(std::ifstream(path), name);
  name += '\n';
  for (size_t bit = 0; bit < name.size() * CHAR_BIT; ++bit) {
    const auto flip = static_cast<char>(1 << (bit % CHAR_BIT));
    name[bit / CHAR_BIT] ^= flip;
    std::ofstream(path, std::ios::binary) << name;
    EXPECT_THAT(TryOpen(), StatusIs(absl::StatusCode::kDataLoss, HasSubstr("is damaged"))) << bit;
    name[bit / CHAR_BIT] ^= flip;
  }
}

TEST_F(RecoveryTest, SaysThatTheDirectoryCannotBeMade) {
  std::ofstream(options().data_dir + "-file") << "not a directory";
  options().data_dir += "-file/data";
  EXPECT_THAT(TryOpen(), StatusIs(absl::StatusCode::kPermissionDenied, HasSubstr("data-dir")));
}

TEST_F(RecoveryTest, CommitsOnCloseWhatWasAppended) {
  Open();
  std::vector<std::future<broker::Receipts>> answers;
  for (int i = 0; i < 100; ++i) {
    auto promise = std::make_shared<std::promise<broker::Receipts>>();
    answers.push_back(promise->get_future());
    std::vector<broker::Entry> one;
    one.push_back(EventOf("id" + std::to_string(i)));
    broker().Append(std::move(one), [promise](broker::Receipts receipts) -> broker::Then {
      promise->set_value(std::move(receipts));
      return nullptr;
    });
  }
  Close();
  for (auto& answer : answers) EXPECT_THAT(answer.get()[0], IsOk());
  Open();
  EXPECT_EQ(ReadIds(Earliest()).size(), 100u);
}

// Retention runs once a second of the writer's own time; the tests wait for its effect.
class RetentionTest : public testing::Test, protected Engine {
 protected:
  void AwaitRetained(uint64_t events) {
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(30);
    while (broker().Stats().events_retained != events &&
           std::chrono::steady_clock::now() < deadline)
      std::this_thread::yield();
    ASSERT_EQ(broker().Stats().events_retained, events);
  }
};

TEST_F(RetentionTest, RemovesByBytes) {
  options().retention_bytes = 10'000;
  Open();
  for (int i = 0; i < 100; ++i) ASSERT_THAT(Append(EventOf("id" + std::to_string(i))), IsOk());
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(30);
  while (broker().Stats().bytes_retained > 10'000 && std::chrono::steady_clock::now() < deadline)
    std::this_thread::yield();
  EXPECT_LE(broker().Stats().bytes_retained, 10'000u);
  const auto ids = ReadIds(Earliest());
  ASSERT_FALSE(ids.empty());
  EXPECT_EQ(ids.back(), "id99");
  EXPECT_GT(ids.size(), 30u);
}

TEST_F(RetentionTest, NoJumpOfTheClockRemovesOrKeepsAnything) {
  options().retention_age_micros = 3600ll * 1'000'000;
  options().quarantine_age_micros = 3600ll * 1'000'000;
  Open();
  for (const int64_t days : {8, -8, 30, -30}) {
    const std::string name = "id" + std::to_string(days);
    ASSERT_THAT(Append(EventOf(name)), IsOk());
    Keep("missing_field", name);
    clock().AdvanceSeconds(3000);
    const std::string newer = Append(EventOf("newer" + name))->cursor;
    Keep("missing_field", "newer" + name);
    clock().JumpSeconds(days * 24 * 3600);
    ASSERT_THAT(Append(EventOf("meanwhile" + name)), IsOk());
    clock().AdvanceSeconds(1000);
    AwaitRetained(2);
    EXPECT_THAT(ReadIds(After(newer)), ElementsAre("meanwhile" + name));
    EXPECT_EQ(StatsOf(Shelf::kKept).count, 1u);
    Reopen();
    EXPECT_EQ(Append(EventOf("meanwhile" + name))->outcome, broker::Receipt::Outcome::kDuplicate);
    clock().AdvanceSeconds(4000);
    AwaitRetained(0);
    EXPECT_EQ(StatsOf(Shelf::kKept).count, 0u);
  }
}

TEST_F(RetentionTest, RemovesWholeFilesAndLeavesNothingToReadersOfWhatRemainsInOthers) {
  options().retention_bytes = 100'000;
  Open();
  std::vector<std::string> cursors;
  for (int round = 0; round < 5; ++round) {
    for (int i = 0; i < 500; ++i)
      cursors.push_back(Append(EventOf("id" + std::to_string(500 * round + i)))->cursor);
    Reopen();  // which leaves a file
  }
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(30);
  while (broker().Stats().bytes_retained > 101'000 && std::chrono::steady_clock::now() < deadline)
    std::this_thread::yield();
  const uint64_t retained = broker().Stats().events_retained;
  ASSERT_LT(retained, 1500u);
  for (int reopenings = 0; reopenings < 2; ++reopenings) {
    EXPECT_EQ(ReadIds(Earliest()).size(), retained);
    EXPECT_THAT(broker().GetEvent(cursors[cursors.size() - retained - 1]),
                HasReason("CURSOR_EXPIRED"));
    EXPECT_THAT(broker().GetEvent(cursors[cursors.size() - retained]), IsOk());
    EXPECT_EQ(Append(EventOf("id2499"))->outcome, broker::Receipt::Outcome::kDuplicate);
    Reopen();
  }
}

}  // namespace
}  // namespace mmsmo::embedded
