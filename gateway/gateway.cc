#include "gateway/gateway.h"

#include <poll.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <future>
#include <memory>
#include <new>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "gateway/base/clock.h"
#include "gateway/base/log.h"
#include "gateway/base/metrics.h"
#include "gateway/base/poller.h"
#include "gateway/base/status.h"
#include "gateway/base/unix_socket.h"
#include "gateway/declared_subscriptions.h"
#include "gateway/embedded/broker.h"
#include "gateway/ephemeral.h"
#include "gateway/http/admin.h"
#include "gateway/http/message.h"
#include "gateway/http/postbacks.h"
#include "gateway/http/server.h"
#include "gateway/ingest/ingest.h"
#include "gateway/limit_metrics.h"
#include "gateway/live_settings.h"
#include "gateway/log_metrics.h"
#include "gateway/rpc/server.h"

namespace mmsmo {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

int ThreadsFor(int setting) {
  return setting > 0 ? setting
                     : static_cast<int>(std::clamp(std::thread::hardware_concurrency(), 1u, 4u));
}

// Beside the drain timeout, closing everything may take so long.
constexpr unsigned kCloseSeconds = 10;
// How often it is looked at what a running gateway is to do, and whether one has opened.
constexpr milliseconds kLookEvery{1'000};
constexpr milliseconds kLookAtOpeningEvery{10};
constexpr milliseconds kLookAtFilesEvery{5'000};

// Whoever runs the gateway starts it again; nothing that was answered is lost by it. Can be called
// by a signal's handler, and without memory. Says why only where that does not block.
[[noreturn]] void Die(std::string_view why) {
  pollfd room{.fd = STDERR_FILENO, .events = POLLOUT, .revents = 0};
  if (poll(&room, 1, 0) == 1) {
    [[maybe_unused]] const ssize_t written = write(STDERR_FILENO, why.data(), why.size());
  }
  _exit(1);
}

// What does not close, as gRPC does not after a thread of it could not be created, must not keep
// the gateway down.
void LimitClosing(const Config& config) {
  std::signal(SIGALRM, [](int) { Die("closing takes too long: ending without it\n"); });
  alarm(static_cast<unsigned>(config.drain_timeout / 1000) + kCloseSeconds);
}

// As many connections as the system allows. Out of memory it ends: of an exception in a callback
// gRPC says nothing, and the call would never end.
void PrepareProcess() {
  std::set_new_handler([] { Die("out of memory: ending\n"); });
  rlimit files{};
  if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
  }
}

// Signals are taken by WaitForSignal alone.
class Signals {
 public:
  Signals() {
    std::signal(SIGPIPE, SIG_IGN);
    sigemptyset(&set_);
    sigaddset(&set_, SIGHUP);
    sigaddset(&set_, SIGTERM);
    sigaddset(&set_, SIGINT);
    pthread_sigmask(SIG_BLOCK, &set_, nullptr);
  }
  // The signal that came within that time, or 0.
  int Wait(milliseconds at_most) const {
    const auto seconds = std::chrono::floor<std::chrono::seconds>(at_most);
    const timespec time{.tv_sec = seconds.count(),
                        .tv_nsec = std::chrono::nanoseconds(at_most - seconds).count()};
    const int signal = sigtimedwait(&set_, nullptr, &time);
    return signal > 0 ? signal : 0;
  }
  // From now on a signal ends the process, as a second Ctrl-C should, but for SIGHUP.
  void Release() const {
    std::signal(SIGHUP, SIG_IGN);
    pthread_sigmask(SIG_UNBLOCK, &set_, nullptr);
  }

 private:
  sigset_t set_;
};

embedded::Options EmbeddedOptions(const Config& config) {
  return {
      .data_dir = config.data_dir,
      .keep_raw = config.keep_raw,
      .retention_age_micros = config.retention_age * 1000,
      .retention_bytes = config.retention_bytes,
      .rejected_budget = {config.quarantine_rejected_count, config.quarantine_rejected_bytes},
      .not_mms_mo_budget = {config.quarantine_not_mms_mo_count, config.quarantine_not_mms_mo_bytes},
      .kept_budget = {config.quarantine_kept_count, config.quarantine_kept_bytes},
      .quarantine_age_micros = config.quarantine_age * 1000,
      .audit_age_micros = config.audit_age * 1000,
      .audit_bytes = config.audit_bytes,
      .resume_window_micros = config.resume_window * 1000,
      .max_dead_letters = config.dead_letters_count,
      .max_dead_letter_bytes = config.dead_letters_bytes,
      .newest_bytes = config.newest_bytes};
}

http::ServerOptions PostbackServerOptions(const Config& config, tls::Certificates* certificates) {
  return {.name = "postbacks",
          .setting = "http-listen",
          .listen = config.http_listen,
          .certificates = certificates,
          .threads = ThreadsFor(config.http_threads),
          .max_header_bytes = config.max_header_bytes,
          .max_body_bytes = config.max_body_bytes,
          .max_in_flight_bytes = static_cast<int64_t>(config.max_in_flight_bytes),
          .max_connections = config.max_connections,
          .max_connections_per_address = config.max_connections_per_address,
          .header_timeout = milliseconds(config.header_timeout),
          .body_timeout = milliseconds(config.body_timeout),
          .idle_timeout = milliseconds(config.idle_timeout),
          .write_timeout = milliseconds(config.write_timeout),
          .access_log_rate = config.access_log_rate,
          .proxies = config.trusted_proxies,
          .proxy_protocol = config.http_proxy_protocol};
}

// What goes on when everything is opened anew: a file that is broken by then changes nothing.
struct Lasting {
  Metrics metrics;
  std::unique_ptr<LiveSettings> live;  // null before the first opening
  bool has_watch = false;              // over standard input
};

// Declared in the order in which they depend on each other. The broker goes before the HTTP
// servers: until then it may still complete appends, which post to their threads' queues.
struct Parts {
  explicit Parts(Lasting& lasting) : metrics(lasting.metrics), live(lasting.live) {}
  ~Parts() { metrics.ForgetSamplers(); }

  std::atomic<bool> ending{false};    // and so not ready, but serving as before
  std::atomic<bool> draining{false};  // takes nothing new
  Metrics& metrics;
  std::unique_ptr<LiveSettings>& live;
  std::vector<std::shared_ptr<http::Endpoint>> endpoints;
  std::unique_ptr<http::Server> postbacks;
  std::unique_ptr<http::Server> admin;
  std::unique_ptr<ingest::Ingest> ingest;
  std::unique_ptr<embedded::EmbeddedBroker> broker;
  std::unique_ptr<rpc::Server> grpc;
  std::atomic<bool> reload{false};  // asked for
  std::unique_ptr<Poller> poller;

  absl::Status Ready() const {
    if (ending) return Unavailable("draining: this gateway is shutting down");
    return broker->Ready();
  }
};

rpc::ServerOptions GrpcServerOptions(const Config& config, const Parts& parts) {
  return {.listen = config.grpc_listen,
          .socket_mode = config.grpc_socket_mode,
          .certificates = parts.live->certificates().grpc.get(),
          .delivery_threads = ThreadsFor(config.delivery_threads),
          .heartbeat_interval = milliseconds(config.heartbeat_interval),
          .limits = {.connections = config.max_grpc_connections,
                     .connections_per_address = config.max_grpc_connections_per_address,
                     .streams = config.max_streams,
                     .streams_a_connection = config.max_streams_per_connection,
                     .calls = config.max_calls,
                     .call_bytes = static_cast<int64_t>(config.max_call_bytes),
                     .frame_bytes = static_cast<int64_t>(config.max_frame_bytes)},
          .identities = parts.live->identities(),
          .reflection = config.reflection_open == "true" ||
                        (config.reflection_open == "auto" && config.identities.empty()),
          .health_open = config.health_open,
          .proxies = config.trusted_proxies,
          .in_flight = parts.postbacks->in_flight()};
}

// Of endpoints whose access is that; what is counted of those that have not changed goes on.
http::Server::MakeRoutes PostbackRoutes(const access::Endpoints& endpoints, size_t max_body_bytes,
                                        Parts& parts) {
  std::vector<std::shared_ptr<http::Endpoint>> served;
  for (const auto& access : endpoints) {
    const auto same = std::find_if(parts.endpoints.begin(), parts.endpoints.end(),
                                   [&](const auto& one) { return &one->access() == access.get(); });
    served.push_back(same != parts.endpoints.end()
                         ? *same
                         : std::make_shared<http::Endpoint>(access, &SystemClock(), parts.metrics));
  }
  parts.endpoints = served;
  const http::PostbackContext context{
      .ingest = parts.ingest.get(), .draining = &parts.draining, .max_body_bytes = max_body_bytes};
  return [context, served](http::Post post) {
    return http::PostbackRoutes(context, served, std::move(post));
  };
}

// From now on, what changes is taken over.
void Poll(const Config& config, Parts& parts) {
  parts.live->SetUsers(
      {.use_endpoints =
           [&parts, max_body_bytes = config.max_body_bytes](const access::Endpoints& endpoints) {
             parts.postbacks->SetRoutes(PostbackRoutes(endpoints, max_body_bytes, parts));
           },
       .use_identities =
           [&parts](std::shared_ptr<const access::Identities> identities) {
             parts.grpc->SetIdentities(std::move(identities));
           },
       .judge_certificates = [&parts] { parts.grpc->JudgeCertificates(); },
       .subscriptions = &parts.broker->subscriptions()});
  parts.poller = std::make_unique<Poller>(kLookAtFilesEvery, [&parts] {
    parts.reload.exchange(false) ? parts.live->Reload() : parts.live->Look();
  });
}

absl::Status Open(Config& config, const ReadConfig& read, Parts& parts) {
  if (parts.live == nullptr) {
    auto live = LiveSettings::Open(&config, read, parts.metrics);
    if (!live.ok()) return live.status();
    parts.live = *std::move(live);
  }
  ShowLimits(config, parts.metrics);
  auto broker =
      embedded::EmbeddedBroker::Open(EmbeddedOptions(config), SystemClock(), parts.metrics);
  if (!broker.ok()) return broker.status();
  parts.broker = *std::move(broker);
  auto declared = DeclareSubscriptions(config.subscriptions, parts.broker->subscriptions());
  if (!declared.ok()) return declared;
  parts.metrics.AddSampler([&parts] { return LogMetrics(*parts.broker); });
  parts.ingest = std::make_unique<ingest::Ingest>(parts.broker.get(), parts.metrics);
  auto postbacks = http::Server::Listen(
      PostbackServerOptions(config, parts.live->certificates().http.get()),
      PostbackRoutes(parts.live->endpoints(), config.max_body_bytes, parts), parts.metrics);
  if (!postbacks.ok()) return postbacks.status();
  parts.postbacks = *std::move(postbacks);

  auto admin = http::Server::Listen(
      {.name = "admin",
       .setting = "admin-listen",
       .listen = config.admin_listen,
       .certificates = parts.live->certificates().admin.get(),
       .max_body_bytes = 0,
       .max_connections = 100,
       .idle_grace = {},  // whoever probes has sent his request at once
       .slow_grace = {},
       .slow_bytes_a_second = 1 << 20},
      [&](const http::Post&) {
        return http::AdminRoutes([&parts] { return parts.Ready(); }, &parts.metrics,
                                 !config.admin_tls.client_ca.empty());
      },
      parts.metrics);
  if (!admin.ok()) return admin.status();
  parts.admin = *std::move(admin);

  auto grpc = rpc::Server::Start(GrpcServerOptions(config, parts), parts.broker.get(),
                                 SystemClock(), parts.metrics);
  if (!grpc.ok()) return grpc.status();
  parts.grpc = *std::move(grpc);
  return absl::OkStatus();
}

// As nginx writes URLs over unix sockets.
std::string UrlOf(const http::Server& server, std::string_view path) {
  return fmt::format("{}://{}{}{}", server.uses_tls() ? "https" : "http", server.address(),
                     IsUnixAddress(server.address()) ? ":" : "", path);
}

// What --insecure allows at an address that other machines can reach.
void WarnOf(std::string_view address, std::string_view what, bool open, bool encrypted) {
  if (open) {
    Log()->warn("everybody who can reach {} may {} there: --insecure", address, what);
  } else if (!encrypted) {
    Log()->warn("{} is not encrypted: --insecure; let nobody reach it but what encrypts in front",
                address);
  }
}

void Serve(const Config& config, Parts& parts) {
  parts.admin->Start();
  parts.postbacks->Start();
  for (const access::EndpointSettings& endpoint : config.endpoints) {
    Log()->info("postbacks: {}{}", UrlOf(*parts.postbacks, endpoint.path),
                endpoint.path_secrets.empty() ? "" : "/SECRET");
  }
  Log()->info("subscribers: grpc {}", parts.grpc->address());
  Log()->info("admin: {}", UrlOf(*parts.admin, "/readyz"));
  if (parts.postbacks->loopback() && parts.grpc->loopback()) {
    Log()->info(
        "only this machine can reach this gateway; --http-listen and --grpc-listen open it to "
        "others, with TLS and checks of who they are");
  }
  if (!parts.postbacks->loopback() && config.insecure_http) {
    WarnOf(parts.postbacks->address(), "post",
           std::any_of(config.endpoints.begin(), config.endpoints.end(),
                       [](const access::EndpointSettings& one) { return one.IsOpen(); }),
           config.http_tls.enabled());
  }
  if (!parts.grpc->loopback() && config.insecure_grpc)
    WarnOf(parts.grpc->address(), "subscribe", config.identities.empty(),
           config.grpc_tls.enabled());
}

// For the program that has started it.
void PrintAddresses(const Parts& parts) {
  std::string line;
  const auto add = [&line](std::string_view name, std::string_view address) {
    line += line.empty() ? '{' : ',';
    http::AppendJsonString(name, &line);
    line += ':';
    http::AppendJsonString(address, &line);
  };
  add("http", parts.postbacks->address());
  add("grpc", parts.grpc->address());
  add("admin", parts.admin->address());
  line += "}\n";
  std::fputs(line.c_str(), stdout);
  std::fflush(stdout);
}

const char* NameOf(int signal) { return signal == SIGTERM ? "SIGTERM" : "SIGINT"; }

// A signal ends the process at once, whatever disk the opening waits for: nothing is lost by it.
absl::Status OpenUnlessSignalled(Config& config, const ReadConfig& read, const Signals& signals,
                                 Parts& parts) {
  auto opened = std::async(std::launch::async, [&] { return Open(config, read, parts); });
  while (opened.wait_for(milliseconds(0)) != std::future_status::ready) {
    const int signal = signals.Wait(kLookAtOpeningEvery);
    if (signal == SIGHUP) parts.reload = true;
    if (signal == 0 || signal == SIGHUP) continue;
    Log()->info("{}: ending before everything is open", NameOf(signal));
    FlushLog();
    signals.Release();
    std::raise(signal);
  }
  return opened.get();
}

enum class End { kSignal, kReopen };

// Whoever balances load looks now and then who is ready, and sends requests until then.
void WaitForGrace(const Config& config, int signal, Parts& parts) {
  parts.ending = true;
  parts.grpc->SetServing(false);
  if (config.drain_grace == 0) return;
  Log()->info("{}: not ready any more; draining in {} ms", NameOf(signal), config.drain_grace);
  std::this_thread::sleep_for(milliseconds(config.drain_grace));
}

End WaitForEnd(const Config& config, const Signals& signals, Parts& parts) {
  if (parts.reload) parts.poller->Look();
  while (true) {
    parts.grpc->SetServing(parts.Ready().ok());
    const int signal = signals.Wait(kLookEvery);
    if (signal == SIGHUP) {
      parts.reload = true;
      parts.poller->Look();
    } else if (signal != 0) {
      signals.Release();
      WaitForGrace(config, signal, parts);
      Log()->info("{}: draining", NameOf(signal));
      return End::kSignal;
    }
    if (parts.broker->NeedsReopening()) {
      Log()->warn("the disk takes writes again, and the journal has to be opened anew: draining");
      return End::kReopen;
    }
  }
}

// Nothing new comes in; what came in becomes durable and is answered; what is durable goes out to
// who is connected.
void Drain(const Config& config, Parts& parts) {
  parts.ending = true;
  parts.draining = true;
  parts.grpc->SetServing(false);
  const auto close_at = steady_clock::now() + milliseconds(config.drain_timeout);
  parts.postbacks->Drain();
  parts.grpc->Drain(close_at);
  parts.postbacks->Stop(close_at);
  parts.grpc->Stop(close_at);
  parts.admin->Stop(steady_clock::now());
}

}  // namespace

absl::Status RunGateway(Config config, const ReadConfig& read) {
  PrepareProcess();
  const Signals signals;
  Lasting lasting;
  End end = End::kReopen;
  while (end == End::kReopen) {
    Parts parts(lasting);
    alarm(0);  // those before are closed
    if (auto status = OpenUnlessSignalled(config, read, signals, parts); !status.ok())
      return status;
    Serve(config, parts);
    Poll(config, parts);
    if (config.ephemeral) {
      PrintAddresses(parts);
      if (!std::exchange(lasting.has_watch, true)) EndWithStandardInput();
    }
    end = WaitForEnd(config, signals, parts);
    LimitClosing(config);
    Drain(config, parts);
  }
  return absl::OkStatus();
}

}  // namespace mmsmo
