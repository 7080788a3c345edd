// Which acknowledgements count.

#include <string>
#include <vector>

#include "tests/broker/contract/contract.h"

namespace mmsmo::broker {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

TEST_P(SubscriptionContract, TakesAnAcknowledgementFromBeforeAReopening) {
  AcceptAll({"a", "b"});
  ASSERT_THAT(Create(), IsOk());
  const Deliveries taken = Take();
  Reopen();
  Ack({taken[1]});
  EXPECT_THAT(TakeIds(), ElementsAre("a:2"));
  if (!beyond().exact_expiry) return;
  EXPECT_THAT(FailuresOf({taken[0].ack_id()}), ElementsAre(v1::ACK_FAILURE_REASON_EXPIRED));
}

TEST_P(SubscriptionContract, RefusesForgedAndForeignAckIds) {
  AcceptAll({"a"});
  ASSERT_THAT(Create(), IsOk());
  ASSERT_THAT(Create(Wanted("others")), IsOk());
  const Deliveries taken = Take();
  auto foreign = OpenStreamOf(subscriptions(), "others");
  v1::DeliveryBatch others;
  ASSERT_TRUE(others.ParseFromString(TakeReady(*foreign->feed)->deliveries));
  std::string forged = taken[0].ack_id();
  forged[10] = forged[10] == 'A' ? 'B' : 'A';
  EXPECT_THAT(FailuresOf({forged, "", "x", std::string(1 << 20, 'A'), taken[0].ack_id() + "A",
                          others.deliveries(0).ack_id()}),
              ElementsAre(v1::ACK_FAILURE_REASON_INVALID, v1::ACK_FAILURE_REASON_INVALID,
                          v1::ACK_FAILURE_REASON_INVALID, v1::ACK_FAILURE_REASON_INVALID,
                          v1::ACK_FAILURE_REASON_INVALID, v1::ACK_FAILURE_REASON_INVALID));
  Ack(taken);
  Ack(taken);  // again is as good
}

TEST_P(SubscriptionContract, AnswersAsBeforeWhatIsSaidAgain) {
  AcceptAll({"a", "b", "c"});
  ASSERT_THAT(Create(), IsOk());
  const Deliveries taken = Take();
  const AckChange give_up{.kind = AckChange::Kind::kDeadLetter, .reason = "no"};
  const AckChange later{.kind = AckChange::Kind::kRedeliver, .micros = kSecond};
  for (int i = 0; i < 2; ++i) {
    EXPECT_THAT(FailuresOf({taken[0].ack_id()}, {}), IsEmpty());
    EXPECT_THAT(FailuresOf({taken[1].ack_id()}, give_up), IsEmpty());
    EXPECT_THAT(FailuresOf({taken[2].ack_id()}, later), IsEmpty());
  }
}

TEST_P(SubscriptionContract, NoAcknowledgementFromBeforeASeekMarksDoneWhatThatBroughtBack) {
  AcceptAll({"a", "b"});
  ASSERT_THAT(Create(), IsOk());
  const Deliveries taken = Take();
  Ack(taken);
  ASSERT_THAT(subscriptions().Seek("orders", After(taken[0].event().cursor())), IsOk());
  const auto failures = FailuresOf({taken[0].ack_id(), taken[1].ack_id()});
  if (beyond().exact_expiry) {
    EXPECT_THAT(failures, ElementsAre(v1::ACK_FAILURE_REASON_EXPIRED)) << "b came back";
  }
  EXPECT_THAT(TakeIds(), ElementsAre("b:1"));
}

}  // namespace
}  // namespace mmsmo::broker
