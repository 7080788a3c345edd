// What becomes of calls when the identities change, at a server with an engine that has no events.

#include "gateway/rpc/gate.h"

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
#include "tests/support/broker_stub.h"
#include "tests/support/status_matchers.h"
#include "tests/support/subscriptions_stub.h"

namespace mmsmo::rpc {
namespace {

using grpc::StatusCode;

// A reader at the tail of an empty log.
class EmptyFeed final : public broker::Feed {
 public:
  absl::StatusOr<broker::Batch> Take(const broker::TakeLimits&) override {
    return broker::Batch{.left = broker::Batch::Left::kNothing};
  }
  void Wait(absl::AnyInvocable<void()>) override {}
  std::string Cursor() const override { return "cursor"; }
  int64_t Backlog() const override { return 0; }
};

class EmptyEngine final : public BrokerStub, public SubscriptionsStub {
 public:
  void Append(std::vector<broker::Entry>, broker::AppendDone) override {}
  broker::Subscriptions& subscriptions() override { return *this; }
  void OpenFeed(const v1::StartPosition&, const v1::Filter&, broker::OpenFeedDone done) override {
    std::move(done)(std::make_unique<EmptyFeed>());
  }
  void Change(const std::string&, const std::vector<std::string_view>&, broker::AckChange,
              broker::AckDone done) override {
    std::move(done)(std::vector<broker::AckFailure>());
  }
};

using Identities = std::shared_ptr<const access::Identities>;

// One identity for each of these tokens, which may read.
Identities ReadersWith(const std::vector<std::string>& tokens,
                       const std::vector<std::string>& endpoints = {}) {
  std::vector<access::IdentitySettings> settings;
  std::vector<std::vector<access::Digest>> digests;
  for (const std::string& token : tokens) {
    settings.push_back({.name = token, .tokens = {.files = {"file"}}, .allow = {"read"}});
    if (!endpoints.empty()) settings.back().endpoints = endpoints;
    digests.push_back({access::DigestOf(token)});
  }
  return *access::Identities::Create(settings, digests);
}

class GateTest : public testing::Test {
 protected:
  GateTest() {
    auto server = Server::Start({.listen = "127.0.0.1:0"}, &engine_, SystemClock(), metrics_);
    EXPECT_THAT(server, IsOk());
    server_ = *std::move(server);
    stub_ = v1::MmsMoService::NewStub(
        grpc::CreateChannel(server_->address(), grpc::InsecureChannelCredentials()));
  }

  // A stream of whoever has the token, empty for nobody.
  class Stream {
   public:
    Stream(v1::MmsMoService::Stub* stub, const std::string& token) {
      if (!token.empty()) context_.AddMetadata("authorization", "Bearer " + token);
      v1::SubscribeRequest request;
      request.mutable_start_position()->set_boundary(v1::BOUNDARY_LATEST);
      reader_ = stub->Subscribe(&context_, request);
    }
    // Once the gateway has opened it.
    bool Open() {
      v1::SubscribeResponse frame;
      return reader_->Read(&frame) && frame.has_started();
    }
    StatusCode End() {
      v1::SubscribeResponse frame;
      while (reader_->Read(&frame)) {
      }
      return reader_->Finish().error_code();
    }
    void Cancel() { context_.TryCancel(); }

   private:
    grpc::ClientContext context_;
    std::unique_ptr<grpc::ClientReader<v1::SubscribeResponse>> reader_;
  };
  std::unique_ptr<Stream> Subscribe(const std::string& token) {
    return std::make_unique<Stream>(stub_.get(), token);
  }
  StatusCode Acknowledge(const std::string& token) {
    grpc::ClientContext context;
    context.AddMetadata("authorization", "Bearer " + token);
    v1::AcknowledgeRequest request;
    request.set_subscription("orders");
    v1::AcknowledgeResponse response;
    return stub_->Acknowledge(&context, request, &response).error_code();
  }

  EmptyEngine engine_;
  Metrics metrics_;
  std::unique_ptr<Server> server_;
  std::unique_ptr<v1::MmsMoService::Stub> stub_;
};

TEST_F(GateTest, EndsStreamsOfThoseWhoAreGone) {
  server_->SetIdentities(ReadersWith({"a", "b"}));
  const auto a = Subscribe("a"), b = Subscribe("b");
  ASSERT_TRUE(a->Open() && b->Open());
  server_->SetIdentities(ReadersWith({"b", "c"}));
  EXPECT_EQ(a->End(), StatusCode::UNAUTHENTICATED);
  b->Cancel();
  EXPECT_EQ(b->End(), StatusCode::CANCELLED);
  EXPECT_EQ(Acknowledge("a"), StatusCode::UNAUTHENTICATED);
  EXPECT_EQ(Acknowledge("b"), StatusCode::PERMISSION_DENIED);
}

TEST_F(GateTest, EndsStreamsThatReadMoreThanTheyMayNow) {
  server_->SetIdentities(ReadersWith({"a"}));
  const auto everything = Subscribe("a");
  ASSERT_TRUE(everything->Open());
  server_->SetIdentities(ReadersWith({"a"}, {"eu", "us"}));
  EXPECT_EQ(everything->End(), StatusCode::PERMISSION_DENIED);
  const auto both = Subscribe("a");
  ASSERT_TRUE(both->Open());
  server_->SetIdentities(ReadersWith({"a"}, {"eu", "us", "asia"}));
  server_->SetIdentities(ReadersWith({"a"}, {"eu"}));
  EXPECT_EQ(both->End(), StatusCode::PERMISSION_DENIED);
}

TEST_F(GateTest, JudgesStreamsOfBeforeByWhatTheyHadShown) {
  const auto known = Subscribe("a"), unknown = Subscribe("b"), nobody = Subscribe("");
  ASSERT_TRUE(known->Open() && unknown->Open() && nobody->Open());
  server_->SetIdentities(ReadersWith({"a"}));
  EXPECT_EQ(unknown->End(), StatusCode::UNAUTHENTICATED);
  EXPECT_EQ(nobody->End(), StatusCode::UNAUTHENTICATED);
  known->Cancel();
  EXPECT_EQ(known->End(), StatusCode::CANCELLED);
}

TEST_F(GateTest, ALateAnswerEndsWithItsClient) {
  server_->SetIdentities(ReadersWith({"a"}));
  const auto stream = Subscribe("b");
  stream->Cancel();
  EXPECT_EQ(stream->End(), StatusCode::CANCELLED);
}

TEST_F(GateTest, TakesIdentitiesWhileStreamsComeAndGo) {
  const Identities some = ReadersWith({"a"}), others = ReadersWith({"b"});
  server_->SetIdentities(some);
  std::thread changes([&] {
    for (int i = 0; i < 200; ++i) server_->SetIdentities(i % 2 == 0 ? others : some);
    server_->SetIdentities(others);
  });
  std::vector<std::unique_ptr<Stream>> streams;
  streams.reserve(50);
  for (int i = 0; i < 50; ++i) streams.push_back(Subscribe("a"));
  changes.join();
  for (const auto& stream : streams) EXPECT_EQ(stream->End(), StatusCode::UNAUTHENTICATED);
}

}  // namespace
}  // namespace mmsmo::rpc
