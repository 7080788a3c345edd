#include "gateway/rpc/server.h"

#include <google/protobuf/stubs/logging.h>
#include <grpc/grpc.h>
#include <grpc/support/log.h>
#include <grpcpp/ext/proto_server_reflection_plugin.h>
#include <grpcpp/grpcpp.h>
#include <grpcpp/health_check_service_interface.h>
#include <grpcpp/impl/server_builder_option.h>
#include <grpcpp/server_posix.h>

#include <string_view>
#include <utility>
#include <vector>

#include "gateway/base/byte_budget.h"
#include "gateway/base/log.h"
#include "gateway/base/status.h"
#include "gateway/base/thread_pool.h"
#include "gateway/base/unix_socket.h"
#include "gateway/rpc/audit_service.h"
#include "gateway/rpc/call_limit.h"
#include "gateway/rpc/credentials.h"
#include "gateway/rpc/gate.h"
#include "gateway/rpc/health_service.h"
#include "gateway/rpc/listener.h"
#include "gateway/rpc/mms_mo_service.h"
#include "gateway/rpc/quarantine_service.h"
#include "gateway/rpc/subscription_service.h"

namespace mmsmo::rpc {
namespace {

constexpr int kKeepaliveMillis = 30'000;
constexpr int kKeepaliveTimeoutMillis = 20'000;
// README.md tells clients this one.
constexpr int kMinClientPingMillis = 5'000;
// 32 KiB of a client's own, and what gRPC itself says of a call.
constexpr int kMaxMetadataBytes = 34 << 10;
constexpr std::chrono::milliseconds kLastCalls{200};
constexpr int kStoreThreads = 2;
constexpr int kStoreNiceness = 5;
constexpr int kListThreads = 2;
constexpr int kListNiceness = 10;
constexpr int kAdministrationThreads = 4;
constexpr int kAdministrationNiceness = 10;
constexpr int kMostReprocessing = 16;

// Whoever links the library of reflection serves it, unless it is taken away.
class WithoutReflection final : public grpc::ServerBuilderOption {
 public:
  void UpdateArguments(grpc::ChannelArguments*) override {}
  void UpdatePlugins(std::vector<std::unique_ptr<grpc::ServerBuilderPlugin>>* plugins) override {
    std::erase_if(*plugins, [](const auto& plugin) {
      return dynamic_cast<grpc::reflection::ProtoServerReflectionPlugin*>(plugin.get()) != nullptr;
    });
  }
};

class GrpcServer final : public Server {
 public:
  GrpcServer(const ServerOptions& options, broker::Broker* broker, const Clock& clock,
             Metrics& metrics)
      : limits_(options.limits),
        parties_(options.limits.connections_per_address),
        connections_limit_{
            .most = options.limits.connections,
            .open = metrics.Gauge("mmsmo_grpc_connections", "Open connections of gRPC."),
            .refused = metrics.Counter("mmsmo_grpc_refused_total", "What a limit refused.",
                                       {{"limit", "connections"}}),
            .parties = &parties_,
            .proxies = options.proxies,
            .refused_party = metrics.Counter("mmsmo_grpc_refused_total", "What a limit refused.",
                                             {{"limit", "connections_per_address"}})},
        call_bytes_(options.limits.call_bytes),
        opening_bytes_(options.limits.call_bytes),
        frame_bytes_(options.limits.frame_bytes),
        calls_("unary", "max-calls", options.limits.calls, metrics),
        streams_("stream", "max-streams", options.limits.streams, metrics),
        reprocessing_("reprocess", "ReprocessQuarantined", kMostReprocessing, metrics),
        gate_([this](std::string_view peer) { return listener_->UidOf(peer); },
              options.certificates, &broker->subscriptions(), clock, &live_, metrics),
        live_(options.delivery_threads),
        service_({.heartbeat_interval = options.heartbeat_interval,
                  .unary = Unary(metrics),
                  .streams = &streams_,
                  .opening_bytes = &opening_bytes_,
                  .frame_bytes = &frame_bytes_},
                 broker, {.live = &live_, .store = &store_, .lists = &lists_}, clock, metrics),
        subscriptions_(broker, &administration_, Unary(metrics)),
        audit_(broker, &lists_, Unary(metrics)),
        health_(Unary(metrics)),
        quarantine_(broker, &lists_,
                    {.unary = Unary(metrics),
                     .reprocessing = &reprocessing_,
                     .in_flight = options.in_flight}) {
    metrics.AddSampler([this]() -> std::vector<prometheus::MetricFamily> {
      return {Metrics::GaugeFamily("mmsmo_call_bytes",
                                   "Bytes of what calls that are under way ask for.",
                                   static_cast<double>(call_bytes_.held())),
              Metrics::GaugeFamily("mmsmo_grpc_connections_of_one_address",
                                   "Open connections of the address that has most of gRPC's, "
                                   "where that is limited.",
                                   parties_.Highest()),
              Metrics::GaugeFamily("mmsmo_frame_bytes",
                                   "Bytes of frames that their streams have not taken yet.",
                                   static_cast<double>(frame_bytes_.held()))};
    });
  }
  ~GrpcServer() override { Stop(std::chrono::steady_clock::now()); }

  absl::Status Listen(const ServerOptions& options) {
    if (options.certificates != nullptr && IsUnixAddress(options.listen))
      return InvalidArgument("grpc-listen: '{}' takes no TLS; only TCP does", options.listen);
    gate_.SetIdentities(options.identities);
    auto listener = Listener::Listen(options.listen, options.socket_mode);
    if (!listener.ok()) return listener.status();
    listener_ = *std::move(listener);
    grpc::EnableDefaultHealthCheckService(options.health_open);
    grpc::reflection::InitProtoReflectionServerBuilderPlugin();
    grpc::ServerBuilder builder;
    if (!options.reflection) builder.SetOption(std::make_unique<WithoutReflection>());
    using Connections = grpc::ServerBuilder::experimental_type::ExternalConnectionType;
    connections_ = builder.experimental().AddExternalConnectionAcceptor(
        Connections::FROM_FD, options.certificates != nullptr ? TlsCredentials(options.certificates)
                                                              : grpc::InsecureServerCredentials());
    builder.AddChannelArgument(GRPC_ARG_SERVER_HANDSHAKE_TIMEOUT_MS,
                               static_cast<int>(options.handshake_timeout.count()));
    builder.AddChannelArgument(GRPC_ARG_MAX_CONCURRENT_STREAMS, limits_.streams_a_connection);
    builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_TIME_MS, kKeepaliveMillis);
    builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, kKeepaliveTimeoutMillis);
    builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_PERMIT_WITHOUT_CALLS, 1);
    builder.AddChannelArgument(GRPC_ARG_HTTP2_MIN_RECV_PING_INTERVAL_WITHOUT_DATA_MS,
                               kMinClientPingMillis);
    builder.AddChannelArgument(GRPC_ARG_MAX_METADATA_SIZE, kMaxMetadataBytes);
    // Reflection is the only synchronous service.
    builder.SetSyncServerOption(grpc::ServerBuilder::NUM_CQS, 1);
    builder.SetSyncServerOption(grpc::ServerBuilder::MIN_POLLERS, 1);
    builder.SetSyncServerOption(grpc::ServerBuilder::MAX_POLLERS, 2);
    builder.RegisterService(&service_);
    builder.RegisterService(&subscriptions_);
    builder.RegisterService(&quarantine_);
    builder.RegisterService(&audit_);
    if (!options.health_open) builder.RegisterService(&health_);
    server_ = builder.BuildAndStart();
    if (!server_) return FailedPrecondition("grpc-listen: the gRPC server does not start");
    for (const char* name :
         {v1::MmsMoService::service_full_name(), v1::SubscriptionService::service_full_name(),
          v1::QuarantineService::service_full_name(), v1::AuditService::service_full_name()}) {
      health_.Add(name);
      if (options.health_open) server_->GetHealthCheckService()->SetServingStatus(name, true);
    }
    const bool is_unix = IsUnixAddress(options.listen);
    listener_->Start(connections_limit_, [this, is_unix](int fd) { HandOver(fd, is_unix); });
    return absl::OkStatus();
  }

  const std::string& address() const override { return listener_->address(); }
  bool loopback() const override { return listener_->loopback(); }

  void SetIdentities(std::shared_ptr<const access::Identities> identities) override {
    gate_.SetIdentities(std::move(identities));
  }

  void JudgeCertificates() override { gate_.JudgeCertificates(); }

  void SetServing(bool serving) override {
    health_.SetServing(serving);
    if (auto* const open = server_->GetHealthCheckService()) open->SetServingStatus(serving);
  }

  void Drain(std::chrono::steady_clock::time_point close_at) override {
    quarantine_.Drain();
    service_.Drain(close_at);
  }

  void Stop(std::chrono::steady_clock::time_point deadline) override {
    if (!server_) return;
    service_.WaitForStreams(deadline);
    listener_->Stop();
    // What is left are calls that are about to end, and connections without any: a client that does
    // not look at its connection does not see that it is asked to close it.
    server_->Shutdown(std::chrono::system_clock::now() + kLastCalls);
    server_->Wait();
    work_.Wait();
    server_.reset();
  }

 private:
  // gRPC names the peer of a unix connection by the descriptor, and that of any other by its
  // address.
  void HandOver(int fd, bool is_unix) {
    if (is_unix) return grpc::AddInsecureChannelFromFd(server_.get(), fd);
    grpc::experimental::ExternalConnectionAcceptor::NewConnectionParameters connection;
    connection.fd = fd;
    connections_->HandleNewConnection(&connection);
  }

  UnaryLimits Unary(Metrics& metrics) {
    return {.gate = &gate_,
            .calls = &calls_,
            .bytes = &call_bytes_,
            .work = &work_,
            .over_bytes = &metrics.Counter("mmsmo_grpc_refused_total", "What a limit refused.",
                                           {{"limit", "call_bytes"}})};
  }

  const Limits limits_;
  access::PartyLimit parties_;  // of connections
  const ConnectionLimit connections_limit_;
  OpenWork work_;
  ByteBudget call_bytes_;
  ByteBudget opening_bytes_;
  ByteBudget frame_bytes_;
  CallLimit calls_;
  CallLimit streams_;
  CallLimit reprocessing_;
  Gate gate_;  // before the pools, whose last tasks may ask it
  // Nobody waits for what takes longer than his own work does: streams that have caught up for
  // those that read the store, these for lists, and none of them for calls that write.
  ThreadPool live_;
  ThreadPool store_{kStoreThreads, kStoreNiceness};
  ThreadPool lists_{kListThreads, kListNiceness};
  ThreadPool administration_{kAdministrationThreads, kAdministrationNiceness};
  MmsMoService service_;
  SubscriptionService subscriptions_;
  AuditService audit_;
  HealthService health_;  // where not everybody is answered
  QuarantineService quarantine_;
  std::unique_ptr<grpc::experimental::ExternalConnectionAcceptor> connections_;
  std::unique_ptr<grpc::Server> server_;
  std::unique_ptr<Listener> listener_;
};

// The library is kept for good: its shutdown waits for ever for a thread that could not be created.
void KeepLibrary() { [[maybe_unused]] static const bool kKept = (grpc_init(), true); }

// The libraries' own logs would wait for whoever reads stderr.
void TakeLogs() {
  gpr_set_log_function([](gpr_log_func_args* line) {
    Log()->log(
        line->severity == GPR_LOG_SEVERITY_ERROR ? spdlog::level::warn : spdlog::level::debug,
        "grpc: {}", line->message);
  });
  google::protobuf::SetLogHandler(
      [](google::protobuf::LogLevel level, const char*, int, const std::string& message) {
        Log()->log(
            level >= google::protobuf::LOGLEVEL_ERROR ? spdlog::level::warn : spdlog::level::debug,
            "protobuf: {}", message);
      });
}

}  // namespace

absl::StatusOr<std::unique_ptr<Server>> Server::Start(const ServerOptions& options,
                                                      broker::Broker* broker, const Clock& clock,
                                                      Metrics& metrics) {
  TakeLogs();
  KeepLibrary();
  auto server = std::make_unique<GrpcServer>(options, broker, clock, metrics);
  if (auto status = server->Listen(options); !status.ok()) return status;
  return std::unique_ptr<Server>(std::move(server));
}

}  // namespace mmsmo::rpc
