// Which calls tell the gateway what, and when; the clock is an argument.

#include "client/outbox.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "client/connection.h"
#include "google/rpc/error_details.pb.h"
#include "google/rpc/status.pb.h"

namespace mmsmo {
namespace {

using std::chrono::milliseconds;
using testing::ElementsAre;
using testing::Field;
using testing::IsEmpty;
using testing::SizeIs;

const Update kAck{.kind = Update::Kind::kAck};
const Outbox::Time t0{std::chrono::hours(1)};

class OutboxTest : public testing::Test {
 protected:
  void Acks(int count) {
    for (int i = 0; i < count; ++i) outbox_.Add(kAck, std::to_string(i), t0);
  }
  // The answer that names one of the ids, which had no effect.
  std::vector<FailedUpdate> Answer(UpdateCall call, const std::string& id,
                                   v1::AckFailureReason reason) {
    google::protobuf::RepeatedPtrField<v1::AckFailure> failures;
    failures.Add()->set_ack_id(id);
    failures[0].set_reason(reason);
    return outbox_.OnAnswer(std::move(call), absl::OkStatus(), failures, t0);
  }
  std::vector<FailedUpdate> Fail(UpdateCall call, const absl::Status& status) {
    return outbox_.OnAnswer(std::move(call), status, {}, t0);
  }

  Outbox outbox_{
      Backoff({.min = milliseconds(100), .max = milliseconds(1000)}, [] { return 0.5; })};
};

TEST_F(OutboxTest, WaitsAsLongAsTheGatewayAsks) {
  google::rpc::Status details;
  google::rpc::RetryInfo info;
  info.mutable_retry_delay()->set_seconds(3);
  details.add_details()->PackFrom(info);
  const absl::Status busy = ToAbsl(
      grpc::Status(grpc::StatusCode::UNAVAILABLE, "the disk is full", details.SerializeAsString()));
  EXPECT_EQ(RetryDelayOf(busy), milliseconds(3000));
  EXPECT_EQ(RetryDelayOf(absl::UnavailableError("gone")), milliseconds(0));
  outbox_.Add(kAck, "a", t0);
  Fail(*outbox_.Take(t0 + milliseconds(10)), busy);
  EXPECT_EQ(outbox_.due(), t0 + milliseconds(3000));
}

TEST_F(OutboxTest, GathersForTenMilliseconds) {
  EXPECT_EQ(outbox_.due(), Outbox::Time::max());
  EXPECT_TRUE(outbox_.Add(kAck, "a", t0));
  EXPECT_FALSE(outbox_.Add(kAck, "b", t0 + milliseconds(9)));
  EXPECT_EQ(outbox_.due(), t0 + milliseconds(10));
  EXPECT_FALSE(outbox_.Take(t0 + milliseconds(9)));
  EXPECT_THAT(outbox_.Take(t0 + milliseconds(10))->ack_ids, ElementsAre("a", "b"));
  EXPECT_TRUE(outbox_.empty());
}

TEST_F(OutboxTest, HasEnoughWithAHundred) {
  Acks(99);
  EXPECT_FALSE(outbox_.Take(t0));
  EXPECT_TRUE(outbox_.Add(kAck, "99", t0));
  EXPECT_THAT(outbox_.Take(t0)->ack_ids, SizeIs(100));
}

TEST_F(OutboxTest, PutsAThousandIntoACallAtMost) {
  Acks(1001);
  EXPECT_THAT(outbox_.Take(t0)->ack_ids, SizeIs(1000));
  EXPECT_THAT(outbox_.Take(t0)->ack_ids, ElementsAre("1000"));
}

TEST_F(OutboxTest, KeepsDifferentUpdatesApart) {
  const Update later{.kind = Update::Kind::kRedeliver, .duration = milliseconds(5)};
  const Update never{.kind = Update::Kind::kDeadLetter, .reason = "no such customer"};
  outbox_.Add(later, "a", t0);
  outbox_.Add(never, "b", t0 + milliseconds(1));
  outbox_.Add(later, "c", t0 + milliseconds(2));
  const auto first = outbox_.Take(t0 + milliseconds(11));
  EXPECT_EQ(first->update, later);
  EXPECT_THAT(first->ack_ids, ElementsAre("a", "c"));
  const auto second = outbox_.Take(t0 + milliseconds(11));
  EXPECT_EQ(second->update, never);
  EXPECT_THAT(second->ack_ids, ElementsAre("b"));
}

TEST_F(OutboxTest, HurriesAtTheEnd) {
  outbox_.Add(kAck, "a", t0);
  outbox_.Hurry(t0);
  EXPECT_THAT(outbox_.Take(t0)->ack_ids, ElementsAre("a"));
  outbox_.Add(kAck, "b", t0);
  EXPECT_THAT(outbox_.Take(t0)->ack_ids, ElementsAre("b"));
}

TEST_F(OutboxTest, TriesAgainWithGrowingWaits) {
  Acks(100);
  const absl::Status unavailable = absl::UnavailableError("gone");
  EXPECT_THAT(Fail(*outbox_.Take(t0), unavailable), IsEmpty());
  EXPECT_EQ(outbox_.due(), t0 + milliseconds(50));
  auto again = outbox_.Take(t0 + milliseconds(50));
  EXPECT_THAT(again->ack_ids, SizeIs(100));
  outbox_.OnAnswer(std::move(*again), unavailable, {}, t0 + milliseconds(60));
  EXPECT_EQ(outbox_.due(), t0 + milliseconds(160));
}

TEST_F(OutboxTest, TakesCallsThatFailTogetherForOneFailure) {
  Acks(100);
  auto first = *outbox_.Take(t0);
  Acks(100);
  auto second = *outbox_.Take(t0);
  Fail(std::move(first), absl::UnavailableError("gone"));
  Fail(std::move(second), absl::UnavailableError("gone"));
  EXPECT_EQ(outbox_.due(), t0 + milliseconds(50));
  EXPECT_THAT(outbox_.Take(t0 + milliseconds(50))->ack_ids, SizeIs(200));
}

TEST_F(OutboxTest, TriesOnlyThoseAgainThatMaySucceed) {
  Acks(100);
  EXPECT_THAT(Answer(*outbox_.Take(t0), "7", v1::ACK_FAILURE_REASON_TRANSIENT), IsEmpty());
  EXPECT_THAT(outbox_.Take(outbox_.due())->ack_ids, ElementsAre("7"));
}

TEST_F(OutboxTest, ReportsWhatCannotSucceed) {
  const struct {
    v1::AckFailureReason reason;
    absl::StatusCode code;
  } kCases[] = {
      {v1::ACK_FAILURE_REASON_EXPIRED, absl::StatusCode::kDeadlineExceeded},
      {v1::ACK_FAILURE_REASON_INVALID, absl::StatusCode::kInvalidArgument},
  };
  for (const auto& expected : kCases) {
    Acks(100);
    const auto failed = Answer(*outbox_.Take(t0), "7", expected.reason);
    ASSERT_THAT(failed, ElementsAre(Field(&FailedUpdate::ack_id, "7")));
    EXPECT_EQ(failed[0].why.code(), expected.code);
    EXPECT_TRUE(outbox_.empty());
  }
  Acks(100);
  EXPECT_THAT(Fail(*outbox_.Take(t0), absl::NotFoundError("no such subscription")), SizeIs(100));
  EXPECT_TRUE(outbox_.empty());
}

TEST_F(OutboxTest, SaysNothingOfRedeliveriesThatHappenAnyway) {
  const Update now{.kind = Update::Kind::kRedeliver};
  outbox_.Hurry(t0);
  outbox_.Add(now, "a", t0);
  EXPECT_THAT(Answer(*outbox_.Take(t0), "a", v1::ACK_FAILURE_REASON_EXPIRED), IsEmpty());
  outbox_.Add(now, "a", t0);
  EXPECT_THAT(Fail(*outbox_.Take(t0), absl::NotFoundError("")), IsEmpty());
  EXPECT_TRUE(outbox_.empty());
}

TEST_F(OutboxTest, LeavesExtensionsToTheNextRound) {
  const UpdateCall call{.update = {.kind = Update::Kind::kExtend}, .ack_ids = {"a"}};
  EXPECT_THAT(Fail(call, absl::UnavailableError("gone")), IsEmpty());
  EXPECT_THAT(Answer(call, "a", v1::ACK_FAILURE_REASON_TRANSIENT), IsEmpty());
  EXPECT_TRUE(outbox_.empty());
}

}  // namespace
}  // namespace mmsmo
