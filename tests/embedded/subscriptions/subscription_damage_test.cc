// What a subscription makes of events and dead letters that can no longer be read while it has them
// leased.

#include <functional>
#include <future>
#include <memory>
#include <string>
#include <vector>

#include "gateway/base/log.h"
#include "gateway/broker/subscription_settings.h"
#include "gateway/embedded/store/big_endian.h"
#include "spdlog/sinks/ringbuffer_sink.h"
#include "tests/embedded/engine.h"

namespace mmsmo::embedded {
namespace {

using broker::AckChange;
using testing::HasSubstr;

// The engine's parts, so that a test has the store while they run.
class SubscriptionDamageTest : public testing::Test {
 protected:
  SubscriptionDamageTest() {
    options_.newest_bytes = 0;  // events are read from the store
    store_ = *Store::Open(dir_ / "data");
    audit_ = *AuditLog::Open(options_, store_.get(), clock_);
    journal_ = *Journal::Open(options_, store_.get(), audit_.get(), clock_, metrics_);
    positions_ = std::make_unique<Positions>(journal_.get());
    subscriptions_ = *EmbeddedSubscriptions::Open(options_, journal_.get(), store_.get(),
                                                  audit_.get(), positions_.get(), clock_);
    v1::Subscription wanted;
    wanted.set_name("orders");
    *wanted.mutable_start_position() = Engine::Earliest();
    wanted.mutable_ack_deadline()->set_seconds(600);
    EXPECT_THAT(subscriptions_->Create(*broker::CompleteSubscription(wanted)), IsOk());
    stream_ = std::move(Engine::OpenStreamOf(*subscriptions_, "orders")->feed);
  }
  ~SubscriptionDamageTest() override { stream_.reset(); }

  void Accept(const std::string& id) {
    std::promise<broker::Receipts> promise;
    std::vector<broker::Entry> one;
    one.push_back(EventOf(id));
    journal_->Append(std::move(one), [&](broker::Receipts receipts) -> broker::Then {
      promise.set_value(std::move(receipts));
      return nullptr;
    });
    for (const auto& receipt : promise.get_future().get()) ASSERT_THAT(receipt, IsOk());
  }
  absl::StatusOr<std::vector<v1::Delivery>> Take() {
    auto batch = Engine::TakeReady(*stream_);
    if (!batch.ok()) return batch.status();
    v1::DeliveryBatch parsed;
    EXPECT_TRUE(parsed.ParseFromString(batch->deliveries));
    return std::vector<v1::Delivery>(parsed.deliveries().begin(), parsed.deliveries().end());
  }
  void Change(const v1::Delivery& delivery, AckChange::Kind kind) {
    std::promise<absl::StatusOr<std::vector<broker::AckFailure>>> promise;
    subscriptions_->Change("orders", {delivery.ack_id()}, {.kind = kind, .reason = "no"},
                           [&](auto failures) { promise.set_value(std::move(failures)); });
    const auto failures = promise.get_future().get();
    ASSERT_THAT(failures, IsOk());
    reason_ = failures->empty() ? v1::ACK_FAILURE_REASON_UNSPECIFIED : failures->at(0).reason;
  }
  v1::Subscription Get() { return *subscriptions_->Get("orders"); }
  void Await(const std::function<bool()>& is_so) {
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(30);
    while (!is_so() && std::chrono::steady_clock::now() < deadline) std::this_thread::yield();
    EXPECT_TRUE(is_so());
  }

  std::string Record(uint64_t sequence) {
    std::string record;
    EXPECT_TRUE(store_->db().Get({}, store_->events(), BigEndian(sequence), &record).ok());
    return record;
  }
  void SetRecord(uint64_t sequence, const std::string& record) {
    ASSERT_TRUE(store_->db().Put({}, store_->events(), BigEndian(sequence), record).ok());
  }

  TempDir dir_;
  FakeClock clock_;
  Metrics metrics_;
  Options options_;
  std::unique_ptr<Store> store_;
  std::unique_ptr<AuditLog> audit_;
  std::unique_ptr<Journal> journal_;
  std::unique_ptr<Positions> positions_;
  std::unique_ptr<EmbeddedSubscriptions> subscriptions_;
  std::unique_ptr<broker::Feed> stream_;
  v1::AckFailureReason reason_ = v1::ACK_FAILURE_REASON_UNSPECIFIED;  // of the last change
};

TEST_F(SubscriptionDamageTest, WritesADeadLetterOnceItsEventCanBeRead) {
  Accept("a");
  const auto taken = Take();
  ASSERT_THAT(taken, IsOk());
  const std::string record = Record(1);
  SetRecord(1, "x");
  Change(taken->at(0), AckChange::Kind::kDeadLetter);
  EXPECT_EQ(reason_, v1::ACK_FAILURE_REASON_TRANSIENT);
  EXPECT_EQ(Get().dead_letter_count(), 0);
  EXPECT_EQ(Get().backlog_count(), 1) << "it is not done with";
  // A record whose header can be read, but not its event.
  SetRecord(1, record.substr(0, record.size() / 2));
  Accept("b");
  const auto next = Take();
  ASSERT_THAT(next, IsOk());
  Change(next->at(0), AckChange::Kind::kAcknowledge);
  EXPECT_EQ(Get().dead_letter_count(), 0);
  SetRecord(1, record);
  clock_.AdvanceSeconds(1);
  const auto dead_letters = [&] {
    const auto page = subscriptions_->ListDeadLetters("orders", 10, "");
    EXPECT_THAT(page, IsOk());
    return page->dead_letters();
  };
  Await([&] { return dead_letters().size() == 1; });
  EXPECT_EQ(dead_letters()[0].event().mms_mo().tracking_id(), "a");
  EXPECT_EQ(dead_letters()[0].reason(), "no");
  EXPECT_EQ(Get().backlog_count(), 0);
}

TEST_F(SubscriptionDamageTest, SaysSoOnceAMinute) {
  for (const char* id : {"a", "b", "c", "d", "e"}) Accept(id);
  const auto taken = Take();
  ASSERT_THAT(taken, IsOk());
  SetRecord(1, "x");
  const auto log = std::make_shared<spdlog::sinks::ringbuffer_sink_mt>(100);
  Log()->sinks().push_back(log);
  Change(taken->at(0), AckChange::Kind::kDeadLetter);
  // Each is saved with another try.
  for (const size_t i : {1, 2, 3}) Change(taken->at(i), AckChange::Kind::kAcknowledge);
  EXPECT_EQ(log->last_raw().size(), 1u);
  clock_.AdvanceSeconds(61);
  Change(taken->at(4), AckChange::Kind::kAcknowledge);
  EXPECT_EQ(log->last_raw().size(), 2u);
  stream_.reset();
  subscriptions_.reset();
  Log()->sinks().pop_back();
}

TEST_F(SubscriptionDamageTest, CountsAsLostWhatCanNoLongerBecomeADeadLetter) {
  Accept("a");
  const auto taken = Take();
  ASSERT_THAT(taken, IsOk());
  ASSERT_TRUE(store_->db().Delete({}, store_->events(), BigEndian(1)).ok());
  Change(taken->at(0), AckChange::Kind::kDeadLetter);
  EXPECT_EQ(reason_, v1::ACK_FAILURE_REASON_EXPIRED);
  EXPECT_EQ(Get().dead_letter_count(), 0);
  EXPECT_EQ(Get().expired_count(), 1);
  EXPECT_EQ(Get().backlog_count(), 0);
}

TEST_F(SubscriptionDamageTest, RedeliversOnceTheEventCanBeReadAgain) {
  Accept("a");
  const auto taken = Take();
  ASSERT_THAT(taken, IsOk());
  Change(taken->at(0), AckChange::Kind::kRedeliver);
  const std::string record = Record(1);
  SetRecord(1, "x");
  for (int i = 0; i < 3; ++i)
    EXPECT_THAT(Take(), StatusIs(absl::StatusCode::kDataLoss, HasSubstr("1 bytes")));
  ASSERT_TRUE(store_->db().Delete({}, store_->events(), BigEndian(1)).ok());
  EXPECT_THAT(Take(), StatusIs(absl::StatusCode::kNotFound, testing::_));
  SetRecord(1, record);
  const auto again = Take();
  ASSERT_THAT(again, IsOk());
  ASSERT_EQ(again->size(), 1u);
  EXPECT_EQ(again->at(0).attempt(), 2) << "what was not delivered is no attempt";
}

TEST_F(SubscriptionDamageTest, SaysThatAReplayCannotBeRead) {
  Accept("a");
  const auto taken = Take();
  ASSERT_THAT(taken, IsOk());
  Change(taken->at(0), AckChange::Kind::kDeadLetter);
  ASSERT_EQ(*subscriptions_->ReplayDeadLetters("orders", {}), 1);
  const SubscriptionRecords records(store_.get());
  const auto headers = records.ReadAll();
  ASSERT_THAT(headers, IsOk());
  rocksdb::WriteBatch batch;
  records.Put(SubscriptionRecords::DeadLetters::kReplayed, headers->at(0).header->id, 1, "\xff",
              &batch);
  ASSERT_TRUE(store_->db().Write({}, &batch).ok());
  EXPECT_THAT(Take(), StatusIs(absl::StatusCode::kDataLoss, HasSubstr("orders")));
  EXPECT_EQ(Get().backlog_count(), 1);
}

}  // namespace
}  // namespace mmsmo::embedded
