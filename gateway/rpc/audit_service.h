// mmsmo.v1.AuditService.

#pragma once

#include "gateway/base/thread_pool.h"
#include "gateway/broker/broker.h"
#include "gateway/rpc/unary_call.h"
#include "mmsmo/v1/audit_service.grpc.pb.h"

namespace mmsmo::rpc {

// Thread-safe.
class AuditService final : public v1::AuditService::CallbackService {
 public:
  // All must outlive the service.
  AuditService(broker::Broker* broker, ThreadPool* pool, const UnaryLimits& limits)
      : broker_(broker), pool_(pool), limits_(limits) {}

  grpc::ServerUnaryReactor* ListAuditRecords(grpc::CallbackServerContext* context,
                                             const v1::ListAuditRecordsRequest* request,
                                             v1::ListAuditRecordsResponse* response) override;

 private:
  absl::Status FillPage(const v1::ListAuditRecordsRequest& request,
                        v1::ListAuditRecordsResponse* response);

  broker::Broker* const broker_;
  ThreadPool* const pool_;
  const UnaryLimits limits_;
};

}  // namespace mmsmo::rpc
