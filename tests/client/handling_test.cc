// What is told of each handler of a named subscription, before it and after it.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <exception>
#include <memory>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "mmsmo/subscriber.h"
#include "tests/client/scripted_gateway.h"

namespace mmsmo {
namespace {

using std::chrono::milliseconds;
using testing::ElementsAre;
using testing::IsEmpty;

constexpr char kTraceParent[] = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

std::string TextOf(const Verdict& verdict) {
  switch (verdict.kind) {
    case Verdict::Kind::kAck:
      return "ack";
    case Verdict::Kind::kRetry:
      return "retry";
    case Verdict::Kind::kRetryAfter:
      return "retry after " + std::to_string(verdict.delay.count());
    case Verdict::Kind::kDeadLetter:
      return "dead letter: " + verdict.reason;
  }
  return "";
}

// What is being thrown, or was caught and not left yet.
std::string Thrown() {
  if (!std::current_exception()) return "nothing";
  try {
    throw;
  } catch (const std::exception& error) {
    return error.what();
  }
}

// Like a span that is current in its thread: says when it ends.
class Scope {
 public:
  Scope(std::vector<std::string>* log, std::string name) : log_(*log), name_(std::move(name)) {}
  ~Scope() { log_.push_back("left " + name_); }
  Scope(const Scope&) = delete;
  Scope& operator=(const Scope&) = delete;

 private:
  std::vector<std::string>& log_;
  const std::string name_;
};

TEST(Handling, IsToldOfEachHandlerBeforeAndAfterItOnItsThread) {
  ScriptedGateway gateway({WritesAndStaysOpen({Begun(), Batch({"a", "b", "c"}, 1)})});
  SubscriberOptions options = Options(gateway.target());
  std::vector<std::string> log;
  std::thread::id handler_thread;
  options.on_handling = [&](const v1::Delivery& delivery) {
    handler_thread = std::this_thread::get_id();
    log.push_back("before " + delivery.ack_id());
    auto scope = std::make_shared<Scope>(&log, delivery.ack_id());
    return [&, scope](const Verdict& verdict) {
      EXPECT_EQ(std::this_thread::get_id(), handler_thread);
      log.push_back("after " + delivery.ack_id() + " " + TextOf(verdict));
    };
  };
  EXPECT_TRUE(RunUntil("c", options, [&](const v1::Delivery& delivery) {
                EXPECT_EQ(std::this_thread::get_id(), handler_thread);
                log.push_back("in " + delivery.ack_id());
                if (delivery.ack_id() == "a") return Ack();
                return delivery.ack_id() == "b" ? RetryAfter(milliseconds(7)) : DeadLetter("no");
              }).ok());
  EXPECT_THAT(log, ElementsAre("before a", "in a", "after a ack", "left a",            //
                               "before b", "in b", "after b retry after 7", "left b",  //
                               "before c", "in c", "after c dead letter: no", "left c"));
}

TEST(Handling, SeesTheTraceOfThePostback) {
  v1::SubscribeResponse batch = Batch({"a"}, 1);
  batch.mutable_batch()->mutable_deliveries(0)->mutable_event()->set_trace_parent(kTraceParent);
  ScriptedGateway gateway({WritesAndStaysOpen({Begun(), batch})});
  SubscriberOptions options = Options(gateway.target());
  std::string seen;
  options.on_handling = [&](const v1::Delivery& delivery) {
    seen = delivery.event().trace_parent();
    return nullptr;
  };
  EXPECT_TRUE(RunUntil("a", options, [](const auto&) { return Ack(); }).ok());
  EXPECT_EQ(seen, kTraceParent);
  EXPECT_THAT(AckIds(gateway), ElementsAre("a")) << "although nobody is told the verdict";
}

TEST(Handling, IsToldWhatAHandlerThrew) {
  ScriptedGateway gateway({WritesAndStaysOpen({Begun(), Batch({"a", "b"}, 1)})});
  SubscriberOptions options = Options(gateway.target());
  std::vector<std::string> log;
  options.on_handling = [&](const v1::Delivery&) {
    return [&](const Verdict& verdict) { log.push_back(TextOf(verdict) + ", " + Thrown()); };
  };
  EXPECT_TRUE(RunUntil("b", options, [](const v1::Delivery& delivery) {
                if (delivery.ack_id() == "a") throw std::runtime_error("oops");
                return Retry();
              }).ok());
  EXPECT_THAT(log, ElementsAre("retry, oops", "retry, nothing"));
  EXPECT_THAT(AckIds(gateway), IsEmpty());
}

TEST(Handling, IsToldOnceWhatAHandlerSaysWhoseTimeIsOver) {
  ScriptedGateway gateway({WritesAndStaysOpen({Begun(), Batch({"a"}, 1)})});
  SubscriberOptions options = Options(gateway.target());
  options.max_handler_time = milliseconds(20);
  std::vector<std::string> log;
  options.on_handling = [&](const v1::Delivery&) {
    return [&](const Verdict& verdict) { log.push_back(TextOf(verdict)); };
  };
  Subscriber subscriber(options);
  EXPECT_TRUE(subscriber
                  .Run("billing",
                       [&](const v1::Delivery&, const std::stop_token& token) {
                         while (!token.stop_requested()) std::this_thread::yield();
                         subscriber.Stop();
                         return DeadLetter("too late");
                       })
                  .ok());
  EXPECT_THAT(log, ElementsAre("dead letter: too late"));
  EXPECT_THAT(Modifications(gateway), ElementsAre("a retry"));
}

// A slow exporter of spans must not make retries of what was handled in time.
TEST(Handling, TakesNoneOfTheHandlersTime) {
  ScriptedGateway gateway({WritesAndStaysOpen({Begun(), Batch({"a"}, 1)})});
  SubscriberOptions options = Options(gateway.target());
  options.max_handler_time = milliseconds(500);
  const auto take_longer = [] { std::this_thread::sleep_for(milliseconds(600)); };
  options.on_handling = [&](const v1::Delivery&) {
    take_longer();
    return [&](const Verdict&) { take_longer(); };
  };
  EXPECT_TRUE(RunUntil("a", options, [](const auto&) { return Ack(); }).ok());
  EXPECT_THAT(AckIds(gateway), ElementsAre("a"));
  EXPECT_THAT(Modifications(gateway), IsEmpty());
}

}  // namespace
}  // namespace mmsmo
