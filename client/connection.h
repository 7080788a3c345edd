// How a gateway is reached, and what its failures mean to a client.

#pragma once

#include <memory>

#include "absl/status/status.h"
#include "client/subscriber.h"
#include "grpcpp/grpcpp.h"

namespace mmsmo {

std::shared_ptr<grpc::Channel> Connect(const SubscriberOptions& options);

// The message names the earliest cursor where the gateway does.
absl::Status ToAbsl(const grpc::Status& status);

// Whether it makes no sense to try again.
bool IsFinal(const absl::Status& status);

}  // namespace mmsmo
