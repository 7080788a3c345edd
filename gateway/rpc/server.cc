#include "gateway/rpc/server.h"

#include <grpcpp/ext/proto_server_reflection_plugin.h>
#include <grpcpp/grpcpp.h>
#include <grpcpp/health_check_service_interface.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <utility>

#include "absl/strings/match.h"
#include "gateway/base/status.h"
#include "gateway/rpc/delivery_pool.h"
#include "gateway/rpc/mms_mo_service.h"
#include "gateway/rpc/quarantine_service.h"
#include "gateway/rpc/subscription_service.h"

namespace mmsmo::rpc {
namespace {

constexpr std::string_view kUnixPrefix = "unix:";
constexpr int kKeepaliveMillis = 30'000;
constexpr int kKeepaliveTimeoutMillis = 20'000;
constexpr int kMinClientPingMillis = 5'000;
constexpr std::chrono::milliseconds kLastCalls{200};

// A socket file that a killed process left behind keeps nobody out; one that is served does.
absl::Status ClearStaleSocket(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.empty() || path.size() >= sizeof address.sun_path) {
    return InvalidArgument("grpc-listen: a unix socket's path has from 1 to {} bytes",
                           sizeof address.sun_path - 1);
  }
  path.copy(address.sun_path, path.size());
  const int probe = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (probe < 0) return absl::OkStatus();
  const bool served =
      connect(probe, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0;
  close(probe);
  if (served)
    return FailedPrecondition(
        "grpc-listen: {} is served by another process; stop it, or choose another path", path);
  unlink(path.c_str());
  return absl::OkStatus();
}

class GrpcServer final : public Server {
 public:
  GrpcServer(const ServerOptions& options, broker::Broker* broker, const Clock& clock,
             Metrics& metrics)
      : pool_(options.delivery_threads),
        service_({.heartbeat_interval = options.heartbeat_interval}, broker, &pool_, clock,
                 metrics),
        subscriptions_(broker, &administration_),
        quarantine_(broker, &pool_) {}
  ~GrpcServer() override { Stop(std::chrono::steady_clock::now()); }

  absl::Status Listen(const std::string& listen) {
    grpc::EnableDefaultHealthCheckService(true);
    grpc::reflection::InitProtoReflectionServerBuilderPlugin();
    grpc::ServerBuilder builder;
    int port = 0;
    builder.AddListeningPort(listen, grpc::InsecureServerCredentials(), &port);
    builder.AddChannelArgument(GRPC_ARG_ALLOW_REUSEPORT, 0);
    builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_TIME_MS, kKeepaliveMillis);
    builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, kKeepaliveTimeoutMillis);
    builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_PERMIT_WITHOUT_CALLS, 1);
    builder.AddChannelArgument(GRPC_ARG_HTTP2_MIN_RECV_PING_INTERVAL_WITHOUT_DATA_MS,
                               kMinClientPingMillis);
    // Reflection is the only synchronous service.
    builder.SetSyncServerOption(grpc::ServerBuilder::NUM_CQS, 1);
    builder.SetSyncServerOption(grpc::ServerBuilder::MIN_POLLERS, 1);
    builder.SetSyncServerOption(grpc::ServerBuilder::MAX_POLLERS, 2);
    builder.RegisterService(&service_);
    builder.RegisterService(&subscriptions_);
    builder.RegisterService(&quarantine_);
    server_ = builder.BuildAndStart();
    const bool is_unix =
        absl::StartsWith(listen, absl::string_view(kUnixPrefix.data(), kUnixPrefix.size()));
    if (!server_ || (!is_unix && port == 0)) {
      return FailedPrecondition(
          "grpc-listen: cannot listen on '{}'; give HOST:PORT or unix:PATH that is free", listen);
    }
    address_ = is_unix ? listen : fmt::format("{}:{}", listen.substr(0, listen.rfind(':')), port);
    loopback_ = is_unix || absl::StartsWith(listen, "127.") ||
                absl::StartsWith(listen, "localhost:") || absl::StartsWith(listen, "[::1]:");
    return absl::OkStatus();
  }

  const std::string& address() const override { return address_; }
  bool loopback() const override { return loopback_; }

  void SetServing(bool serving) override {
    if (auto* health = server_->GetHealthCheckService()) health->SetServingStatus(serving);
  }

  void Drain(std::chrono::steady_clock::time_point close_at) override {
    quarantine_.Drain();
    service_.Drain(close_at);
  }

  void Stop(std::chrono::steady_clock::time_point deadline) override {
    if (!server_) return;
    service_.WaitForStreams(deadline);
    // What is left are calls that are about to end, and connections without any: a client that does
    // not look at its connection does not see that it is asked to close it.
    server_->Shutdown(std::chrono::system_clock::now() + kLastCalls);
    server_->Wait();
    server_.reset();
  }

 private:
  DeliveryPool pool_;
  // Calls that may write, for which no stream should wait.
  DeliveryPool administration_{1};
  MmsMoService service_;
  SubscriptionService subscriptions_;
  QuarantineService quarantine_;
  std::unique_ptr<grpc::Server> server_;
  std::string address_;
  bool loopback_ = false;
};

}  // namespace

absl::StatusOr<std::unique_ptr<Server>> Server::Start(const ServerOptions& options,
                                                      broker::Broker* broker, const Clock& clock,
                                                      Metrics& metrics) {
  if (options.listen.starts_with(kUnixPrefix)) {
    if (auto status = ClearStaleSocket(options.listen.substr(kUnixPrefix.size())); !status.ok())
      return status;
  }
  auto server = std::make_unique<GrpcServer>(options, broker, clock, metrics);
  if (auto status = server->Listen(options.listen); !status.ok()) return status;
  return std::unique_ptr<Server>(std::move(server));
}

}  // namespace mmsmo::rpc
