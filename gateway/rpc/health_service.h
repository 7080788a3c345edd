// grpc.health.v1.Health for those who may call: gRPC's own answers everybody.

#pragma once

#include <set>
#include <string>

#include "gateway/rpc/unary_call.h"
#include "health/v1/health.grpc.pb.h"
#include "mutex.h"

namespace mmsmo::rpc {

// Check only: a client that would watch is told that it cannot, and goes without. Thread-safe.
class HealthService final : public grpc::health::v1::Health::CallbackService {
 public:
  // All must outlive the service.
  explicit HealthService(const UnaryLimits& limits) : limits_(limits) {}

  // A service whose health is told, beside that of the server, whose name is empty.
  void Add(const std::string& service);
  // Of all of them.
  void SetServing(bool serving);

  grpc::ServerUnaryReactor* Check(grpc::CallbackServerContext* context,
                                  const grpc::health::v1::HealthCheckRequest* request,
                                  grpc::health::v1::HealthCheckResponse* response) override;

 private:
  const UnaryLimits limits_;

  Mutex mu_;
  bool serving_ ABSL_GUARDED_BY(mu_) = true;
  std::set<std::string> services_ ABSL_GUARDED_BY(mu_) = {""};
};

}  // namespace mmsmo::rpc
