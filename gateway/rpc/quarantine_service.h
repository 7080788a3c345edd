// mmsmo.v1.QuarantineService.

#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "gateway/base/byte_budget.h"
#include "gateway/base/thread_pool.h"
#include "gateway/broker/broker.h"
#include "gateway/rpc/call_limit.h"
#include "gateway/rpc/unary_call.h"
#include "mmsmo/v1/quarantine_service.grpc.pb.h"

namespace mmsmo::rpc {

// Thread-safe.
class QuarantineService final : public v1::QuarantineService::CallbackService {
 public:
  struct Limits {
    UnaryLimits unary;
    CallLimit* reprocessing = nullptr;
    ByteBudget* in_flight = nullptr;  // of the postbacks that are being reprocessed; null: no limit
  };

  // All, those of the limits too, must outlive the service.
  QuarantineService(broker::Broker* broker, ThreadPool* pool, const Limits& limits)
      : broker_(broker), pool_(pool), limits_(limits) {}

  // From now on reprocessing is UNAVAILABLE; what is under way ends where it has got to.
  void Drain() { draining_ = true; }

  grpc::ServerUnaryReactor* ListQuarantined(grpc::CallbackServerContext* context,
                                            const v1::ListQuarantinedRequest* request,
                                            v1::ListQuarantinedResponse* response) override;
  grpc::ServerUnaryReactor* GetQuarantined(grpc::CallbackServerContext* context,
                                           const v1::GetQuarantinedRequest* request,
                                           v1::GetQuarantinedResponse* response) override;
  grpc::ServerWriteReactor<v1::ReprocessQuarantinedResponse>* ReprocessQuarantined(
      grpc::CallbackServerContext* context,
      const v1::ReprocessQuarantinedRequest* request) override;
  grpc::ServerUnaryReactor* DiscardQuarantined(grpc::CallbackServerContext* context,
                                               const v1::DiscardQuarantinedRequest* request,
                                               v1::DiscardQuarantinedResponse* response) override;

 private:
  absl::Status FillPage(const Caller& caller, const v1::ListQuarantinedRequest& request,
                        v1::ListQuarantinedResponse* response);
  // Those of the ids that the caller may see. Reads the store.
  std::vector<std::string> Seen(const Caller& caller, std::vector<std::string> ids);
  // The rest of a call that discards all of a reason, page by page. What `response` is for may be
  // over.
  struct Discarding {
    std::string reason;
    std::string page_token;
    int64_t count = 0;  // so far
    v1::DiscardQuarantinedResponse* response;
    std::shared_ptr<PendingCall> call;
    broker::ActPtr act;
  };
  void DiscardPage(Discarding discarding);
  void DiscardIds(std::vector<std::string> ids, Discarding discarding);
  static void Answer(const Discarding& discarding, const absl::Status& status);

  broker::Broker* const broker_;
  ThreadPool* const pool_;
  const Limits limits_;
  std::atomic<bool> draining_{false};
};

}  // namespace mmsmo::rpc
