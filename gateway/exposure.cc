#include "gateway/exposure.h"

#include <string_view>
#include <utility>
#include <vector>

#include "gateway/access/address.h"
#include "gateway/base/status.h"
#include "gateway/base/unix_socket.h"

namespace mmsmo {
namespace {

constexpr std::string_view kElsewhere =
    "listen on 127.0.0.1 or unix:PATH behind a proxy that encrypts";

// Who can reach whoever listens there.
enum class Reach {
  kThisMachine,  // on a unix socket, or at an address of the loopback network
  kOthers,
  kUnknown,  // a name, or nothing that one can listen at
};

Reach ReachOf(std::string_view listen) {
  if (IsUnixAddress(listen)) return Reach::kThisMachine;
  const std::string_view host = listen.substr(0, listen.rfind(':'));
  if (host == "localhost") return Reach::kThisMachine;
  const auto address = access::ParseAddress(host);
  if (!address) return Reach::kUnknown;
  static const std::vector<access::AddressRange> kLoopback = {
      *access::AddressRange::Parse("127.0.0.0/8"), *access::AddressRange::Parse("::1")};
  return IsIn(kLoopback, *address) ? Reach::kThisMachine : Reach::kOthers;
}

// It listens at addresses only.
absl::Status CheckHttp(const Config& config) {
  if (config.insecure_http || ReachOf(config.http_listen) != Reach::kOthers)
    return absl::OkStatus();
  for (const access::EndpointSettings& endpoint : config.endpoints) {
    if (!endpoint.IsOpen()) continue;
    return InvalidArgument(
        "http-listen: other machines can reach {}, and endpoint '{}' has no check: declare it as "
        "[[endpoint]] in the file of --config with basic, bearer, header, hmac, path-secret-file, "
        "client-certificate or allow-from; or {}; or give --insecure=http to let everybody in",
        config.http_listen, endpoint.name, kElsewhere);
  }
  if (config.http_tls.enabled()) return absl::OkStatus();
  return InvalidArgument(
      "http-listen: other machines can reach {}, without encryption: give --http-tls-cert and "
      "--http-tls-key; or {}; or give --insecure=http where something in front encrypts",
      config.http_listen, kElsewhere);
}

// A name may be any address.
absl::Status CheckGrpc(const Config& config) {
  if (config.insecure_grpc || ReachOf(config.grpc_listen) == Reach::kThisMachine)
    return absl::OkStatus();
  if (config.identities.empty()) {
    return InvalidArgument(
        "grpc-listen: other machines can reach {}, and everybody may do everything: declare an "
        "[[identity]] in the file of --config for each who may; or {}; or give --insecure=grpc to "
        "let everybody in",
        config.grpc_listen, kElsewhere);
  }
  if (config.grpc_tls.enabled()) return absl::OkStatus();
  return InvalidArgument(
      "grpc-listen: other machines can reach {}, without encryption: give --grpc-tls-cert and "
      "--grpc-tls-key; or {}; or give --insecure=grpc where something in front encrypts",
      config.grpc_listen, kElsewhere);
}

}  // namespace

absl::Status CheckExposure(const Config& config) {
  if (config.ephemeral) {
    for (const auto& [setting, listen] : {std::pair("http", &config.http_listen),
                                          {"grpc", &config.grpc_listen},
                                          {"admin", &config.admin_listen}}) {
      if (ReachOf(*listen) != Reach::kThisMachine) {
        return InvalidArgument(
            "{}-listen: {} is not only for this machine, as everything is with --ephemeral",
            setting, *listen);
      }
    }
  }
  if (auto status = CheckHttp(config); !status.ok()) return status;
  return CheckGrpc(config);
}

}  // namespace mmsmo
