// What becomes of cursors where a number of the log was given twice.

#include "gateway/embedded/log/epochs.h"

#include <filesystem>
#include <set>
#include <string>
#include <vector>

#include "gateway/embedded/log/cursor.h"
#include "gateway/embedded/store/big_endian.h"
#include "tests/embedded/engine.h"

namespace mmsmo::embedded {
namespace {

using testing::ElementsAre;

class EpochsTest : public testing::Test, protected Engine {
 protected:
  std::string Accept(const std::string& id) {
    auto receipt = Append(EventOf(id));
    EXPECT_THAT(receipt, IsOk());
    EXPECT_EQ(receipt->outcome, broker::Receipt::Outcome::kAccepted) << id;
    return receipt->cursor;
  }
  std::vector<std::string> Accept(std::initializer_list<const char*> ids) {
    std::vector<std::string> cursors;
    for (const char* id : ids) cursors.push_back(Accept(id));
    return cursors;
  }
  void CopyTo(const std::string& path) {
    std::filesystem::copy(options().data_dir, path, std::filesystem::copy_options::recursive);
  }
  void OpenCopy(const std::string& path) {
    Close();
    options().data_dir = path;
    Open();
  }
  void ExpectExpired(const std::vector<std::string>& cursors) {
    for (const std::string& cursor : cursors) {
      EXPECT_THAT(Read(After(cursor)), HasReason("CURSOR_EXPIRED"));
      EXPECT_THAT(broker().GetEvent(cursor), HasReason("CURSOR_EXPIRED"));
      EXPECT_THAT(broker().GetRawPostback(cursor), HasReason("CURSOR_EXPIRED"));
    }
  }
  std::string IdOf(const std::string& cursor) {
    auto bytes = broker().GetEvent(cursor);
    EXPECT_THAT(bytes, IsOk());
    v1::Event event;
    EXPECT_TRUE(bytes.ok() && event.ParseFromString(*bytes));
    EXPECT_EQ(event.cursor(), cursor);
    return event.mms_mo().tracking_id();
  }

  TempDir copies_;
};

TEST_F(EpochsTest, CursorsOutliveRestarts) {
  std::vector<std::string> cursors;
  std::set<EpochId> epochs;
  for (int i = 0; i < 20; ++i) {
    Open();
    Reopen();  // an opening that publishes nothing leaves no trace
    cursors.push_back(Accept("id" + std::to_string(i)));
    cursors.push_back(Accept("more" + std::to_string(i)));
    epochs.insert(DecodeCursor(cursors.back())->epoch);
    Close();
  }
  EXPECT_EQ(epochs.size(), 20u);
  Open();
  EXPECT_EQ(ReadIds(Earliest()).size(), 40u);
  for (size_t i = 0; i < cursors.size(); ++i) {
    EXPECT_EQ(ReadIds(After(cursors[i])).size(), 39 - i);
    EXPECT_EQ(IdOf(cursors[i]), (i % 2 == 0 ? "id" : "more") + std::to_string(i / 2));
  }
  EXPECT_EQ(ReadIds(After(broker().EarliestCursor())).size(), 40u);
  EXPECT_EQ(Append(EventOf("id3"))->cursor, cursors[6]);
}

TEST_F(EpochsTest, ARestoredCopyTakesNoneOfTheCursorsThatItHasNotGiven) {
  Open();
  const std::string empty = broker().EarliestCursor();
  const auto common = Accept({"a", "b"});
  Close();
  CopyTo(copies_ / "stopped");
  Open();
  const auto restarted = Accept({"c", "d", "e"});
  CopyTo(copies_ / "running");
  const auto running = Accept({"f", "g", "h"});

  OpenCopy(copies_ / "stopped");
  ExpectExpired(restarted);
  ExpectExpired(running);
  Accept({"1", "2", "3", "4", "5", "6", "7", "8"});
  ExpectExpired(restarted);
  ExpectExpired(running);
  EXPECT_EQ(IdOf(common[1]), "b");
  EXPECT_EQ(ReadIds(After(common[1])).size(), 8u);
  EXPECT_EQ(ReadIds(After(empty)).size(), 10u);

  OpenCopy(copies_ / "running");
  ExpectExpired(running);
  EXPECT_THAT(ReadIds(After(restarted[2])), ElementsAre());
  Accept({"1", "2", "3", "4", "5", "6", "7", "8"});
  ExpectExpired(running);
  EXPECT_EQ(ReadIds(After(restarted[2])).size(), 8u);
  EXPECT_EQ(IdOf(restarted[0]), "c");
}

TEST_F(EpochsTest, ACopyOfAnEmptyLogIsAnotherLogButForItsBeginning) {
  Open();
  CopyTo(copies_ / "empty");
  const std::string earliest = broker().EarliestCursor();
  const auto originals = Accept({"a", "b"});
  OpenCopy(copies_ / "empty");
  Accept({"c", "d", "e"});
  ExpectExpired(originals);
  EXPECT_THAT(ReadIds(After(earliest)), ElementsAre("c", "d", "e"));
}

// As where a damaged write-ahead log is cut: the ids were in a file already, the events were not.
TEST_F(EpochsTest, WhereTheLogHasLostItsEndItsCursorsAndIdsAreForgotten) {
  Open();
  Accept({"a", "b"});
  Reopen();
  const auto kept = Accept({"c"});
  Reopen();
  const auto lost = Accept({"d", "e", "f", "g"});
  Close();
  {
    auto store = *Store::Open(options().data_dir);
    for (const uint64_t sequence : {4, 5, 6, 7}) {
      for (auto* family : {store->events(), store->raw()})
        ASSERT_TRUE(store->db().Delete({}, family, BigEndian(sequence)).ok());
      std::string id;
      const PostbackKey key =
          broker::MakePostbackKey("mms-mo", std::string(1, static_cast<char>('a' + sequence - 1)));
      AppendBigEndian(key.high, &id);
      AppendBigEndian(key.low, &id);
      ASSERT_TRUE(store->db().Put({}, store->ids(), id, BigEndian(sequence)).ok());
    }
    const std::string through(17, '\xff');
    ASSERT_TRUE(store->db().Put({}, store->ids(), through, BigEndian(7)).ok());
  }
  Open();
  ExpectExpired(lost);
  const auto anew = Accept({"g", "1", "2"});
  EXPECT_EQ(DecodeCursor(anew[0])->sequence, 4u);
  ExpectExpired(lost);
  Reopen();
  Accept({"f", "3"});
  ExpectExpired(lost);
  Accept({"d"});
  for (const auto& [id, cursor] : {std::pair{"c", kept[0]}, {"g", anew[0]}, {"2", anew[2]}})
    EXPECT_EQ(Append(EventOf(id))->cursor, cursor);
  EXPECT_THAT(ReadIds(After(kept[0])), ElementsAre("g", "1", "2", "f", "3", "d"));
}

TEST(Epochs, KeepsNoneThatNoCursorCanName) {
  TempDir directory;
  auto store = *Store::Open(directory.path());
  const auto begin = [&](uint64_t oldest, uint64_t head) {
    Epochs epochs;
    EXPECT_THAT(epochs.Load(store.get(), oldest, head), IsOk());
    rocksdb::WriteBatch batch;
    epochs.Begin(*store, head + 1, &batch);
    EXPECT_THAT(store->Write(&batch, "writing"), IsOk());
    std::string bytes;
    EXPECT_TRUE(store->db().Get({}, store->meta(), "epochs", &bytes).ok());
    return bytes.size() / 16;
  };
  for (uint64_t head = 0; head < 100; head += 10) EXPECT_EQ(begin(1, head), head / 10 + 2);
  EXPECT_EQ(begin(51, 100), 7u) << "of 50, the place before the oldest, too";
  EXPECT_EQ(begin(52, 100), 6u);
  EXPECT_EQ(begin(52, 60), 2u) << "the log has lost its end";
}

}  // namespace
}  // namespace mmsmo::embedded
