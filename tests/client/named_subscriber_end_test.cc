// How a Run on a named subscription begins anew and ends, and that its handlers run at once.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <future>
#include <mutex>
#include <string>
#include <vector>

#include "mmsmo/subscriber.h"
#include "tests/client/scripted_gateway.h"

namespace mmsmo {
namespace {

using std::chrono::milliseconds;
using testing::ElementsAre;
using testing::SizeIs;

TEST(NamedSubscriberEnd, StopFinishesWhatIsInHandAndHandsBackTheRest) {
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
                         return Ack();
                       })
                  .ok());
  EXPECT_THAT(handled, ElementsAre("a"));
  EXPECT_THAT(AckIds(gateway), ElementsAre("a"));
  EXPECT_THAT(Modifications(gateway), ElementsAre("b c release"));
  EXPECT_THAT(gateway.starts(), ElementsAre("billing"));
}

// The first frame of a named subscription's stream that has an id.
v1::SubscribeResponse BegunAs(const std::string& stream_id, int ack_deadline_millis = 60'000) {
  v1::SubscribeResponse frame = Begun(ack_deadline_millis);
  frame.mutable_started()->set_stream_id(stream_id);
  return frame;
}

// How streams were left, as "first 2".
std::vector<std::string> Leavings(const ScriptedGateway& gateway) {
  std::vector<std::string> all;
  for (const auto& request : gateway.modified()) {
    if (request.stream_id().empty()) continue;
    EXPECT_TRUE(request.has_release());
    EXPECT_EQ(request.subscription(), "billing");
    all.push_back(request.stream_id() + " " + std::to_string(request.received_frames()));
  }
  return all;
}

TEST(NamedSubscriberEnd, LeavesItsStreamBeforeItHandsBackWhatHasArrived) {
  ScriptedGateway gateway({WritesAndStaysOpen({BegunAs("first"), Batch({"a", "b"}, 1)})});
  EXPECT_TRUE(RunUntil("a", Options(gateway.target()), [&](const auto&) {
                gateway.WaitUntilReleased("b");
                return Ack();
              }).ok());
  EXPECT_THAT(Leavings(gateway), ElementsAre("first 2"));
  EXPECT_EQ(gateway.modified().front().stream_id(), "first");
}

TEST(NamedSubscriberEnd, FinishHandlesWhatHasArrivedAndKeepsItsLeases) {
  ScriptedGateway gateway({WritesAndStaysOpen({BegunAs("first", 90), Batch({"a", "b", "c"}, 1)})});
  Subscriber subscriber(Options(gateway.target()));
  EXPECT_TRUE(subscriber
                  .Run("billing",
                       [&](const v1::Delivery& delivery) {
                         subscriber.Stop(StopMode::kFinish);
                         if (delivery.ack_id() == "a") gateway.WaitUntilExtended("c");
                         return Ack();
                       })
                  .ok());
  EXPECT_THAT(AckIds(gateway), ElementsAre("a", "b", "c"));
  EXPECT_THAT(Leavings(gateway), ElementsAre("first 2"));
  EXPECT_THAT(Modifications(gateway), ElementsAre("release")) << "of what was on its way";
}

TEST(NamedSubscriberEnd, FinishHandsBackWhatIsNotBegunInTimeAndTellsWhatRuns) {
  ScriptedGateway gateway({WritesAndStaysOpen({BegunAs("first"), Batch({"a", "b"}, 1)})});
  Subscriber subscriber(Options(gateway.target()));
  EXPECT_TRUE(subscriber
                  .Run("billing",
                       [&](const v1::Delivery&, const std::stop_token& token) {
                         subscriber.Stop(StopMode::kFinish, milliseconds(1));
                         std::promise<void> told;
                         const std::stop_callback tell(token, [&] { told.set_value(); });
                         told.get_future().wait();
                         gateway.WaitUntilReleased("b");
                         return Ack();
                       })
                  .ok());
  EXPECT_THAT(AckIds(gateway), ElementsAre("a"));
}

TEST(NamedSubscriberEnd, LeavesTheStreamThatReplacesTheOneItHasLeft) {
  ScriptedGateway* running = nullptr;
  v1::SubscribeResponse second = BegunAs("second");
  second.mutable_started()->set_resumed(true);
  ScriptedGateway gateway({[&](grpc::ServerContext*, const v1::SubscribeRequest&, Writer* writer) {
                             writer->Write(BegunAs("first"));
                             writer->Write(Batch({"a", "b"}, 1));
                             running->WaitUntilLeft("first");
                             return Unavailable();
                           },
                           WritesAndStaysOpen({second, Batch({"late"}, 1)})});
  running = &gateway;
  Subscriber subscriber(Options(gateway.target()));
  EXPECT_TRUE(subscriber
                  .Run("billing",
                       [&](const v1::Delivery& delivery) {
                         subscriber.Stop(StopMode::kFinish);
                         // At once, since it may take long.
                         if (delivery.ack_id() == "a") gateway.WaitUntilLeft("second");
                         return Ack();
                       })
                  .ok());
  EXPECT_THAT(AckIds(gateway), ElementsAre("a", "b")) << "nothing came after the stop";
  EXPECT_THAT(Leavings(gateway), ElementsAre("first 2", "second 1"));
}

TEST(NamedSubscriberEnd, EndsTheTimeOfAHandlerThatTakesTooLong) {
  ScriptedGateway gateway({WritesAndStaysOpen({Begun(), Batch({"a", "b"}, 1)})});
  SubscriberOptions options = Options(gateway.target());
  options.max_handler_time = milliseconds(20);
  Subscriber subscriber(options);
  EXPECT_TRUE(subscriber
                  .Run("billing",
                       [&](const v1::Delivery& delivery, const std::stop_token& token) {
                         if (delivery.ack_id() == "b") {
                           subscriber.Stop();
                           return Ack();
                         }
                         std::promise<void> told;
                         const std::stop_callback tell(token, [&] { told.set_value(); });
                         told.get_future().wait();
                         return Ack();  // which comes too late
                       })
                  .ok());
  EXPECT_THAT(AckIds(gateway), ElementsAre("b"));
  EXPECT_THAT(Modifications(gateway), ElementsAre("a retry"));
}

// One that goes on although its time is over keeps no other's from ending.
TEST(NamedSubscriberEnd, EndsTheTimeOfAHandlerBesideOneThatGoesOn) {
  ScriptedGateway gateway({WritesAndStaysOpen({Begun(), Batch({"deaf", "first", "second"}, 1)})});
  SubscriberOptions options = Options(gateway.target());
  options.max_handler_time = milliseconds(20);
  options.concurrency = 2;
  Subscriber subscriber(options);
  std::promise<void> both_over;
  std::promise<bool> second_told;
  const std::shared_future<void> over(both_over.get_future());
  EXPECT_TRUE(subscriber
                  .Run("billing",
                       [&](const v1::Delivery& delivery, const std::stop_token& token) {
                         std::promise<void> told;
                         const std::stop_callback tell(token, [&] { told.set_value(); });
                         const bool was_told =
                             told.get_future().wait_for(std::chrono::seconds(10)) ==
                             std::future_status::ready;
                         if (delivery.ack_id() == "deaf") over.wait();
                         if (delivery.ack_id() == "second") {
                           second_told.set_value(was_told);
                           both_over.set_value();
                           subscriber.Stop();
                         }
                         return Ack();
                       })
                  .ok());
  EXPECT_TRUE(second_told.get_future().get());
}

TEST(NamedSubscriberEnd, StopDoesNotWaitForAnswersForEver) {
  ScriptedGateway gateway(
      {WritesAndStaysOpen({Begun(), Batch({"a"}, 1)})}, 0,
      [](grpc::ServerContext* context, int, const auto&, auto*) { return StayOpen(context); });
  SubscriberOptions options = Options(gateway.target());
  options.stop_timeout = milliseconds(20);
  EXPECT_TRUE(RunUntil("a", options, [](const auto&) { return Ack(); }).ok());
}

TEST(NamedSubscriberEnd, StopsBeforeItRuns) {
  Subscriber subscriber(Options("127.0.0.1:1"));
  subscriber.Stop();
  EXPECT_TRUE(subscriber.Run("billing", [](const auto&) { return Ack(); }).ok());
}

TEST(NamedSubscriberEnd, StopsWhileNothingArrives) {
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

TEST(NamedSubscriberEnd, RunsAsManyHandlersAtOnceAsItMay) {
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

TEST(NamedSubscriberEnd, DoesNotBeginWhatWaitedWhereTheStreamIsNotResumed) {
  std::promise<void> begun, connected;
  ScriptedGateway gateway({[&](grpc::ServerContext*, const v1::SubscribeRequest&, Writer* writer) {
                             writer->Write(Begun());
                             writer->Write(Batch({"a", "b"}, 1));
                             begun.get_future().wait();
                             return Unavailable();
                           },
                           WritesAndStaysOpen({Begun(), Batch({"b"}, 2)})});
  SubscriberOptions options = Options(gateway.target());
  int connections = 0;
  options.on_connected = [&] {
    if (++connections == 2) connected.set_value();
  };
  std::vector<std::string> handled;
  EXPECT_TRUE(RunUntil("b", options, [&](const v1::Delivery& delivery) {
                if (delivery.ack_id() == "a") {
                  begun.set_value();
                  connected.get_future().wait();
                }
                handled.push_back(delivery.ack_id() + std::to_string(delivery.attempt()));
                return Ack();
              }).ok());
  EXPECT_THAT(handled, ElementsAre("a1", "b2"));
}

TEST(NamedSubscriberEnd, ResumesItsStreamAndKeepsWhatWaits) {
  std::promise<void> begun, connected;
  v1::SubscribeRequest first, second;
  v1::SubscribeResponse started = Begun(), resumed = Begun();
  started.mutable_started()->set_stream_id("first");
  resumed.mutable_started()->set_stream_id("second");
  resumed.mutable_started()->set_resumed(true);
  ScriptedGateway gateway(
      {[&](grpc::ServerContext*, const v1::SubscribeRequest& request, Writer* writer) {
         first = request;
         writer->Write(started);
         writer->Write(Batch({"a", "b"}, 1));
         begun.get_future().wait();
         return Unavailable();
       },
       [&](grpc::ServerContext* context, const v1::SubscribeRequest& request, Writer* writer) {
         second = request;
         return WritesAndStaysOpen({resumed, Batch({"c"}, 1)})(context, request, writer);
       }});
  SubscriberOptions options = Options(gateway.target());
  int connections = 0;
  options.on_connected = [&] {
    if (++connections == 2) connected.set_value();
  };
  std::vector<std::string> handled;
  EXPECT_TRUE(RunUntil("c", options, [&](const v1::Delivery& delivery) {
                if (delivery.ack_id() == "a") {
                  begun.set_value();
                  connected.get_future().wait();
                }
                handled.push_back(delivery.ack_id() + std::to_string(delivery.attempt()));
                return Ack();
              }).ok());
  EXPECT_EQ(first.resume_stream_id(), "");
  EXPECT_EQ(second.resume_stream_id(), "first");
  EXPECT_EQ(second.received_frames(), 2);
  EXPECT_THAT(handled, ElementsAre("a1", "b1", "c1"));
}

TEST(NamedSubscriberEnd, ReplacesAStreamThatIsSilentForThreeHeartbeats) {
  ScriptedGateway gateway({WritesAndStaysOpen({Started("c0", 10, 60'000)}),
                           WritesAndStaysOpen({Begun(), Batch({"a"}, 1)})});
  EXPECT_TRUE(RunUntil("a", Options(gateway.target()), [](const auto&) { return Ack(); }).ok());
  EXPECT_THAT(gateway.starts(), ElementsAre("billing", "billing"));
}

TEST(NamedSubscriberEnd, ReturnsThatItsSubscriptionIsNotThere) {
  ScriptedGateway gateway({Writes({}, {grpc::StatusCode::NOT_FOUND, "no such subscription"})});
  const absl::Status status =
      RunUntil("", Options(gateway.target()), [](const auto&) { return Ack(); });
  EXPECT_EQ(status.code(), absl::StatusCode::kNotFound);
  EXPECT_THAT(gateway.starts(), SizeIs(1));
}

}  // namespace
}  // namespace mmsmo
