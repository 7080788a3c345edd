// The subscriber on a named subscription, against a gateway that does what the test says.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <future>
#include <mutex>
#include <set>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "client/subscriber.h"
#include "google/protobuf/util/time_util.h"
#include "mmsmo/v1/subscription_service.grpc.pb.h"
#include "tests/client/scripted_gateway.h"

namespace mmsmo {
namespace {

using google::protobuf::util::TimeUtil;
using std::chrono::milliseconds;
using testing::ElementsAre;
using testing::IsEmpty;
using testing::SizeIs;
using testing::UnorderedElementsAre;

constexpr int kMinute = 60'000;

v1::SubscribeResponse Begun(int ack_deadline_millis = kMinute) {
  return Started("c0", kMinute, ack_deadline_millis);
}

std::vector<std::string> AckIds(const ScriptedGateway& gateway) {
  std::vector<std::string> ids;
  for (const auto& request : gateway.acknowledged()) {
    ids.insert(ids.end(), request.ack_ids().begin(), request.ack_ids().end());
  }
  return ids;
}

// "a b after 5" and the like, but for extensions.
std::vector<std::string> Modifications(const ScriptedGateway& gateway) {
  std::vector<std::string> all;
  for (const auto& request : gateway.modified()) {
    if (request.has_extend_by()) continue;
    std::string text;
    for (const std::string& id : request.ack_ids()) text += id + " ";
    all.push_back(
        request.has_redeliver_after()
            ? text + "after " +
                  std::to_string(TimeUtil::DurationToMilliseconds(request.redeliver_after()))
            : text + "dead: " + request.dead_letter_reason());
  }
  return all;
}

// Runs until the handler has had `last`.
absl::Status RunUntil(const std::string& last, SubscriberOptions options,
                      const Subscriber::DeliveryHandler& handler) {
  Subscriber subscriber(std::move(options));
  return subscriber.Run("billing", [&](const v1::Delivery& delivery) {
    if (delivery.event().cursor() == last) subscriber.Stop();
    return handler(delivery);
  });
}

TEST(NamedSubscriber, AsksForItsSubscription) {
  v1::SubscribeRequest asked;
  ScriptedGateway gateway(
      {[&](grpc::ServerContext* context, const v1::SubscribeRequest& request, Writer* writer) {
        asked = request;
        return WritesAndStaysOpen({Begun(), Batch({"a"}, 1)})(context, request, writer);
      }});
  SubscriberOptions options = Options(gateway.target());
  options.max_outstanding_messages = 7;
  options.max_outstanding_bytes = 1 << 20;
  options.client_id = "test";
  EXPECT_TRUE(RunUntil("a", options, [](const auto&) { return Ack(); }).ok());
  EXPECT_EQ(asked.subscription(), "billing");
  EXPECT_EQ(asked.max_outstanding_messages(), 7);
  EXPECT_EQ(asked.max_outstanding_bytes(), 1 << 20);
  EXPECT_EQ(asked.client_id(), "test");
}

TEST(NamedSubscriber, HandlesInOrderOnOneThread) {
  ScriptedGateway gateway({WritesAndStaysOpen({Begun(), Batch({"a", "b"}, 1), Batch({"c"}, 3)})});
  std::vector<std::string> handled;
  std::set<std::thread::id> threads;
  EXPECT_TRUE(RunUntil("c", Options(gateway.target()), [&](const v1::Delivery& delivery) {
                handled.push_back(delivery.event().cursor() + std::to_string(delivery.attempt()));
                threads.insert(std::this_thread::get_id());
                return Ack();
              }).ok());
  EXPECT_THAT(handled, ElementsAre("a1", "b1", "c3"));
  EXPECT_THAT(threads, SizeIs(1));
  EXPECT_THAT(AckIds(gateway), ElementsAre("a", "b", "c"));
  EXPECT_EQ(gateway.acknowledged()[0].subscription(), "billing");
}

TEST(NamedSubscriber, AcknowledgesEachOfManyOnce) {
  std::vector<v1::SubscribeResponse> frames = {Begun()};
  std::set<std::string> sent;
  for (int frame = 0; frame < 50; ++frame) {
    std::vector<std::string> cursors;
    for (int i = 0; i < 100; ++i) cursors.push_back(std::to_string(frame * 100 + i));
    sent.insert(cursors.begin(), cursors.end());
    frames.push_back(Batch(cursors, 1));
  }
  ScriptedGateway gateway({WritesAndStaysOpen(frames)});
  EXPECT_TRUE(RunUntil("4999", Options(gateway.target()), [](const auto&) { return Ack(); }).ok());
  const std::vector<std::string> ids = AckIds(gateway);
  EXPECT_EQ(ids.size(), sent.size());
  EXPECT_EQ(std::set<std::string>(ids.begin(), ids.end()), sent);
  for (const auto& request : gateway.acknowledged()) EXPECT_LE(request.ack_ids_size(), 1000);
}

TEST(NamedSubscriber, AcknowledgesWhileTheNextHandlerWorks) {
  ScriptedGateway gateway({WritesAndStaysOpen({Begun(), Batch({"a", "b"}, 1)})});
  EXPECT_TRUE(RunUntil("b", Options(gateway.target()), [&](const v1::Delivery& delivery) {
                if (delivery.ack_id() == "b") gateway.WaitUntilAcknowledged("a");
                return Ack();
              }).ok());
}

TEST(NamedSubscriber, TellsWhatItsHandlerSays) {
  ScriptedGateway gateway({WritesAndStaysOpen({Begun(), Batch({"now", "later", "dead"}, 1)})});
  EXPECT_TRUE(RunUntil("dead", Options(gateway.target()), [&](const v1::Delivery& delivery) {
                if (delivery.ack_id() == "now") return RetryAfter(milliseconds(0));
                if (delivery.ack_id() == "later") return RetryAfter(milliseconds(1500));
                return DeadLetter("no such customer");
              }).ok());
  EXPECT_THAT(Modifications(gateway), UnorderedElementsAre("now after 0", "later after 1500",
                                                           "dead dead: no such customer"));
  EXPECT_THAT(AckIds(gateway), IsEmpty());
}

class Policy : public v1::SubscriptionService::Service {
  grpc::Status GetSubscription(grpc::ServerContext*, const v1::GetSubscriptionRequest*,
                               v1::GetSubscriptionResponse* response) override {
    auto& policy = *response->mutable_subscription()->mutable_retry_policy();
    policy.mutable_minimum_backoff()->set_seconds(3);
    policy.mutable_maximum_backoff()->set_seconds(600);
    return grpc::Status::OK;
  }
};

TEST(NamedSubscriber, RetriesByThePolicyAlsoWhatThrows) {
  Policy policy;
  ScriptedGateway gateway({WritesAndStaysOpen({Begun(), Batch({"a"}, 1), Batch({"b"}, 2)})}, 0, {},
                          &policy);
  EXPECT_TRUE(RunUntil("b", Options(gateway.target()), [&](const v1::Delivery& delivery) {
                if (delivery.ack_id() == "b") throw std::runtime_error("oops");
                return Retry();
              }).ok());
  EXPECT_THAT(Modifications(gateway), UnorderedElementsAre("a after 3000", "b after 6000"));
}

TEST(NamedSubscriber, ProlongsWhatIsHandledAndWhatWaits) {
  ScriptedGateway gateway({WritesAndStaysOpen({Begun(90), Batch({"a", "b"}, 1), Batch({"c"}, 1)})});
  EXPECT_TRUE(RunUntil("a", Options(gateway.target()), [&](const v1::Delivery&) {
                for (const char* id : {"a", "b", "c"}) gateway.WaitUntilExtended(id);
                return Ack();
              }).ok());
  for (const auto& request : gateway.modified()) {
    if (!request.has_extend_by()) continue;
    EXPECT_EQ(TimeUtil::DurationToMilliseconds(request.extend_by()), 90);
    EXPECT_EQ(request.subscription(), "billing");
  }
}

TEST(NamedSubscriber, RepeatsAcksUntilTheyAreAnswered) {
  const auto fails = [](grpc::ServerContext*, int call, const v1::AcknowledgeRequest& request,
                        v1::AcknowledgeResponse* response) -> grpc::Status {
    if (call == 0) return Unavailable();
    if (call == 1) return {grpc::StatusCode::DEADLINE_EXCEEDED, "busy"};
    if (call == 2) {
      response->add_failures()->set_ack_id(request.ack_ids(0));
      response->mutable_failures(0)->set_reason(v1::ACK_FAILURE_REASON_TRANSIENT);
    }
    return grpc::Status::OK;
  };
  ScriptedGateway gateway({WritesAndStaysOpen({Begun(), Batch({"a"}, 1)})}, 0, fails);
  Subscriber subscriber(Options(gateway.target()));
  EXPECT_TRUE(subscriber
                  .Run("billing",
                       [&](const v1::Delivery&) {
                         subscriber.Stop();
                         return Ack();
                       })
                  .ok());
  EXPECT_THAT(AckIds(gateway), ElementsAre("a", "a", "a", "a"));
  EXPECT_EQ(subscriber.failed_acks(), 0);
}

TEST(NamedSubscriber, RepeatsAcksOverAReconnect) {
  std::atomic<bool> mended = false;
  std::mutex mu;
  std::vector<std::string> done;
  const ScriptedGateway* running = nullptr;
  ScriptedGateway gateway(
      {[&](grpc::ServerContext*, const v1::SubscribeRequest&, Writer* writer) {
         writer->Write(Begun());
         writer->Write(Batch({"a"}, 1));
         running->WaitUntilAcknowledged("a");
         return Unavailable();
       },
       WritesAndStaysOpen({Begun(), Batch({"b"}, 1)})},
      0, [&](grpc::ServerContext*, int, const v1::AcknowledgeRequest& request, auto*) {
        if (!mended) return Unavailable();
        const std::lock_guard lock(mu);
        done.insert(done.end(), request.ack_ids().begin(), request.ack_ids().end());
        return grpc::Status::OK;
      });
  running = &gateway;
  EXPECT_TRUE(RunUntil("b", Options(gateway.target()), [&](const v1::Delivery& delivery) {
                if (delivery.ack_id() == "b") mended = true;
                return Ack();
              }).ok());
  EXPECT_THAT(done, UnorderedElementsAre("a", "b"));
}

TEST(NamedSubscriber, ReportsAcksThatHaveNoEffectAndDoesNotRepeatThem) {
  const auto expire = [](grpc::ServerContext*, int, const v1::AcknowledgeRequest& request,
                         v1::AcknowledgeResponse* response) {
    for (const std::string& id : request.ack_ids()) {
      auto& failure = *response->add_failures();
      failure.set_ack_id(id);
      failure.set_reason(id == "a" ? v1::ACK_FAILURE_REASON_EXPIRED
                                   : v1::ACK_FAILURE_REASON_INVALID);
    }
    return grpc::Status::OK;
  };
  ScriptedGateway gateway({WritesAndStaysOpen({Begun(), Batch({"a", "b"}, 1)})}, 0, expire);
  SubscriberOptions options = Options(gateway.target());
  std::map<std::string, absl::StatusCode> failed;
  options.on_ack_failed = [&](const std::string& ack_id, const absl::Status& why) {
    failed[ack_id] = why.code();
  };
  Subscriber subscriber(options);
  EXPECT_TRUE(subscriber
                  .Run("billing",
                       [&](const v1::Delivery& delivery) {
                         if (delivery.ack_id() == "b") subscriber.Stop();
                         return Ack();
                       })
                  .ok());
  EXPECT_THAT(failed, ElementsAre(std::pair("a", absl::StatusCode::kDeadlineExceeded),
                                  std::pair("b", absl::StatusCode::kInvalidArgument)));
  EXPECT_EQ(subscriber.failed_acks(), 2);
  EXPECT_THAT(AckIds(gateway), ElementsAre("a", "b"));
}

TEST(NamedSubscriber, StopFinishesWhatIsInHandAndHandsBackTheRest) {
  ScriptedGateway gateway({WritesAndStaysOpen({Begun(90), Batch({"a", "b", "c"}, 1)})});
  std::vector<std::string> handled;
  Subscriber subscriber(Options(gateway.target()));
  EXPECT_TRUE(subscriber
                  .Run("billing",
                       [&](const v1::Delivery& delivery) {
                         handled.push_back(delivery.ack_id());
                         subscriber.Stop();
                         // The stream is still there: so are its leases.
                         gateway.WaitUntilExtended("a");
                         EXPECT_THAT(Modifications(gateway), IsEmpty());
                         return Ack();
                       })
                  .ok());
  EXPECT_THAT(handled, ElementsAre("a"));
  EXPECT_THAT(AckIds(gateway), ElementsAre("a"));
  EXPECT_THAT(Modifications(gateway), ElementsAre("b c after 0"));
  EXPECT_THAT(gateway.starts(), ElementsAre("billing"));
}

TEST(NamedSubscriber, StopDoesNotWaitForAnswersForEver) {
  ScriptedGateway gateway(
      {WritesAndStaysOpen({Begun(), Batch({"a"}, 1)})}, 0,
      [](grpc::ServerContext* context, int, const auto&, auto*) { return StayOpen(context); });
  SubscriberOptions options = Options(gateway.target());
  options.stop_timeout = milliseconds(20);
  EXPECT_TRUE(RunUntil("a", options, [](const auto&) { return Ack(); }).ok());
}

TEST(NamedSubscriber, StopsBeforeItRuns) {
  Subscriber subscriber(Options("127.0.0.1:1"));
  subscriber.Stop();
  EXPECT_TRUE(subscriber.Run("billing", [](const auto&) { return Ack(); }).ok());
}

TEST(NamedSubscriber, StopsWhileNothingArrives) {
  ScriptedGateway gateway({WritesAndStaysOpen({Begun()})});
  SubscriberOptions options = Options(gateway.target());
  std::promise<void> connected;
  options.on_connected = [&] { connected.set_value(); };
  Subscriber subscriber(options);
  auto result = std::async(std::launch::async, [&] {
    return subscriber.Run("billing", [](const auto&) { return Ack(); });
  });
  connected.get_future().wait();
  subscriber.Stop();
  EXPECT_TRUE(result.get().ok());
}

// Counts the handlers that run, and lets them go on once there are `wanted` at once.
class Rendezvous {
 public:
  explicit Rendezvous(int wanted) : wanted_(wanted) {}
  void Meet() {
    std::unique_lock lock(mu_);
    most_ = std::max(most_, ++running_);
    if (running_ == wanted_) met_ = true;
    changed_.notify_all();
    changed_.wait(lock, [this] { return met_; });
    --running_;
  }
  int most() const { return most_; }

 private:
  const int wanted_;
  std::mutex mu_;
  std::condition_variable changed_;
  int running_ = 0, most_ = 0;
  bool met_ = false;
};

TEST(NamedSubscriber, RunsAsManyHandlersAtOnceAsItMay) {
  ScriptedGateway gateway(
      {WritesAndStaysOpen({Begun(), Batch({"1", "2", "3", "4", "5", "6", "7", "8", "9"}, 1)})});
  SubscriberOptions options = Options(gateway.target());
  options.concurrency = 3;
  Subscriber subscriber(options);
  Rendezvous rendezvous(3);
  std::atomic<int> handled = 0;
  EXPECT_TRUE(subscriber
                  .Run("billing",
                       [&](const v1::Delivery&) {
                         rendezvous.Meet();
                         if (++handled == 9) subscriber.Stop();
                         return Ack();
                       })
                  .ok());
  EXPECT_EQ(rendezvous.most(), 3);
  EXPECT_THAT(AckIds(gateway), SizeIs(9));
}

TEST(NamedSubscriber, DoesNotBeginWhatWaitedWhenTheStreamEnded) {
  std::promise<void> begun, ended;
  ScriptedGateway gateway({[&](grpc::ServerContext*, const v1::SubscribeRequest&, Writer* writer) {
                             writer->Write(Begun());
                             writer->Write(Batch({"a", "b"}, 1));
                             begun.get_future().wait();
                             return Unavailable();
                           },
                           WritesAndStaysOpen({Begun(), Batch({"b"}, 2)})});
  SubscriberOptions options = Options(gateway.target());
  options.on_disconnected = [&](const absl::Status&) { ended.set_value(); };
  std::vector<std::string> handled;
  EXPECT_TRUE(RunUntil("b", options, [&](const v1::Delivery& delivery) {
                if (delivery.ack_id() == "a") {
                  begun.set_value();
                  ended.get_future().wait();
                }
                handled.push_back(delivery.ack_id() + std::to_string(delivery.attempt()));
                return Ack();
              }).ok());
  EXPECT_THAT(handled, ElementsAre("a1", "b2"));
}

TEST(NamedSubscriber, ReplacesAStreamThatIsSilentForThreeHeartbeats) {
  ScriptedGateway gateway({WritesAndStaysOpen({Started("c0", 10, kMinute)}),
                           WritesAndStaysOpen({Begun(), Batch({"a"}, 1)})});
  EXPECT_TRUE(RunUntil("a", Options(gateway.target()), [](const auto&) { return Ack(); }).ok());
  EXPECT_THAT(gateway.starts(), ElementsAre("billing", "billing"));
}

TEST(NamedSubscriber, ReturnsThatItsSubscriptionIsNotThere) {
  ScriptedGateway gateway({Writes({}, {grpc::StatusCode::NOT_FOUND, "no such subscription"})});
  const absl::Status status =
      RunUntil("", Options(gateway.target()), [](const auto&) { return Ack(); });
  EXPECT_EQ(status.code(), absl::StatusCode::kNotFound);
  EXPECT_THAT(gateway.starts(), SizeIs(1));
}

}  // namespace
}  // namespace mmsmo
