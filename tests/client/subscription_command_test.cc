// The commands for named subscriptions, against a gateway that remembers what it was asked.

#include <gmock/gmock.h>
#include <google/protobuf/util/time_util.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "client/command/command.h"
#include "client/command/print.h"
#include "mmsmo/v1/subscription_service.grpc.pb.h"
#include "tests/client/scripted_gateway.h"

namespace mmsmo::command {
namespace {

using google::protobuf::util::TimeUtil;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;

class Subscriptions : public v1::SubscriptionService::Service {
 public:
  v1::CreateSubscriptionRequest created;
  v1::UpdateSubscriptionRequest updated;
  v1::SeekSubscriptionRequest sought;
  std::vector<std::string> names = {"billing"};
  int dead_letters = 0;
  std::vector<v1::ReplayDeadLettersRequest> replayed;

  static v1::Subscription Named(const std::string& name) {
    v1::Subscription subscription;
    subscription.set_name(name);
    subscription.set_backlog_count(12);
    subscription.mutable_ack_deadline()->set_seconds(30);
    return subscription;
  }

  grpc::Status CreateSubscription(grpc::ServerContext*,
                                  const v1::CreateSubscriptionRequest* request,
                                  v1::CreateSubscriptionResponse* response) override {
    created = *request;
    *response->mutable_subscription() = request->subscription();
    return grpc::Status::OK;
  }
  grpc::Status GetSubscription(grpc::ServerContext*, const v1::GetSubscriptionRequest* request,
                               v1::GetSubscriptionResponse* response) override {
    if (std::find(names.begin(), names.end(), request->name()) == names.end()) {
      return {grpc::StatusCode::NOT_FOUND, "no such subscription"};
    }
    *response->mutable_subscription() = Named(request->name());
    return grpc::Status::OK;
  }
  grpc::Status ListSubscriptions(grpc::ServerContext*, const v1::ListSubscriptionsRequest* request,
                                 v1::ListSubscriptionsResponse* response) override {
    const size_t at = request->page_token().empty() ? 0 : std::stoul(request->page_token());
    *response->add_subscriptions() = Named(names.at(at));
    if (at + 1 < names.size()) response->set_next_page_token(std::to_string(at + 1));
    return grpc::Status::OK;
  }
  grpc::Status UpdateSubscription(grpc::ServerContext*,
                                  const v1::UpdateSubscriptionRequest* request,
                                  v1::UpdateSubscriptionResponse*) override {
    updated = *request;
    return grpc::Status::OK;
  }
  grpc::Status SeekSubscription(grpc::ServerContext*, const v1::SeekSubscriptionRequest* request,
                                v1::SeekSubscriptionResponse*) override {
    sought = *request;
    return grpc::Status::OK;
  }
  grpc::Status ListDeadLetters(grpc::ServerContext*, const v1::ListDeadLettersRequest* request,
                               v1::ListDeadLettersResponse* response) override {
    const int begin = request->page_token().empty() ? 0 : std::stoi(request->page_token());
    const int end = std::min(dead_letters, begin + request->page_size());
    for (int i = begin; i < end; ++i) {
      v1::DeadLetter& dead_letter = *response->add_dead_letters();
      dead_letter.mutable_event()->set_cursor("c" + std::to_string(i));
      dead_letter.set_reason("a\tb");
      dead_letter.set_attempts(5);
    }
    if (end < dead_letters) response->set_next_page_token(std::to_string(end));
    return grpc::Status::OK;
  }
  grpc::Status ReplayDeadLetters(grpc::ServerContext*, const v1::ReplayDeadLettersRequest* request,
                                 v1::ReplayDeadLettersResponse* response) override {
    replayed.push_back(*request);
    response->set_replayed_count(request->cursors_size());
    return grpc::Status::OK;
  }
};

class SubscriptionCommandTest : public testing::Test {
 protected:
  // What `mmsmo` would print and return.
  int Run(const std::string& line, std::vector<Script> streams = {}) {
    ScriptedGateway gateway(std::move(streams), 0, {}, &subscriptions_);
    Context context{.grpc = gateway.target()};
    CLI::App app;
    AddSubscription(&app, &context);
    AddSubscribe(&app, &context);
    AddDeadLetters(&app, &context);
    app.parse(line);
    testing::internal::CaptureStdout();
    testing::internal::CaptureStderr();
    const int code = context.run();
    out_ = testing::internal::GetCapturedStdout();
    err_ = testing::internal::GetCapturedStderr();
    acknowledged_ = AckIds(gateway);
    modified_ = Modifications(gateway);
    return code;
  }

  Subscriptions subscriptions_;
  std::string out_, err_;
  std::vector<std::string> acknowledged_, modified_;
};

TEST_F(SubscriptionCommandTest, Creates) {
  EXPECT_EQ(Run("subscription create billing --from earliest --ack-deadline 1m --json"), kOk);
  EXPECT_EQ(subscriptions_.created.subscription().name(), "billing");
  EXPECT_EQ(subscriptions_.created.subscription().start_position().boundary(),
            v1::BOUNDARY_EARLIEST);
  EXPECT_EQ(subscriptions_.created.subscription().ack_deadline().seconds(), 60);
  EXPECT_EQ(out_, JsonLine(subscriptions_.created.subscription()));
}

TEST_F(SubscriptionCommandTest, SaysWhatAPositionIs) {
  EXPECT_EQ(Run("subscription create billing --from now!"), kUsage);
  EXPECT_THAT(err_, AllOf(HasSubstr("--from: \"now!\""), HasSubstr("earliest, latest, a cursor")));
}

TEST_F(SubscriptionCommandTest, PrintsOneForPeople) {
  EXPECT_EQ(Run("subscription get billing"), kOk);
  EXPECT_THAT(out_, AllOf(HasSubstr("billing\n"), HasSubstr("  ack deadline      30s\n"),
                          HasSubstr("  backlog           12\n")));
  EXPECT_EQ(Run("subscription get other"), kFailed);
  EXPECT_EQ(err_, "no such subscription\n");
}

TEST_F(SubscriptionCommandTest, ListsAllPages) {
  subscriptions_.names = {"billing", "archive", "x"};
  EXPECT_EQ(Run("subscription list"), kOk);
  EXPECT_EQ(out_,
            "NAME     BACKLOG  OLDEST UNACKED  DEAD LETTERS  STREAMS\n"
            "billing  12       -               0             0\n"
            "archive  12       -               0             0\n"
            "x        12       -               0             0\n");
  EXPECT_EQ(Run("subscription list --json"), kOk);
  EXPECT_EQ(std::count(out_.begin(), out_.end(), '\n'), 3);
}

TEST_F(SubscriptionCommandTest, UpdatesWhatIsGiven) {
  EXPECT_EQ(Run("subscription update billing --max-attempts 5"), kOk);
  EXPECT_THAT(subscriptions_.updated.update_mask().paths(), ElementsAre("max_attempts"));
  EXPECT_EQ(subscriptions_.updated.subscription().name(), "billing");
  EXPECT_EQ(subscriptions_.updated.subscription().max_attempts(), 5);
  EXPECT_EQ(Run("subscription update billing"), kUsage);
  EXPECT_THAT(err_, HasSubstr("nothing to change"));
}

TEST_F(SubscriptionCommandTest, Seeks) {
  EXPECT_EQ(Run("subscription seek billing --to 2026-04-24T18:34:00Z"), kOk);
  EXPECT_EQ(TimeUtil::ToString(subscriptions_.sought.target().accept_time()),
            "2026-04-24T18:34:00Z");
}

TEST_F(SubscriptionCommandTest, ListsDeadLetters) {
  subscriptions_.dead_letters = 1001;
  EXPECT_EQ(Run("dead-letters list billing"), kOk);
  EXPECT_EQ(std::count(out_.begin(), out_.end(), '\n'), 1002);
  EXPECT_THAT(out_, HasSubstr("TIME  ATTEMPTS  CURSOR  TRACKING ID  REASON\n"
                              "-     5         c0      -            a b\n"));
}

TEST_F(SubscriptionCommandTest, ReplaysDeadLettersPageByPage) {
  subscriptions_.dead_letters = 2001;
  EXPECT_EQ(Run("dead-letters replay billing --all"), kOk);
  EXPECT_EQ(out_, "2001 of 2001 replayed\n");
  ASSERT_THAT(subscriptions_.replayed, SizeIs(3));
  EXPECT_THAT(subscriptions_.replayed[0].cursors(), SizeIs(1000));
  EXPECT_THAT(subscriptions_.replayed[2].cursors(), ElementsAre("c2000"));
}

TEST_F(SubscriptionCommandTest, ReplaysNoDeadLetterThatWasNotNamed) {
  EXPECT_EQ(Run("dead-letters replay billing c1 c2"), kOk);
  ASSERT_THAT(subscriptions_.replayed, SizeIs(1));
  EXPECT_THAT(subscriptions_.replayed[0].cursors(), ElementsAre("c1", "c2"));
  EXPECT_EQ(Run("dead-letters replay billing"), kUsage);
  EXPECT_EQ(Run("dead-letters replay billing c1 --all"), kUsage);
  // To the gateway, no cursors would be all of them.
  EXPECT_EQ(Run("dead-letters replay billing --all"), kOk);
  EXPECT_THAT(subscriptions_.replayed, SizeIs(1));
}

TEST_F(SubscriptionCommandTest, SubscribePrintsAndAcknowledges) {
  EXPECT_EQ(Run("subscribe billing --json --count 2",
                {WritesAndStaysOpen({Started("c0"), Batch({"a", "b", "c"}, 1)})}),
            kOk);
  EXPECT_EQ(out_, "{\"cursor\":\"a\"}\n{\"cursor\":\"b\"}\n");
  EXPECT_THAT(acknowledged_, ElementsAre("a", "b"));
  EXPECT_THAT(modified_, ElementsAre("c release"));
}

TEST_F(SubscriptionCommandTest, SubscribeAcknowledgesWhatItsCommandAccepts) {
  EXPECT_EQ(Run("subscribe billing --count 2 --exec 'grep -q good'",
                {WritesAndStaysOpen({Started("c0"), Batch({"good", "bad"}, 1)})}),
            kOk);
  EXPECT_THAT(out_, IsEmpty());
  EXPECT_THAT(err_, HasSubstr("bad: exit code 1, attempt 1"));
  EXPECT_THAT(acknowledged_, ElementsAre("good"));
  EXPECT_THAT(modified_, ElementsAre("bad retry"));
}

}  // namespace
}  // namespace mmsmo::command
