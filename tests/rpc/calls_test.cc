// Calls whose clients go while the engine is still at it.

#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>

#include <chrono>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "gateway/base/clock.h"
#include "gateway/base/metrics.h"
#include "gateway/rpc/server.h"
#include "mmsmo/v1/mms_mo_service.grpc.pb.h"
#include "mutex.h"
#include "tests/support/broker_stub.h"
#include "tests/support/status_matchers.h"
#include "tests/support/subscriptions_stub.h"

namespace mmsmo::rpc {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

// Does nothing until the test says so, as an engine on a disk that hangs.
class HungEngine final : public BrokerStub, public SubscriptionsStub {
 public:
  void Append(std::vector<broker::Entry>, broker::AppendDone) override {}
  broker::Subscriptions& subscriptions() override { return *this; }

  void OpenFeed(const v1::StartPosition&, const v1::Filter&, broker::OpenFeedDone done) override {
    MutexLock lock(&mu_);
    feeds_.push_back(std::move(done));
    changed_.SignalAll();
  }
  void Change(const std::string&, const std::vector<std::string_view>&, broker::AckChange change,
              broker::AckDone done) override {
    if (change.kind == broker::AckChange::Kind::kExtend)
      return std::move(done)(std::vector<broker::AckFailure>());
    MutexLock lock(&mu_);
    changes_.push_back(std::move(done));
    changed_.SignalAll();
  }

  void WaitForCalls(size_t feeds, size_t changes) {
    MutexLock lock(&mu_);
    while (feeds_.size() < feeds || changes_.size() < changes) changed_.Wait(&mu_);
  }
  void Heal(const std::vector<broker::AckFailure>& failures = {}) {
    std::vector<broker::OpenFeedDone> feeds;
    std::vector<broker::AckDone> changes;
    {
      MutexLock lock(&mu_);
      feeds.swap(feeds_);
      changes.swap(changes_);
    }
    for (auto& done : feeds) std::move(done)(NotFound("no feeds here"));
    for (auto& done : changes) std::move(done)(failures);
  }

 private:
  Mutex mu_;
  CondVar changed_;
  std::vector<broker::OpenFeedDone> feeds_ ABSL_GUARDED_BY(mu_);
  std::vector<broker::AckDone> changes_ ABSL_GUARDED_BY(mu_);
};

class CallsTest : public testing::Test {
 protected:
  ~CallsTest() override { engine_.Heal(); }

  void Serve(const Limits& limits) {
    auto server = Server::Start({.listen = "127.0.0.1:0", .limits = limits}, &engine_,
                                SystemClock(), metrics_);
    ASSERT_THAT(server, IsOk());
    server_ = *std::move(server);
    stub_ = v1::MmsMoService::NewStub(
        grpc::CreateChannel(server_->address(), grpc::InsecureChannelCredentials()));
  }

  // A call that is answered, or that the client leaves after a moment.
  template <typename Request, typename Response, typename Method>
  grpc::Status Call(Method method, const Request& request, Response* response,
                    milliseconds leaves_after) {
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() + leaves_after);
    return (stub_.get()->*method)(&context, request, response);
  }
  grpc::Status Acknowledge(const std::vector<std::string>& ack_ids, milliseconds leaves_after) {
    v1::AcknowledgeRequest request;
    request.set_subscription("orders");
    request.mutable_ack_ids()->Assign(ack_ids.begin(), ack_ids.end());
    return Call(&v1::MmsMoService::Stub::Acknowledge, request, &acknowledged_, leaves_after);
  }
  grpc::Status Extend() {
    v1::ModifyAckDeadlineRequest request;
    request.add_ack_ids("id");
    request.mutable_extend_by()->set_seconds(1);
    v1::ModifyAckDeadlineResponse response;
    return Call(&v1::MmsMoService::Stub::ModifyAckDeadline, request, &response, kPatient);
  }
  grpc::Status Subscribe(milliseconds leaves_after) {
    v1::SubscribeRequest request;
    request.mutable_start_position()->set_boundary(v1::BOUNDARY_LATEST);
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() + leaves_after);
    auto stream = stub_->Subscribe(&context, request);
    v1::SubscribeResponse frame;
    while (stream->Read(&frame)) {
    }
    return stream->Finish();
  }
  bool Shows(const std::string& line) {
    return metrics_.Serialise().find("\n" + line + "\n") != std::string::npos;
  }
  void WaitUntilShows(const std::string& line) {
    const auto deadline = steady_clock::now() + kPatient;
    while (!Shows(line) && steady_clock::now() < deadline) {
    }
    EXPECT_TRUE(Shows(line)) << metrics_.Serialise();
  }

  static constexpr milliseconds kPatient{30'000};
  static constexpr milliseconds kImpatient{50};

  Metrics metrics_;
  HungEngine engine_;
  std::unique_ptr<Server> server_;
  std::unique_ptr<v1::MmsMoService::Stub> stub_;
  v1::AcknowledgeResponse acknowledged_;
};

TEST_F(CallsTest, AClientThatHasGoneLeavesItsPlaceToOthers) {
  Serve({.calls = 1});
  for (size_t i = 1; i <= 3; ++i) {
    EXPECT_EQ(Acknowledge({"id"}, kImpatient).error_code(), grpc::StatusCode::DEADLINE_EXCEEDED);
    engine_.WaitForCalls(0, i);
    WaitUntilShows("mmsmo_grpc_calls{kind=\"unary\"} 0");
  }
  engine_.Heal();  // which answers nobody, and touches nothing that has gone
}

TEST_F(CallsTest, AStreamThatIsNotOpenYetLeavesItsPlaceToOthers) {
  Serve({.streams = 1});
  for (size_t i = 1; i <= 3; ++i) {
    EXPECT_EQ(Subscribe(kImpatient).error_code(), grpc::StatusCode::DEADLINE_EXCEEDED);
    engine_.WaitForCalls(i, 0);
    WaitUntilShows("mmsmo_grpc_calls{kind=\"stream\"} 0");
  }
  engine_.Heal();
}

TEST_F(CallsTest, ExtensionsAreNotRefusedForCallsThatWait) {
  Serve({.calls = 1, .call_bytes = 2'000});
  std::thread waits([this] { EXPECT_TRUE(Acknowledge({"id"}, kPatient).ok()); });
  engine_.WaitForCalls(0, 1);
  EXPECT_EQ(Acknowledge({"id"}, kPatient).error_code(), grpc::StatusCode::RESOURCE_EXHAUSTED);
  EXPECT_TRUE(Extend().ok());
  engine_.Heal();
  waits.join();
}

TEST_F(CallsTest, WhatNobodyWaitsForIsHeldOfTheBudgetUntilTheEngineIsDoneWithIt) {
  Serve({.calls = 100, .call_bytes = 20'000});
  std::vector<std::string> ids(50, std::string(52, 'x'));
  EXPECT_EQ(Acknowledge(ids, kImpatient).error_code(), grpc::StatusCode::DEADLINE_EXCEEDED);
  EXPECT_EQ(Acknowledge(ids, kPatient).error_code(), grpc::StatusCode::RESOURCE_EXHAUSTED);
  EXPECT_TRUE(Shows("mmsmo_grpc_refused_total{limit=\"call_bytes\"} 1"));
  engine_.Heal();
  WaitUntilShows("mmsmo_call_bytes 0");
}

TEST_F(CallsTest, NamesWhatCouldNotBeChanged) {
  Serve({});
  std::thread waits([&] { EXPECT_TRUE(Acknowledge({"good", "bad"}, kPatient).ok()); });
  engine_.WaitForCalls(0, 1);
  engine_.Heal({{.index = 1, .reason = v1::ACK_FAILURE_REASON_INVALID}});
  waits.join();
  ASSERT_EQ(acknowledged_.failures_size(), 1);
  EXPECT_EQ(acknowledged_.failures(0).ack_id(), "bad");
  EXPECT_EQ(acknowledged_.failures(0).reason(), v1::ACK_FAILURE_REASON_INVALID);
}

TEST_F(CallsTest, AServerWaitsForWhatMayComeBackToIt) {
  Serve({});
  EXPECT_EQ(Acknowledge({"id"}, kImpatient).error_code(), grpc::StatusCode::DEADLINE_EXCEEDED);
  EXPECT_EQ(Subscribe(kImpatient).error_code(), grpc::StatusCode::DEADLINE_EXCEEDED);
  engine_.WaitForCalls(1, 1);
  std::thread heals([this] { engine_.Heal(); });
  server_->Stop(steady_clock::now());
  heals.join();
}

}  // namespace
}  // namespace mmsmo::rpc
