#include "gateway/embedded/log/id_index.h"

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "gateway/base/log.h"
#include "gateway/embedded/store/big_endian.h"
#include "spdlog/sinks/ringbuffer_sink.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temp_dir.h"

namespace mmsmo::embedded {
namespace {

// An index over a log whose event N is of the postback "idN".
class IdIndexTest : public testing::Test {
 protected:
  IdIndexTest() { Reopen(); }

  void Reopen() {
    index_.reset();
    store_.reset();
    auto store = Store::Open(dir_.path());
    ASSERT_THAT(store, IsOk());
    store_ = *std::move(store);
    auto index = IdIndex::Open(store_.get(), 1, head_, {.table_size = 100});
    ASSERT_THAT(index, IsOk());
    index_ = *std::move(index);
  }

  static PostbackKey Key(uint64_t i) {
    return broker::MakePostbackKey("e", "id" + std::to_string(i));
  }

  void Append(int count) {
    for (int i = 0; i < count; ++i) {
      ++head_;
      std::string record;
      AppendRecord({.key = Key(head_)}, "", "event", &record);
      ASSERT_TRUE(store_->db().Put({}, store_->events(), BigEndian(head_), record).ok());
      index_->Insert(Key(head_), head_);
    }
  }

  void ExpectAllFound() {
    for (uint64_t i = 1; i <= head_; ++i) {
      auto found = index_->Find(Key(i));
      ASSERT_THAT(found, IsOk());
      EXPECT_EQ(*found, std::optional<uint64_t>(i));
    }
    EXPECT_EQ(*index_->Find(Key(head_ + 1)), std::nullopt);

    std::vector<PostbackKey> keys;
    for (uint64_t i = head_ + 1; i >= 1; --i) keys.insert(keys.end(), 2, Key(i));
    const auto found = index_->FindAll(keys);
    ASSERT_EQ(found.size(), keys.size());
    for (size_t i = 0; i < found.size(); ++i) {
      ASSERT_THAT(found[i], IsOk());
      const uint64_t sequence = head_ + 1 - i / 2;
      EXPECT_EQ(*found[i], sequence <= head_ ? std::optional(sequence) : std::nullopt);
    }
  }

  void AwaitInStore(uint64_t i) {
    std::string bytes;
    AppendBigEndian(Key(i).high, &bytes);
    AppendBigEndian(Key(i).low, &bytes);
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(30);
    std::string value;
    while (!store_->db().Get({}, store_->ids(), bytes, &value).ok()) {
      ASSERT_LT(std::chrono::steady_clock::now(), deadline);
      std::this_thread::yield();
    }
  }

  TempDir dir_;
  uint64_t head_ = 0;
  std::unique_ptr<Store> store_;
  std::unique_ptr<IdIndex> index_;
};

TEST_F(IdIndexTest, FindsIdsInMemoryAndOnTheirWayToTheStoreAndInIt) {
  Append(50);
  ExpectAllFound();
  Append(1000);
  ExpectAllFound();
}

TEST_F(IdIndexTest, FindsThemAfterAReopening) {
  Append(1050);
  Reopen();
  ExpectAllFound();
  Append(200);
  Reopen();
  ExpectAllFound();
}

TEST_F(IdIndexTest, TriesAgainWhereItsFileCannotBeWritten) {
  const std::string in_its_way = dir_ / "ids.spill";
  std::filesystem::create_directory(in_its_way);
  const auto log = std::make_shared<spdlog::sinks::ringbuffer_sink_mt>(10);
  Log()->sinks().push_back(log);
  Append(250);
  const auto said = [&log] {
    for (const std::string& line : log->last_formatted()) {
      if (line.find("the id index could not be written") != std::string::npos) return true;
    }
    return false;
  };
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(30);
  while (!said() && std::chrono::steady_clock::now() < deadline) std::this_thread::yield();
  EXPECT_TRUE(said());
  ExpectAllFound();
  std::filesystem::remove(in_its_way);
  AwaitInStore(1);
  ExpectAllFound();
  Reopen();
  Log()->sinks().pop_back();
  ExpectAllFound();
}

TEST_F(IdIndexTest, IsBegunAnewWhereItIsAheadOfTheLog) {
  Append(1050);
  index_.reset();
  ASSERT_TRUE(store_->db().Put({}, store_->ids(), std::string(17, '\xff'), BigEndian(5000)).ok());
  ASSERT_TRUE(store_->db().DeleteRange({}, store_->ids(), Slice(""), std::string(16, '\xff')).ok());
  Reopen();
  ExpectAllFound();
  Append(50);
  Reopen();
  ExpectAllFound();
}

TEST_F(IdIndexTest, ForgetsTheIdsOfRemovedEventsWhenFilesAreRewritten) {
  Append(1000);
  AwaitInStore(1);
  Reopen();  // so that no table in memory knows it
  store_->ForgetBefore(501);
  ASSERT_TRUE(store_->db().CompactRange({}, store_->ids(), nullptr, nullptr).ok());
  EXPECT_EQ(*index_->Find(Key(1)), std::nullopt);
  EXPECT_EQ(*index_->Find(Key(1000)), std::optional<uint64_t>(1000));
}

}  // namespace
}  // namespace mmsmo::embedded
