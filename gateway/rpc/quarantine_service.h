// mmsmo.v1.QuarantineService.

#pragma once

#include <atomic>
#include <string>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "gateway/base/thread_pool.h"
#include "gateway/broker/broker.h"
#include "gateway/rpc/call_limit.h"
#include "mmsmo/v1/quarantine_service.grpc.pb.h"

namespace mmsmo::rpc {

// Thread-safe.
class QuarantineService final : public v1::QuarantineService::CallbackService {
 public:
  // All must outlive the service. `calls` limits the unary ones.
  QuarantineService(broker::Broker* broker, ThreadPool* pool, CallLimit* calls)
      : broker_(broker), pool_(pool), calls_(calls) {}

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
  absl::Status FillPage(const v1::ListQuarantinedRequest& request,
                        v1::ListQuarantinedResponse* response);
  // A page of what is to be discarded; `finish` ends the call.
  using Finish = absl::AnyInvocable<void(const absl::Status&)>;
  void DiscardPage(const std::string& reason, const std::string& page_token,
                   v1::DiscardQuarantinedResponse* response, Finish finish);

  broker::Broker* const broker_;
  ThreadPool* const pool_;
  CallLimit* const calls_;
  std::atomic<bool> draining_{false};
};

}  // namespace mmsmo::rpc
