// What the streams of a subscription share, and what one takes over from another.

#include <future>
#include <string>
#include <vector>

#include "tests/broker/contract/contract.h"

namespace mmsmo::broker {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using testing::UnorderedElementsAre;

TEST_P(SubscriptionContract, GivesEachEventToOneStreamAndToTheOtherAfterThatOnesEnd) {
  ASSERT_THAT(Create(), IsOk());
  Stream(0);
  Stream(1);
  AcceptAll({"a", "b", "c", "d"});
  std::vector<std::string> ids = TakeIds(0);
  ASSERT_FALSE(ids.empty());
  const Deliveries others = Take(1);
  for (const std::string& id : Ids(others)) ids.push_back(id);
  for (Deliveries more = Take(0); !more.empty(); more = Take(0)) {
    for (const std::string& id : Ids(more)) ids.push_back(id);
  }
  EXPECT_THAT(ids, UnorderedElementsAre("a:1", "b:1", "c:1", "d:1"));
  EXPECT_EQ(Get().stream_count(), 2);
  Ack(others);
  EndStream(0);
  size_t again = 0;
  for (Deliveries taken = Take(1); !taken.empty(); taken = Take(1)) {
    for (const auto& delivery : taken) EXPECT_EQ(delivery.attempt(), 2);
    again += taken.size();
    Ack(taken);
  }
  EXPECT_EQ(again, 4 - others.size());
  EXPECT_EQ(Get().stream_count(), 1);
  EXPECT_EQ(Get().dead_letter_count(), 0);
}

TEST_P(SubscriptionContract, WakesWhoWaitsAndHasRoom) {
  ASSERT_THAT(Create(), IsOk());
  for (const char* id : {"a", "b"}) {
    std::promise<void> woken;
    Stream().Wait([&] { woken.set_value(); });
    AcceptAll({id});
    woken.get_future().wait();
    Ack(Take());
  }
}

TEST_P(SubscriptionContract, AStreamOfNoSubscriptionIsNotFound) {
  EXPECT_THAT(OpenStreamOf(subscriptions(), "nobody"),
              StatusIs(absl::StatusCode::kNotFound, testing::_));
}

TEST_P(SubscriptionContract, ResumesAStream) {
  AcceptAll({"a", "b"});
  ASSERT_THAT(Create(), IsOk());
  Stream(0, {.stream_id = "first"});
  const Deliveries taken = Take(0);
  CutStream(0);
  EXPECT_TRUE(
      ResumeAs(1, {.stream_id = "second", .resume_stream_id = "first", .received_frames = 0}));
  const Deliveries again = Take(1);
  ASSERT_THAT(Ids(again), ElementsAre("a:1", "b:1")) << "its frame was cut off";
  EXPECT_EQ(again[0].ack_id(), taken[0].ack_id());
  Ack({taken[0]});
  EXPECT_EQ(Stream(1).Outstanding(), 1);
  // Nothing was cut off this time.
  CutStream(1);
  EXPECT_TRUE(ResumeAs(2, {.resume_stream_id = "second", .received_frames = 1}));
  EXPECT_THAT(TakeIds(2), IsEmpty());
  Ack({again[1]});
  Reopen();
  ExpectBacklog(0);
}

TEST_P(SubscriptionContract, ResumesOnceMoreWhatItsClientDidNotLearnToBeResumed) {
  AcceptAll({"a"});
  ASSERT_THAT(Create(), IsOk());
  Stream(0, {.stream_id = "first"});
  const Deliveries taken = Take(0);
  CutStream(0);
  const StreamWish again{.resume_stream_id = "first", .received_frames = 0};
  StreamWish lost = again;
  lost.stream_id = "lost";
  Stream(1, lost);
  ASSERT_THAT(TakeIds(1), ElementsAre("a:1"));
  CutStream(1);  // and its client saw nothing of it
  EXPECT_TRUE(ResumeAs(2, again));
  const Deliveries resent = Take(2);
  ASSERT_THAT(Ids(resent), ElementsAre("a:1"));
  EXPECT_EQ(resent[0].ack_id(), taken[0].ack_id());
}

TEST_P(SubscriptionContract, EndsAStreamThatIsResumedWhileItLives) {
  AcceptAll({"a"});
  ASSERT_THAT(Create(), IsOk());
  std::promise<void> superseded;
  Stream(0, {.stream_id = "first", .superseded = [&] { superseded.set_value(); }});
  const Deliveries taken = Take(0);
  EXPECT_TRUE(ResumeAs(1, {.resume_stream_id = "first", .received_frames = 1}));
  superseded.get_future().wait();
  EXPECT_THAT(Stream(0).Take({}), StatusIs(absl::StatusCode::kAborted, testing::_));
  EXPECT_EQ(Stream(1).Outstanding(), 1);
  CutStream(0);
  Ack(taken);
  EXPECT_EQ(Stream(1).Outstanding(), 0);
}

TEST_P(SubscriptionContract, WhoeverLeavesGetsNothingMoreAndKeepsWhatHasArrived) {
  AcceptAll({"a", "b"});
  v1::Subscription wanted = Wanted();
  wanted.set_max_attempts(1);
  ASSERT_THAT(Create(wanted), IsOk());
  Stream(0, {.stream_id = "first"});
  const Deliveries arrived = Take(0, 1, 1);
  const Deliveries on_its_way = Take(0, 1, 2);
  ASSERT_THAT(Ids(on_its_way), ElementsAre("b:1"));
  for (int again = 0; again < 2; ++again) EXPECT_THAT(Leave("first", 1), IsOk());
  AcceptAll({"c"});
  EXPECT_THAT(TakeIds(0), IsEmpty());
  EXPECT_EQ(Stream(0).Outstanding(), 1);
  std::vector<std::string> others = TakeIds(1);  // while the one that leaves is still there
  for (std::vector<std::string> more = TakeIds(1); !more.empty(); more = TakeIds(1)) {
    others.insert(others.end(), more.begin(), more.end());
  }
  EXPECT_THAT(others, ElementsAre("b:2", "c:1"));
  Ack(arrived);
  EXPECT_EQ(Stream(0).Outstanding(), 0);
}

TEST_P(SubscriptionContract, NothingFailsThatWasOnItsWayToWhoeverLeaves) {
  AcceptAll({"a"});
  v1::Subscription wanted = Wanted();
  wanted.set_max_attempts(1);
  ASSERT_THAT(Create(wanted), IsOk());
  Stream(0, {.stream_id = "first"});
  ASSERT_THAT(TakeIds(0), ElementsAre("a:1"));
  CutStream(0);
  EXPECT_THAT(Leave("first", 0), IsOk()) << "its stream may have been cut meanwhile";
  EXPECT_THAT(TakeIds(1), ElementsAre("a:2")) << "without waiting for it to be resumed";
  EXPECT_EQ(Get().dead_letter_count(), 0);
}

TEST_P(SubscriptionContract, LeavingNoStreamOfItChangesNothing) {
  AcceptAll({"a"});
  ASSERT_THAT(Create(), IsOk());
  Stream(0, {.stream_id = "first"});
  Take(0);
  EXPECT_THAT(Leave("another", 0), IsOk());
  EXPECT_EQ(Stream(0).Outstanding(), 1);
  std::promise<absl::Status> promise;
  subscriptions().Leave("nobody", "first", 0,
                        [&](const absl::Status& status) { promise.set_value(status); });
  EXPECT_THAT(promise.get_future().get(), StatusIs(absl::StatusCode::kNotFound, testing::_));
}

TEST_P(SubscriptionContract, ResumesNothingOfAnotherSubscriptionNorAfterAWhile) {
  AcceptAll({"a"});
  ASSERT_THAT(Create(), IsOk());
  ASSERT_THAT(Create(Wanted("others")), IsOk());
  Stream(0, {.stream_id = "first"});
  Take(0);
  EXPECT_FALSE(OpenStreamOf(subscriptions(), "others", {.resume_stream_id = "first"})->resumed);
  EndStream(0);
  TakeIds(1);
  EXPECT_FALSE(ResumeAs(2, {.resume_stream_id = "first"}));
}

}  // namespace
}  // namespace mmsmo::broker
