#include "client/connection.h"

#include <string>

#include "fmt/format.h"
#include "google/rpc/error_details.pb.h"
#include "google/rpc/status.pb.h"

namespace mmsmo {
namespace {

constexpr int kKeepaliveMillis = 30'000;
// The channel's own waiting between connections, kept below the subscriber's.
constexpr int kMaxReconnectMillis = 1000;

// The cursor to begin with, where the gateway names it.
std::string EarliestCursor(const grpc::Status& status) {
  google::rpc::Status details;
  if (!details.ParseFromString(status.error_details())) return "";
  for (const auto& any : details.details()) {
    google::rpc::ErrorInfo info;
    if (!any.UnpackTo(&info)) continue;
    const auto it = info.metadata().find("earliest_cursor");
    if (it != info.metadata().end()) return it->second;
  }
  return "";
}

}  // namespace

std::shared_ptr<grpc::Channel> Connect(const SubscriberOptions& options) {
  grpc::ChannelArguments arguments;
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIME_MS, kKeepaliveMillis);
  arguments.SetInt(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS,
                   static_cast<int>(options.min_backoff.count()));
  arguments.SetMaxReceiveMessageSize(-1);  // an event is as large as the gateway lets in
  arguments.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, kMaxReconnectMillis);
  return grpc::CreateCustomChannel(
      options.target,
      options.credentials ? options.credentials : grpc::InsecureChannelCredentials(), arguments);
}

// The two libraries number the codes alike.
absl::Status ToAbsl(const grpc::Status& status) {
  std::string message = status.error_message();
  if (const std::string earliest = EarliestCursor(status); !earliest.empty()) {
    message += fmt::format("; the earliest cursor is {}", earliest);
  }
  return absl::Status(static_cast<absl::StatusCode>(status.error_code()), message);
}

bool IsFinal(const absl::Status& status) {
  switch (status.code()) {
    case absl::StatusCode::kInvalidArgument:
    case absl::StatusCode::kNotFound:
    case absl::StatusCode::kPermissionDenied:
    case absl::StatusCode::kUnauthenticated:
    case absl::StatusCode::kUnimplemented:
    case absl::StatusCode::kFailedPrecondition:
    case absl::StatusCode::kOutOfRange:
      return true;
    default:
      return false;
  }
}

}  // namespace mmsmo
