#include "gateway/rpc/health_service.h"

#include "gateway/base/status.h"

namespace mmsmo::rpc {

using grpc::health::v1::HealthCheckResponse;

void HealthService::Add(const std::string& service) {
  MutexLock lock(&mu_);
  services_.insert(service);
}

void HealthService::SetServing(bool serving) {
  MutexLock lock(&mu_);
  serving_ = serving;
}

grpc::ServerUnaryReactor* HealthService::Check(grpc::CallbackServerContext* context,
                                               const grpc::health::v1::HealthCheckRequest* request,
                                               HealthCheckResponse* response) {
  UnaryCall* const call = UnaryCall::Begin(limits_, *context, *request, {});
  if (call->refused()) return call;
  call->pending()->Answer([&] {
    MutexLock lock(&mu_);
    if (!services_.contains(request->service())) return NotFound("service: there is none");
    response->set_status(serving_ ? HealthCheckResponse::SERVING
                                  : HealthCheckResponse::NOT_SERVING);
    return absl::OkStatus();
  });
  return call;
}

}  // namespace mmsmo::rpc
