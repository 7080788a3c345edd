// The one function from absl::Status to gRPC.

#pragma once

#include <grpcpp/support/status.h>

#include <cstdint>
#include <string_view>

#include "absl/status/status.h"

namespace mmsmo::rpc {

// A status with a reason (see base/status.h) carries it in upper case as google.rpc.ErrorInfo of
// the domain "mmsmo.v1" (AIP-193). UNAVAILABLE carries google.rpc.RetryInfo, and so does what has a
// delay. What is INTERNAL is told to the log only.
grpc::Status ToGrpc(const absl::Status& status);

// The status with the time after which another try may succeed.
absl::Status WithRetryAfter(absl::Status status, int64_t micros);

// An engine's error with the request's field in front: of the engine's errors those that are about
// what it was given, InvalidArgument and OutOfRange; any other as it is.
absl::Status InField(std::string_view field, const absl::Status& status);

}  // namespace mmsmo::rpc
