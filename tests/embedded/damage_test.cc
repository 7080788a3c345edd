// What the engine makes of records that a bad disk or a foreign hand has changed: it says so, and
// loses nothing else.

#include <filesystem>
#include <fstream>
#include <functional>
#include <string>
#include <vector>

#include "gateway/broker/subscription_settings.h"
#include "gateway/embedded/store/big_endian.h"
#include "gateway/embedded/subscriptions/schema.h"
#include "tests/embedded/engine.h"

namespace mmsmo::embedded {
namespace {

using broker::AckChange;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

using Family = rocksdb::ColumnFamilyHandle* (Store::*)() const;

// Gives every record of the family whose key begins so another value; where there is none, it makes
// one.
void Overwrite(Store& store, Family family, const std::string& prefix, const std::string& value) {
  std::vector<std::string> keys;
  const std::unique_ptr<rocksdb::Iterator> it(store.db().NewIterator({}, (store.*family)()));
  for (it->Seek(prefix); it->Valid() && it->key().starts_with(prefix); it->Next())
    keys.push_back(it->key().ToString());
  if (keys.empty()) keys.push_back(prefix);
  for (const std::string& key : keys)
    ASSERT_TRUE(store.db().Put({}, (store.*family)(), key, value).ok());
}

// Moves what was written to the family into a file of its own, behind those before: as a log's
// files lie. Returns its path.
std::string LeaveInAFile(Store& store, Family family) {
  rocksdb::ColumnFamilyHandle* const handle = (store.*family)();
  EXPECT_TRUE(store.db().Flush({}, handle).ok());
  rocksdb::ColumnFamilyMetaData meta;
  store.db().GetColumnFamilyMetaData(handle, &meta);
  std::vector<std::string> written, moved;
  for (const auto& file : meta.levels[0].files) written.push_back(file.name);
  EXPECT_TRUE(store.db().CompactFiles({}, handle, written, /*output_level=*/1, -1, &moved).ok());
  EXPECT_EQ(moved.size(), 1u);
  return moved.at(0);
}

void FlipFirstBit(const std::string& path) {
  std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
  const int first = file.get();
  file.seekp(0);
  file.put(static_cast<char>(first ^ 1));
  ASSERT_TRUE(file.flush().good());
}

class DamageTest : public testing::Test, protected Engine {
 protected:
  ~DamageTest() override { stream_.reset(); }

  absl::Status TryOpen() {
    Metrics metrics;
    return EmbeddedBroker::Open(options(), clock(), metrics).status();
  }
  // Changes what is in the closed data directory.
  void Tamper(const std::function<void(Store&)>& change) {
    auto store = Store::Open(options().data_dir);
    ASSERT_THAT(store, IsOk());
    change(**store);
  }
  // Changes records of events that the next start does not look at: as if the index of ids held
  // them all.
  void DamageInTheLog(Family family, uint64_t sequence, const std::string& value) {
    Close();
    Tamper([&](Store& store) {
      Overwrite(store, &Store::ids, std::string(17, '\xff'), *store.LastKey(store.events()));
      ASSERT_TRUE(store.db().Put({}, (store.*family)(), BigEndian(sequence), value).ok());
    });
    Open();
  }

  void CreateSubscription(int max_attempts = 0) {
    v1::Subscription wanted;
    wanted.set_name("orders");
    wanted.set_max_attempts(max_attempts);
    *wanted.mutable_start_position() = Earliest();
    ASSERT_THAT(broker().subscriptions().Create(*broker::CompleteSubscription(wanted)), IsOk());
  }
  // Of a stream that lasts until the next Take.
  absl::StatusOr<std::vector<v1::Delivery>> Take(int max = 100) {
    auto opened = OpenStreamOf(broker().subscriptions(), "orders");
    if (!opened.ok()) return opened.status();
    stream_ = std::move(opened->feed);
    return TakeMore(max);
  }
  absl::StatusOr<std::vector<v1::Delivery>> TakeMore(int max = 100) {
    auto batch = TakeReady(*stream_, max);
    if (!batch.ok()) return batch.status();
    v1::DeliveryBatch parsed;
    EXPECT_TRUE(parsed.ParseFromString(batch->deliveries));
    return std::vector<v1::Delivery>(parsed.deliveries().begin(), parsed.deliveries().end());
  }
  void Change(const v1::Delivery& delivery, const AckChange& change) {
    std::promise<absl::StatusOr<std::vector<broker::AckFailure>>> promise;
    broker().subscriptions().Change(
        "orders", {delivery.ack_id()}, change,
        [&promise](auto failures) { promise.set_value(std::move(failures)); });
    auto failures = promise.get_future().get();
    ASSERT_THAT(failures, IsOk());
    EXPECT_THAT(*failures, IsEmpty());
  }
  void GiveUp(const v1::Delivery& delivery) {
    Change(delivery, {.kind = AckChange::Kind::kDeadLetter, .reason = "unreadable"});
  }
  void Close() {
    stream_.reset();
    Engine::Close();
  }

 private:
  std::unique_ptr<broker::Feed> stream_;
};

TEST_F(DamageTest, SaysAtTheStartWhatCannotBeRead) {
  Open();
  ASSERT_THAT(Append(EventOf("a")), IsOk());
  Keep("missing_field", "kept");
  Close();

  const struct {
    Family family;
    std::string key, message;
  } kCases[] = {
      {&Store::meta, "format_version", "1 bytes under format_version"},
      {&Store::meta, "journal_id", "1 bytes under journal_id"},
      {&Store::meta, "oldest", "1 bytes under oldest"},
      {&Store::meta, "removed_bytes", "1 bytes under removed_bytes"},
      {&Store::meta, "quarantine.kept", "the quarantine's state has 1 bytes"},
      {&Store::meta, "timeline", "the log's time of 1 bytes"},
      {&Store::meta, "epochs", "the log's epochs have 1 bytes"},
      {&Store::events, "", "a record of 1 bytes"},
      {&Store::ids, std::string(17, '\xff'), "the id index"},
  };
  const std::string intact = options().data_dir;
  for (const auto& damaged : kCases) {
    SCOPED_TRACE(damaged.message);
    TempDir copy;
    options().data_dir = copy / "data";
    std::filesystem::copy(intact, options().data_dir);
    Tamper([&](Store& store) { Overwrite(store, damaged.family, damaged.key, "x"); });
    EXPECT_THAT(TryOpen(), StatusIs(absl::StatusCode::kDataLoss, HasSubstr(damaged.message)));
  }
}

TEST_F(DamageTest, StopsADamagedSubscriptionAndNothingElse) {
  Open();
  for (const char* id : {"a", "b", "c"}) ASSERT_THAT(Append(EventOf(id)), IsOk());
  CreateSubscription();
  auto taken = Take();
  ASSERT_THAT(taken, IsOk());
  GiveUp(taken->at(0));
  Change(taken->at(2), {});
  ASSERT_EQ(*broker().subscriptions().ReplayDeadLetters("orders", {}), 1);
  taken = TakeMore();
  Change(taken->at(0), {.kind = AckChange::Kind::kRedeliver, .micros = 3'600'000'000});
  Close();

  const struct {
    std::string key, message;
  } kCases[] = {
      {"S", "a subscription's settings of 1 bytes"},
      {"P", "a subscription's progress of 1 bytes"},
      {"L", "a subscription's last delivery of 1 bytes"},
      {"A", "a subscription's acknowledgements of 1 bytes"},
      {"T", "a subscription's attempts of 1 bytes"},
      {"F", "a subscription's failures of 1 bytes"},
      {"W", "a subscription's retry time of 1 bytes"},
      {"R", "a dead letter of subscription orders"},
  };
  const std::string intact = options().data_dir;
  for (const auto& damaged : kCases) {
    SCOPED_TRACE(damaged.message);
    TempDir copy;
    options().data_dir = copy / "data";
    std::filesystem::copy(intact, options().data_dir);
    Tamper([&](Store& store) { Overwrite(store, &Store::subscriptions, damaged.key, "x"); });
    Open();
    const auto is_damaged =
        StatusIs(absl::StatusCode::kDataLoss,
                 testing::AllOf(HasSubstr("'orders' is damaged"), HasSubstr(damaged.message)));
    EXPECT_THAT(broker().subscriptions().Get("orders"), is_damaged);
    EXPECT_THAT(OpenStreamOf(broker().subscriptions(), "orders"), is_damaged);
    EXPECT_THAT(ReadIds(Earliest()), ElementsAre("a", "b", "c"));
    EXPECT_THAT(broker().subscriptions().Delete("orders"), IsOk());
    CreateSubscription();
    EXPECT_EQ(Take()->size(), 3u);
    Close();
  }
}

TEST_F(DamageTest, ForgetsOfASubscriptionWhatTheLogHasLost) {
  Open();
  for (const char* id : {"a", "b", "c", "d", "e"}) ASSERT_THAT(Append(EventOf(id)), IsOk());
  CreateSubscription();
  auto taken = Take();
  ASSERT_THAT(taken, IsOk());
  const v1::Delivery lost = taken->at(4);
  for (const size_t i : {0, 1, 2}) Change(taken->at(i), {});
  GiveUp(taken->at(3));
  Close();
  Tamper([](Store& store) {
    for (const uint64_t number : {2, 3, 4, 5}) {
      ASSERT_TRUE(store.db().Delete({}, store.events(), BigEndian(number)).ok());
    }
  });
  Open();
  EXPECT_EQ(broker().subscriptions().Get("orders")->dead_letter_count(), 0);
  Close();  // what was cut is cut for good
  Open();
  for (const char* id : {"f", "g", "h", "i", "j"}) ASSERT_THAT(Append(EventOf(id)), IsOk());
  taken = Take();
  ASSERT_THAT(taken, IsOk());
  std::vector<std::string> ids;
  for (const auto& delivery : *taken) {
    ids.push_back(delivery.event().mms_mo().tracking_id());
    EXPECT_EQ(delivery.attempt(), 1);
  }
  EXPECT_THAT(ids, ElementsAre("f", "g", "h", "i", "j"));
  std::promise<v1::AckFailureReason> reason;
  broker().subscriptions().Change("orders", {lost.ack_id()}, {}, [&reason](auto failures) {
    reason.set_value(failures->at(0).reason);
  });
  EXPECT_EQ(reason.get_future().get(), v1::ACK_FAILURE_REASON_EXPIRED);
}

TEST_F(DamageTest, SaysThatALogHasLostItsId) {
  Open();
  Close();
  Tamper([](Store& store) { ASSERT_TRUE(store.db().Delete({}, store.meta(), "journal_id").ok()); });
  EXPECT_THAT(TryOpen(), StatusIs(absl::StatusCode::kDataLoss, HasSubstr("no journal id")));
}

// Where files were changed rather than records, RocksDB's checksums say so.
TEST_F(DamageTest, SaysThatFilesAreDamaged) {
  Open();
  ASSERT_THAT(Append(EventOf("a")), IsOk());
  Close();
  Open();  // which leaves the log's records in files of their own
  Close();
  int cut = 0;
  for (const auto& file : std::filesystem::directory_iterator(options().data_dir)) {
    if (file.path().extension() != ".sst") continue;
    std::filesystem::resize_file(file.path(), file.file_size() / 2);
    ++cut;
  }
  ASSERT_GT(cut, 0);
  EXPECT_THAT(TryOpen(), StatusIs(absl::StatusCode::kDataLoss, HasSubstr("is damaged")));
}

// There RocksDB 7.8 ends silently, or goes on behind it, where it looks at range deletions.
TEST_F(DamageTest, SaysThatAFileBetweenOthersIsDamaged) {
  std::string events, quarantined;
  for (const char* id : {"a", "b", "c"}) {
    Open();
    ASSERT_THAT(Append(EventOf(id)), IsOk());
    Keep("missing_field", id);
    Close();
    Tamper([&](Store& store) {
      const std::string path = LeaveInAFile(store, &Store::events);
      const std::string kept_path = LeaveInAFile(store, &Store::quarantine);
      if (*id == 'b') events = path, quarantined = kept_path;
    });
  }
  FlipFirstBit(events);
  const auto is_lost = StatusIs(absl::StatusCode::kDataLoss, HasSubstr("checksum"));
  EXPECT_THAT(TryOpen(), is_lost) << "the ids of its events would be missing";
  Tamper(
      [](Store& store) { Overwrite(store, &Store::ids, std::string(17, '\xff'), BigEndian(3)); });
  FlipFirstBit(quarantined);
  Open();
  EXPECT_THAT(Read(Earliest()), is_lost);
  EXPECT_THAT(this->quarantine().List("", 10, ""), is_lost);
}

TEST_F(DamageTest, SaysThatAFileOfASubscriptionIsDamaged) {
  constexpr SubscriptionId kId = 7;
  constexpr auto kDead = SubscriptionRecords::DeadLetters::kKept;
  for (const bool dead_letters : {false, true}) {
    TempDir directory;
    options().data_dir = directory / "data";
    std::string damaged;
    Tamper([&](Store& store) {
      const SubscriptionRecords records(&store);
      for (const uint64_t number : {1, 2, 3}) {
        rocksdb::WriteBatch batch;
        dead_letters ? records.Put(kDead, kId, number, "letter", &batch)
                     : records.PutBlock(kId, number, {number}, &batch);
        ASSERT_THAT(store.Write(&batch, "writing"), IsOk());
        const std::string path = LeaveInAFile(store, &Store::subscriptions);
        if (number == 2) damaged = path;
      }
    });
    FlipFirstBit(damaged);
    Tamper([&](Store& store) {
      const SubscriptionRecords records(&store);
      AckedSet acked;
      const auto status = dead_letters
                              ? records.Visit(kDead, kId, 0, [](auto, auto) { return true; })
                              : records.ReadBlocks(kId, &acked);
      EXPECT_THAT(status, StatusIs(absl::StatusCode::kDataLoss, HasSubstr("checksum")));
    });
  }
}

TEST_F(DamageTest, TellsReadersOfADamagedEventAndReadsOnBehindIt) {
  Open();
  std::vector<std::string> cursors;
  for (const char* id : {"a", "b", "c"}) {
    cursors.push_back(Append(EventOf(id))->cursor);
    clock().AdvanceSeconds(1);
  }
  DamageInTheLog(&Store::events, 2, "x");
  EXPECT_THAT(Read(Earliest()), StatusIs(absl::StatusCode::kDataLoss, HasSubstr("1 bytes")));
  EXPECT_THAT(broker().GetEvent(cursors[1]), StatusIs(absl::StatusCode::kDataLoss, testing::_));
  v1::StartPosition time;
  time.mutable_accept_time()->set_seconds(clock().NowMicros() / 1'000'000);
  EXPECT_THAT(Read(time), StatusIs(absl::StatusCode::kDataLoss, testing::_));
  EXPECT_THAT(ReadIds(After(cursors[1])), ElementsAre("c"));
}

TEST_F(DamageTest, TellsAReaderWithAFilterOfAnEventThatCannotBeParsed) {
  Open();
  for (const char* id : {"a", "b"}) ASSERT_THAT(Append(EventOf(id)), IsOk());
  std::string record;
  AppendRecord({.key = broker::MakePostbackKey("mms-mo", "b"), .log_bytes = 1000}, "", "\xff",
               &record);
  DamageInTheLog(&Store::events, 2, record);
  v1::Filter filter;
  filter.add_keywords("none");
  EXPECT_THAT(Read(Earliest(), filter), StatusIs(absl::StatusCode::kDataLoss, testing::_));
}

// As where retention removes the event while it is looked up.
TEST_F(DamageTest, TakesAMissingEventForOneThatRetentionHasRemoved) {
  Open();
  std::vector<std::string> cursors;
  for (const char* id : {"a", "b", "c"}) cursors.push_back(Append(EventOf(id))->cursor);
  CreateSubscription();
  DamageInTheLog(&Store::events, 2, "x");
  Close();
  Tamper(
      [](Store& store) { ASSERT_TRUE(store.db().Delete({}, store.events(), BigEndian(2)).ok()); });
  Open();
  EXPECT_THAT(broker().GetEvent(cursors[1]), HasReason("CURSOR_EXPIRED"));
  EXPECT_THAT(Read(Earliest()), HasReason("CURSOR_EXPIRED"));
  ASSERT_THAT(Take(), IsOk()) << "what comes before it";
  EXPECT_THAT(TakeMore(), HasReason("CURSOR_EXPIRED"));
  EXPECT_THAT(ReadIds(After(cursors[1])), ElementsAre("c"));
}

TEST_F(DamageTest, DoesNotTakeForNewWhatItCannotCompare) {
  Open();
  for (const char* id : {"a", "b"}) ASSERT_THAT(Append(EventOf(id)), IsOk());
  const PostbackKey key = broker::MakePostbackKey("mms-mo", "a");
  std::string id;
  AppendBigEndian(key.high, &id);
  AppendBigEndian(key.low, &id);
  for (const std::string& entry : {BigEndian(1), std::string("short")}) {
    DamageInTheLog(&Store::events, 1, "x");
    Close();
    Tamper([&](Store& store) { Overwrite(store, &Store::ids, id, entry); });
    Open();
    EXPECT_THAT(Append(EventOf("a")), HasReason("not_durable"));
    EXPECT_THAT(broker().Ready(), IsOk()) << "the others are not concerned";
  }
  EXPECT_EQ(Append(EventOf("new"))->outcome, broker::Receipt::Outcome::kAccepted);
}

TEST_F(DamageTest, SaysThatARawBodyCannotBeRead) {
  Open();
  const std::string cursor = Append(EventOf("a"))->cursor;
  DamageInTheLog(&Store::raw, 1, "x");
  EXPECT_THAT(broker().GetRawPostback(cursor), StatusIs(absl::StatusCode::kDataLoss, testing::_));
  EXPECT_THAT(ReadIds(Earliest()), ElementsAre("a"));
}

TEST_F(DamageTest, KeepsWhatRetentionCannotJudge) {
  options().retention_age_micros = 3600ll * 1'000'000;
  options().quarantine_age_micros = 3600ll * 1'000'000;
  Open();
  for (const char* id : {"a", "b"}) ASSERT_THAT(Append(EventOf(id)), IsOk());
  Keep("missing_field", "kept");
  DamageInTheLog(&Store::events, 1, "x");
  clock().AdvanceSeconds(10'000);
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(30);
  while (StatsOf(Shelf::kKept).count > 0 && std::chrono::steady_clock::now() < deadline)
    std::this_thread::yield();
  EXPECT_EQ(StatsOf(Shelf::kKept).count, 0u) << "the quarantine's age holds all the same";
  EXPECT_EQ(broker().Stats().events_retained, 2u);
  EXPECT_THAT(broker().Ready(), IsOk());
}

TEST_F(DamageTest, RemovesOldEventsWhereTheQuarantineIsDamaged) {
  options().retention_age_micros = 3600ll * 1'000'000;
  options().quarantine_age_micros = 3600ll * 1'000'000;
  Open();
  ASSERT_THAT(Append(EventOf("a")), IsOk());
  Keep("missing_field", "kept");
  Close();
  Tamper([](Store& store) { Overwrite(store, &Store::quarantine, "", "\xff"); });
  Open();
  clock().AdvanceSeconds(10'000);
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(30);
  while (broker().Stats().events_retained > 0 && std::chrono::steady_clock::now() < deadline)
    std::this_thread::yield();
  EXPECT_EQ(broker().Stats().events_retained, 0u);
  EXPECT_EQ(StatsOf(Shelf::kKept).count, 1u);
}

TEST_F(DamageTest, SaysThatAQuarantinedPostbackCannotBeRead) {
  options().rejected_budget.count = 1;
  Open();
  const std::string id = Keep("bad_xml", "<a", 400);
  Close();
  Tamper([](Store& store) { Overwrite(store, &Store::quarantine, "", "\xff"); });
  Open();
  const auto is_lost = StatusIs(absl::StatusCode::kDataLoss, HasSubstr("quarantined postback"));
  EXPECT_THAT(quarantine().Get(id), is_lost);
  EXPECT_THAT(quarantine().List("", 10, ""), is_lost);
  EXPECT_THAT(Discard({id}), HasReason("not_durable"));
  EXPECT_THAT(Append(Rejected(400, "bad_xml", "<b")), HasReason("not_durable"))
      << "it cannot make room";
  EXPECT_THAT(Append(EventOf("a")), IsOk());
}

TEST_F(DamageTest, TellsASubscriptionOfADamagedEventAndCountsNoAttempt) {
  Open();
  for (const char* id : {"a", "b"}) ASSERT_THAT(Append(EventOf(id)), IsOk());
  CreateSubscription();
  std::string record;
  Close();
  Tamper([&](Store& store) {
    ASSERT_TRUE(store.db().Get({}, store.events(), BigEndian(2), &record).ok());
  });
  Open();
  ASSERT_THAT(Append(EventOf("c")), IsOk());
  DamageInTheLog(&Store::events, 2, "x");
  auto taken = Take();
  ASSERT_THAT(taken, IsOk()) << "what comes before it is delivered";
  ASSERT_EQ(taken->size(), 1u);
  EXPECT_THAT(TakeMore(), StatusIs(absl::StatusCode::kDataLoss, testing::_));
  DamageInTheLog(&Store::events, 2, record);
  taken = Take();
  ASSERT_THAT(taken, IsOk());
  ASSERT_EQ(taken->size(), 3u);
  EXPECT_EQ(taken->at(0).attempt(), 2);
  EXPECT_EQ(taken->at(1).attempt(), 1);
}

TEST_F(DamageTest, KeepsToReplayWhatElseIsThere) {
  Open();
  for (const char* id : {"a", "b"}) ASSERT_THAT(Append(EventOf(id)), IsOk());
  CreateSubscription();
  const auto taken = Take();
  ASSERT_THAT(taken, IsOk());
  for (const auto& delivery : *taken) GiveUp(delivery);
  Close();
  Tamper([](Store& store) {
    const auto headers = SubscriptionRecords(&store).ReadAll();
    ASSERT_THAT(headers, IsOk());
    Overwrite(store, &Store::subscriptions,
              "D" + BigEndian(headers->at(0).header->id) + BigEndian(1), "\xff");
  });
  Open();
  EXPECT_THAT(broker().subscriptions().ListDeadLetters("orders", 10, ""),
              StatusIs(absl::StatusCode::kDataLoss, HasSubstr("orders")));
  EXPECT_EQ(*broker().subscriptions().ReplayDeadLetters("orders", {}), 1);
  EXPECT_EQ(broker().subscriptions().Get("orders")->dead_letter_count(), 1) << "nothing is dropped";
}

}  // namespace
}  // namespace mmsmo::embedded
