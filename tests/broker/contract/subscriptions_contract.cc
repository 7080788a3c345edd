// Making, changing and removing subscriptions.

#include <future>
#include <string>
#include <thread>
#include <vector>

#include "tests/broker/contract/contract.h"

namespace mmsmo::broker {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

TEST_P(SubscriptionContract, RemovesWhatNobodyUses) {
  v1::Subscription wanted = Wanted();
  wanted.mutable_expiration_ttl()->set_seconds(60);
  ASSERT_THAT(Create(wanted), IsOk());
  Stream();
  AdvanceSeconds(100);
  TakeIds();  // in use
  EndStream();
  AdvanceSeconds(100);
  Reopen();  // nobody could use it meanwhile
  AdvanceSeconds(59);
  EXPECT_THAT(subscriptions().Get("orders"), IsOk());
  AdvanceSeconds(2);
  Await([&] { return absl::IsNotFound(subscriptions().Get("orders").status()); });
}

TEST_P(SubscriptionContract, CreatesOnceAndNamesTheDifference) {
  ASSERT_THAT(Create(), IsOk());
  EXPECT_THAT(Create(), IsOk());
  v1::Subscription other = Wanted();
  other.set_max_attempts(7);
  EXPECT_THAT(Create(other), StatusIs(absl::StatusCode::kAlreadyExists, HasSubstr("max_attempts")));
  other = Wanted();
  other.mutable_start_position()->set_boundary(v1::BOUNDARY_LATEST);
  EXPECT_THAT(Create(other),
              StatusIs(absl::StatusCode::kAlreadyExists, HasSubstr("start_position")));
}

TEST_P(SubscriptionContract, SaysWhichEndpointsAFilterHas) {
  v1::Subscription wanted = Wanted();
  ASSERT_THAT(Create(wanted), IsOk());
  EXPECT_THAT(*subscriptions().EndpointsOf("orders"), IsEmpty());
  wanted.mutable_filter()->add_endpoints("sinch-us");
  ASSERT_THAT(subscriptions().Update(wanted, {}), IsOk());
  EXPECT_THAT(*subscriptions().EndpointsOf("orders"), ElementsAre("sinch-us"));
  EXPECT_THAT(subscriptions().EndpointsOf("missing"),
              StatusIs(absl::StatusCode::kNotFound, HasSubstr("missing")));
}

TEST_P(SubscriptionContract, ListsByPage) {
  for (const char* name : {"c", "a", "b"}) ASSERT_THAT(Create(Wanted(name)), IsOk());
  auto page = subscriptions().List(2, "");
  ASSERT_EQ(page.subscriptions_size(), 2);
  EXPECT_EQ(page.subscriptions(0).name(), "a");
  page = subscriptions().List(2, page.next_page_token());
  ASSERT_EQ(page.subscriptions_size(), 1);
  EXPECT_EQ(page.subscriptions(0).name(), "c");
  EXPECT_EQ(page.next_page_token(), "");
}

TEST_P(SubscriptionContract, PagesHaveALimitInBytes) {
  for (const char* name : {"a", "b", "c"}) {
    v1::Subscription wanted = Wanted(name);
    wanted.mutable_filter()->add_keywords(std::string(2 << 20, 'x'));
    ASSERT_THAT(Create(wanted), IsOk());
  }
  std::vector<std::string> names;
  std::string token;
  do {
    const auto page = subscriptions().List(10, token);
    ASSERT_EQ(page.subscriptions_size(), 1);
    names.push_back(page.subscriptions(0).name());
    token = page.next_page_token();
  } while (!token.empty());
  EXPECT_THAT(names, ElementsAre("a", "b", "c"));
}

TEST_P(SubscriptionContract, ForgetsEverythingOfADeletedOne) {
  AcceptAll({"a"});
  ASSERT_THAT(Create(), IsOk());
  const Deliveries taken = Take();
  ASSERT_THAT(subscriptions().Delete("orders"), IsOk());
  EXPECT_THAT(Stream().Take({}), StatusIs(absl::StatusCode::kNotFound, testing::_));
  EXPECT_THAT(Change({taken[0].ack_id()}, {}),
              StatusIs(absl::StatusCode::kNotFound, HasSubstr("orders")));
  Reopen();
  EXPECT_THAT(subscriptions().Get("orders"),
              StatusIs(absl::StatusCode::kNotFound, HasSubstr("orders")));
  ASSERT_THAT(Create(), IsOk());
  EXPECT_THAT(TakeIds(), ElementsAre("a:1")) << "a new one of that name knows nothing of it";
  EXPECT_THAT(FailuresOf({taken[0].ack_id()}), ElementsAre(v1::ACK_FAILURE_REASON_INVALID));
}

TEST_P(SubscriptionContract, UpdatesWhatIsInForce) {
  ASSERT_THAT(Create(), IsOk());
  v1::Subscription changed = Wanted();
  changed.set_max_attempts(1);
  ASSERT_THAT(subscriptions().Update(changed, {}), IsOk());
  Reopen();
  EXPECT_EQ(Get().max_attempts(), 1);
  AcceptAll({"a"});
  const Deliveries taken = Take();
  EXPECT_THAT(FailuresOf({taken[0].ack_id()}, {.kind = AckChange::Kind::kRedeliver}), IsEmpty());
  EXPECT_EQ(Get().dead_letter_count(), 1);
}

TEST_P(SubscriptionContract, SurvivesAnUpdateThatRacesADelete) {
  for (int i = 0; i < 20; ++i) {
    ASSERT_THAT(Create(), IsOk());
    v1::Subscription changed = Wanted();
    changed.set_max_attempts(1 + i);
    auto updating = std::async(std::launch::async,
                               [&] { return subscriptions().Update(changed, {}).status(); });
    auto seeking = std::async(std::launch::async,
                              [&] { return subscriptions().Seek("orders", Earliest()).status(); });
    ASSERT_THAT(subscriptions().Delete("orders"), IsOk());
    (void)updating.get();  // either may come first
    (void)seeking.get();
  }
  Reopen();
  EXPECT_EQ(subscriptions().List(10, "").subscriptions_size(), 0);
}

TEST_P(SubscriptionContract, TakesTheTimeToLiveFromItsSettingOn) {
  ASSERT_THAT(Create(), IsOk());
  AdvanceSeconds(1000);
  v1::Subscription changed = Wanted();
  changed.mutable_expiration_ttl()->set_seconds(60);
  ASSERT_THAT(subscriptions().Update(changed, {}), IsOk());
  AdvanceSeconds(59);
  EXPECT_THAT(subscriptions().Get("orders"), IsOk());
  AdvanceSeconds(2);
  Await([&] { return absl::IsNotFound(subscriptions().Get("orders").status()); });
}

}  // namespace
}  // namespace mmsmo::broker
