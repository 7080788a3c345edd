// What handlers say and what the gateway is told, on a named subscription.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <map>
#include <mutex>
#include <set>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "mmsmo/subscriber.h"
#include "tests/client/scripted_gateway.h"

namespace mmsmo {
namespace {

using google::protobuf::util::TimeUtil;
using std::chrono::milliseconds;
using testing::ElementsAre;
using testing::IsEmpty;
using testing::SizeIs;
using testing::UnorderedElementsAre;

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
    std::vector<std::string> cursors(100);
    for (int i = 0; i < 100; ++i) cursors[i] = std::to_string(frame * 100 + i);
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

TEST(NamedSubscriber, RetriesByThePolicyAlsoWhatThrows) {
  ScriptedGateway gateway({WritesAndStaysOpen({Begun(), Batch({"a"}, 1), Batch({"b"}, 2)})});
  EXPECT_TRUE(RunUntil("b", Options(gateway.target()), [&](const v1::Delivery& delivery) {
                if (delivery.ack_id() == "b") throw std::runtime_error("oops");
                return Retry();
              }).ok());
  std::string retried;
  for (const std::string& one : Modifications(gateway)) retried += one + ";";
  EXPECT_THAT(retried, testing::AnyOf("a retry;b retry;", "a b retry;"));
}

TEST(NamedSubscriber, ProlongsWhatIsHandledAndWhatWaits) {
  ScriptedGateway gateway({WritesAndStaysOpen({Begun(90), Batch({"a", "b"}, 1), Batch({"c"}, 1)})});
  Subscriber subscriber(Options(gateway.target()));
  EXPECT_TRUE(subscriber
                  .Run("billing",
                       [&](const v1::Delivery&) {
                         for (const char* id : {"a", "b", "c"}) gateway.WaitUntilExtended(id);
                         subscriber.Stop();
                         return Ack();
                       })
                  .ok());
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

}  // namespace
}  // namespace mmsmo
