#include "client/gateway_stub.h"

#include <utility>

#include "client/connection.h"

namespace mmsmo {

std::shared_ptr<v1::MmsMoService::Stub> GatewayStub::Get() const {
  const MutexLock lock(&mu_);
  return stub_;
}

void GatewayStub::Renew() {
  std::shared_ptr<v1::MmsMoService::Stub> stub = v1::MmsMoService::NewStub(Connect(options_));
  const MutexLock lock(&mu_);
  stub_.swap(stub);
}

}  // namespace mmsmo
