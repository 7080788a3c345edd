// The subscriber against a gateway that does what the test says.

#include "mmsmo/subscriber.h"

#include <gmock/gmock.h>
#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>

#include <future>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "google/rpc/error_details.pb.h"
#include "google/rpc/status.pb.h"
#include "tests/client/scripted_gateway.h"

namespace mmsmo {
namespace {

using std::chrono::milliseconds;
using testing::ElementsAre;
using testing::HasSubstr;

// Runs until `last` was handed over, or to the end.
absl::Status Collect(SubscriberOptions options, const v1::StartPosition& start,
                     const std::string& last, std::vector<std::string>* cursors) {
  Subscriber subscriber(std::move(options));
  return subscriber.Run(start, [&](const v1::Event& event) {
    cursors->push_back(event.cursor());
    if (event.cursor() == last) subscriber.Stop();
  });
}

TEST(Subscriber, GoesOnAfterTheLastEventWhateverEndsTheStream) {
  ScriptedGateway gateway({
      Writes({Started("c0"), Batch({"c1", "c2"})}, Unavailable()),
      Writes({Started("c2"), Batch({"c3"})}, grpc::Status::OK),
      Writes({}, {grpc::StatusCode::INTERNAL, "oops"}),
      Writes({Started("c3"), Batch({"c4"})}, {grpc::StatusCode::RESOURCE_EXHAUSTED, "busy"}),
      Writes({Started("c4"), Batch({"c5"})}, grpc::Status::OK),
  });
  std::vector<std::string> cursors;
  EXPECT_TRUE(Collect(Options(gateway.target()), FromEarliest(), "c5", &cursors).ok());
  EXPECT_THAT(cursors, ElementsAre("c1", "c2", "c3", "c4", "c5"));
  EXPECT_THAT(gateway.starts(), ElementsAre("BOUNDARY_EARLIEST", "c2", "c3", "c3", "c4"));
}

TEST(Subscriber, KeepsThePositionOfLatestBeforeTheFirstEvent) {
  ScriptedGateway gateway({
      Writes({Started("c7")}, Unavailable()),
      Writes({Started("c7"), Batch({"c8"})}, grpc::Status::OK),
  });
  std::vector<std::string> cursors;
  EXPECT_TRUE(Collect(Options(gateway.target()), FromLatest(), "c8", &cursors).ok());
  EXPECT_THAT(gateway.starts(), ElementsAre("BOUNDARY_LATEST", "c7"));
}

TEST(Subscriber, GoesOnAfterWhatItsFilterPassedOver) {
  v1::SubscribeResponse heartbeat;
  heartbeat.set_cursor("c9");
  heartbeat.mutable_heartbeat();
  ScriptedGateway gateway({
      Writes({Started("c0"), Batch({"c1"}), heartbeat}, Unavailable()),
      Writes({Started("c9"), Batch({"c10"})}, grpc::Status::OK),
  });
  std::vector<std::string> cursors;
  EXPECT_TRUE(Collect(Options(gateway.target()), FromEarliest(), "c10", &cursors).ok());
  EXPECT_THAT(gateway.starts(), ElementsAre("BOUNDARY_EARLIEST", "c9"));
}

TEST(Subscriber, EndsWithWhatItsHandlerThrowsAndStaysBeforeThatEvent) {
  for (const bool known : {true, false}) {
    ScriptedGateway gateway({
        [](grpc::ServerContext* context, const v1::SubscribeRequest&, Writer* writer) {
          writer->Write(Started("c0"));
          writer->Write(Batch({"c1", "c2", "c3"}));
          return StayOpen(context);
        },
    });
    Subscriber subscriber(Options(gateway.target()));
    std::vector<std::string> cursors;
    const absl::Status status = subscriber.Run(FromEarliest(), [&](const v1::Event& event) {
      cursors.push_back(event.cursor());
      if (event.cursor() != "c2") return;
      if (known) throw std::runtime_error("no more rows");
      throw 42;
    });
    EXPECT_EQ(status.code(), absl::StatusCode::kInternal);
    EXPECT_THAT(std::string(status.message()),
                HasSubstr(known ? "the handler threw: no more rows" : "no std::exception"));
    EXPECT_THAT(cursors, ElementsAre("c1", "c2"));
    EXPECT_EQ(subscriber.cursor(), "c1");
    EXPECT_EQ(gateway.starts().size(), 1U);
  }
}

TEST(Subscriber, ReplacesAStreamThatIsSilentForThreeHeartbeats) {
  ScriptedGateway gateway({
      [](grpc::ServerContext* context, const v1::SubscribeRequest&, Writer* writer) {
        writer->Write(Started("c0", 10));
        return StayOpen(context);
      },
      Writes({Started("c0"), Batch({"c1"})}, grpc::Status::OK),
  });
  SubscriberOptions options = Options(gateway.target());
  absl::Status why;
  options.on_disconnected = [&](const absl::Status& status) { why = status; };
  std::vector<std::string> cursors;
  EXPECT_TRUE(Collect(options, FromEarliest(), "c1", &cursors).ok());
  EXPECT_EQ(why.code(), absl::StatusCode::kDeadlineExceeded);
  EXPECT_THAT(cursors, ElementsAre("c1"));
}

TEST(Subscriber, ReplacesAStreamThatNeverBegins) {
  ScriptedGateway gateway({
      [](grpc::ServerContext* context, const v1::SubscribeRequest&, Writer*) {
        return StayOpen(context);
      },
      Writes({Started("c0"), Batch({"c1"})}, grpc::Status::OK),
  });
  SubscriberOptions options = Options(gateway.target());
  options.connect_timeout = milliseconds(200);
  std::vector<std::string> cursors;
  EXPECT_TRUE(Collect(options, FromEarliest(), "c1", &cursors).ok());
}

TEST(Subscriber, DoesNotCountTheTimeOfAHandler) {
  ScriptedGateway gateway({
      [](grpc::ServerContext* context, const v1::SubscribeRequest&, Writer* writer) {
        writer->Write(Started("c0", 20));
        writer->Write(Batch({"c1"}));
        writer->Write(Batch({"c2"}));
        return StayOpen(context);
      },
  });
  Subscriber subscriber(Options(gateway.target()));
  EXPECT_TRUE(subscriber
                  .Run(FromEarliest(),
                       [&](const v1::Event& event) {
                         if (event.cursor() == "c2") return subscriber.Stop();
                         // Work that takes longer than the watchdog's patience.
                         std::this_thread::sleep_for(milliseconds(100));
                       })
                  .ok());
  EXPECT_EQ(gateway.starts().size(), 1u);
}

TEST(Subscriber, ReturnsWhatTryingAgainCannotMend) {
  google::rpc::ErrorInfo info;
  info.set_reason("CURSOR_EXPIRED");
  info.set_domain("mmsmo.v1");
  (*info.mutable_metadata())["earliest_cursor"] = "c42";
  google::rpc::Status details;
  details.set_code(grpc::StatusCode::OUT_OF_RANGE);
  details.add_details()->PackFrom(info);
  ScriptedGateway gateway({Writes(
      {}, {grpc::StatusCode::OUT_OF_RANGE, "the cursor is too old", details.SerializeAsString()})});
  std::vector<std::string> cursors;
  const absl::Status status = Collect(Options(gateway.target()), AfterCursor("c1"), "", &cursors);
  EXPECT_EQ(status.code(), absl::StatusCode::kOutOfRange);
  EXPECT_THAT(std::string(status.message()), HasSubstr("the earliest cursor is c42"));
  EXPECT_EQ(gateway.starts().size(), 1u);
}

TEST(Subscriber, WaitsForAGatewayThatIsNotThereYet) {
  int port = 0;
  { port = ScriptedGateway({}).port(); }
  SubscriberOptions options = Options("127.0.0.1:" + std::to_string(port));
  std::promise<void> failed;
  options.on_disconnected = [&, said = false](const absl::Status&) mutable {
    if (!std::exchange(said, true)) failed.set_value();
  };
  std::vector<std::string> cursors;
  auto running = std::async(std::launch::async,
                            [&] { return Collect(options, FromEarliest(), "c1", &cursors); });
  failed.get_future().wait();
  ScriptedGateway gateway({Writes({Started("c0"), Batch({"c1"})}, grpc::Status::OK)}, port);
  EXPECT_TRUE(running.get().ok());
}

TEST(Subscriber, StopsBeforeItRuns) {
  Subscriber subscriber(Options("127.0.0.1:1"));
  subscriber.Stop();
  EXPECT_TRUE(subscriber.Run(FromEarliest(), [](const v1::Event&) {}).ok());
}

TEST(Subscriber, StopsWhileItWaitsToTryAgain) {
  SubscriberOptions options = Options("127.0.0.1:1");
  options.min_backoff = options.max_backoff = std::chrono::hours(1);
  Subscriber* running = nullptr;
  std::promise<void> failed;
  options.on_disconnected = [&](const absl::Status&) { failed.set_value(); };
  Subscriber subscriber(options);
  running = &subscriber;
  auto result = std::async(std::launch::async,
                           [&] { return running->Run(FromEarliest(), [](const v1::Event&) {}); });
  failed.get_future().wait();
  subscriber.Stop();
  EXPECT_TRUE(result.get().ok());
}

TEST(Subscriber, StopsWhileNothingArrives) {
  ScriptedGateway gateway(
      {[](grpc::ServerContext* context, const v1::SubscribeRequest&, Writer* writer) {
        writer->Write(Started("c0"));
        return StayOpen(context);
      }});
  std::promise<void> connected;
  SubscriberOptions options = Options(gateway.target());
  options.on_connected = [&] { connected.set_value(); };
  Subscriber subscriber(options);
  auto result = std::async(std::launch::async,
                           [&] { return subscriber.Run(FromEarliest(), [](const v1::Event&) {}); });
  connected.get_future().wait();
  subscriber.Stop();
  EXPECT_TRUE(result.get().ok());
}

TEST(Subscriber, HandsOverNothingAfterStop) {
  ScriptedGateway gateway({Writes({Started("c0"), Batch({"c1", "c2"})}, grpc::Status::OK)});
  Subscriber subscriber(Options(gateway.target()));
  std::vector<std::string> cursors;
  EXPECT_TRUE(subscriber
                  .Run(FromEarliest(),
                       [&](const v1::Event& event) {
                         cursors.push_back(event.cursor());
                         subscriber.Stop();
                       })
                  .ok());
  EXPECT_THAT(cursors, ElementsAre("c1"));
  EXPECT_EQ(subscriber.cursor(), "c1");
}

}  // namespace
}  // namespace mmsmo
