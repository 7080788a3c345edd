#include "client/connection.h"

#include <arpa/inet.h>
#include <google/protobuf/util/time_util.h>
#include <netinet/in.h>

#include <algorithm>
#include <cctype>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/cord.h"
#include "fmt/format.h"
#include "google/rpc/error_details.pb.h"
#include "google/rpc/status.pb.h"
#include "mmsmo/defaults.h"

namespace mmsmo {
namespace {

// The channel's own waiting between connections, kept below the subscriber's.
constexpr int kMaxReconnectMillis = 1000;
// Whatever a gateway asks for.
constexpr std::chrono::milliseconds kMaxRetryDelay{60'000};

// Where the retry delay stands in an absl::Status.
constexpr char kRetryInfo[] = "type.googleapis.com/google.rpc.RetryInfo";

// What the gateway says beside the message.
struct Details {
  std::string earliest_cursor;  // to begin with
  google::rpc::RetryInfo retry;
};
Details DetailsOf(const grpc::Status& status) {
  Details details;
  google::rpc::Status packed;
  if (!packed.ParseFromString(status.error_details())) return details;
  for (const auto& any : packed.details()) {
    google::rpc::ErrorInfo info;
    if (any.UnpackTo(&details.retry) || !any.UnpackTo(&info)) continue;
    const auto it = info.metadata().find("earliest_cursor");
    if (it != info.metadata().end()) details.earliest_cursor = it->second;
  }
  return details;
}

// Of HOST, HOST:PORT and [HOST]:PORT.
std::string_view HostOf(std::string_view authority) {
  if (authority.starts_with('[')) return authority.substr(1, authority.find(']') - 1);
  const size_t colon = authority.find(':');
  const bool is_bare_ip6 =
      colon != std::string_view::npos && authority.find(':', colon + 1) != std::string_view::npos;
  return is_bare_ip6 ? authority : authority.substr(0, colon);
}

bool IsLoopback(std::string host) {
  std::transform(host.begin(), host.end(), host.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  if (host.ends_with('.')) host.pop_back();
  if (host == "localhost" || host.ends_with(".localhost")) return true;  // RFC 6761, 6.3
  in_addr ip4{};
  if (inet_pton(AF_INET, host.c_str(), &ip4) == 1) return ntohl(ip4.s_addr) >> 24 == IN_LOOPBACKNET;
  in6_addr ip6{};
  if (inet_pton(AF_INET6, host.c_str(), &ip6) != 1) return false;
  return IN6_IS_ADDR_LOOPBACK(&ip6) ||
         (IN6_IS_ADDR_V4MAPPED(&ip6) && ip6.s6_addr[12] == IN_LOOPBACKNET);
}

}  // namespace

bool IsLocal(std::string_view target) {
  if (target.starts_with("unix:") || target.starts_with("unix-abstract:")) return true;
  for (const std::string_view scheme : {"dns:", "ipv4:", "ipv6:"}) {
    if (!target.starts_with(scheme)) continue;
    target.remove_prefix(scheme.size());
    if (target.starts_with("//"))
      target.remove_prefix(std::min(target.find('/', 2), target.size()));
    if (target.starts_with('/')) target.remove_prefix(1);
    break;
  }
  return IsLoopback(std::string(HostOf(target)));
}

grpc::ChannelArguments ChannelArgumentsFor(const std::string& target,
                                           const std::string& server_name) {
  grpc::ChannelArguments arguments;
  if (!server_name.empty()) arguments.SetSslTargetNameOverride(server_name);
  arguments.SetMaxReceiveMessageSize(-1);  // bodies and events are as large as the gateway lets in
  if (IsLocal(target)) arguments.SetInt(GRPC_ARG_ENABLE_HTTP_PROXY, 0);
  return arguments;
}

absl::Status CheckToken(const std::string& target, bool encrypted, const Token* token,
                        bool send_token_unencrypted) {
  if (token == nullptr || encrypted || send_token_unencrypted || IsLocal(target))
    return absl::OkStatus();
  return absl::InvalidArgumentError(fmt::format(
      "the token would go to '{}' without encryption, where others can read it; use TLS, or say "
      "that it is to be sent unencrypted",
      target));
}

std::shared_ptr<grpc::Channel> MakeChannel(
    const std::string& target, const std::shared_ptr<grpc::ChannelCredentials>& credentials,
    const grpc::ChannelArguments& arguments, const std::shared_ptr<Token>& token) {
  if (token == nullptr) return grpc::CreateCustomChannel(target, credentials, arguments);
  std::vector<std::unique_ptr<grpc::experimental::ClientInterceptorFactoryInterface>> interceptors;
  interceptors.push_back(SendsToken(token));
  return grpc::experimental::CreateCustomChannelWithInterceptors(target, credentials, arguments,
                                                                 std::move(interceptors));
}

std::shared_ptr<grpc::Channel> Connect(const SubscriberOptions& options) {
  grpc::ChannelArguments arguments = ChannelArgumentsFor(options.target, options.server_name);
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIME_MS, static_cast<int>(defaults::kKeepaliveTime.count()));
  // A new channel is a new connection.
  arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  arguments.SetInt(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS,
                   static_cast<int>(options.min_backoff.count()));
  arguments.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, kMaxReconnectMillis);
  return MakeChannel(options.target,
                     options.credentials ? options.credentials : grpc::InsecureChannelCredentials(),
                     arguments, options.token);
}

// The two libraries number the codes alike.
absl::Status ToAbsl(const grpc::Status& status) {
  std::string message = status.error_message() + TlsRemedy(status.error_message());
  const Details details = DetailsOf(status);
  if (!details.earliest_cursor.empty()) {
    message += fmt::format("; the earliest cursor is {}", details.earliest_cursor);
  }
  absl::Status result(static_cast<absl::StatusCode>(status.error_code()), message);
  if (details.retry.has_retry_delay()) {
    result.SetPayload(kRetryInfo, absl::Cord(details.retry.SerializeAsString()));
  }
  return result;
}

std::chrono::milliseconds RetryDelayOf(const absl::Status& status) {
  google::rpc::RetryInfo info;
  const auto payload = status.GetPayload(kRetryInfo);
  if (!payload || !info.ParseFromString(std::string(*payload))) return std::chrono::milliseconds(0);
  const int64_t wanted =
      google::protobuf::util::TimeUtil::DurationToMilliseconds(info.retry_delay());
  return std::clamp(std::chrono::milliseconds(wanted), std::chrono::milliseconds(0),
                    kMaxRetryDelay);
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
