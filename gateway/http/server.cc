#include "gateway/http/server.h"

#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <boost/asio/basic_socket_acceptor.hpp>
#include <boost/asio/generic/stream_protocol.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <cstring>
#include <ctime>
#include <map>
#include <thread>
#include <utility>

#include "gateway/base/log.h"
#include "gateway/base/status.h"
#include "gateway/http/listen_address.h"
#include "gateway/http/path.h"
#include "gateway/http/session.h"

namespace mmsmo::http {
namespace {

namespace asio = boost::asio;
using asio::generic::stream_protocol;
using asio::ip::tcp;
using boost::system::error_code;
using std::chrono::steady_clock;

// How exact timeouts are: one walk over the sessions of a thread instead of a timer for each
// operation.
constexpr std::chrono::milliseconds kSweepEvery{100};
constexpr std::chrono::milliseconds kSweepEveryWhileIdle{500};  // without a connection
constexpr std::chrono::milliseconds kAcceptAgainAfter{100};
constexpr int kBacklog = 4096;
// With so many handshakes of TLS before it, a thread accepts no more until some are over, or 100
// ms: others' requests wait for as many, and half-open ones keep nobody out.
constexpr int kMostHandshakes = 64;
// Connections over the ceiling that are being told so; more are closed without a word.
constexpr int kMaxBusy = 256;
// Of a unix socket's file: the group may connect, as a proxy in front does.
constexpr mode_t kSocketMode = 0660;
// How many of the connections that are worth the least one look finds.
constexpr size_t kMostFound = 1024;

access::Peer PeerOf(const Session::Socket& socket) {
  error_code error;
  const auto endpoint = socket.remote_endpoint(error);
  if (error) return {};
  return {.address = access::AddressOf(*endpoint.data())};
}

std::string HttpDate(std::time_t now) {
  // IMF-fixdate, whose names do not depend on the locale (RFC 9110, 5.6.7).
  static constexpr std::string_view kDays[] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
  static constexpr std::string_view kMonths[] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                                 "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
  std::tm utc{};
  gmtime_r(&now, &utc);
  return fmt::format("{}, {:02} {} {} {:02}:{:02}:{:02} GMT", kDays[utc.tm_wday], utc.tm_mday,
                     kMonths[utc.tm_mon], utc.tm_year + 1900, utc.tm_hour, utc.tm_min, utc.tm_sec);
}

prometheus::Counter& Refused(Metrics& metrics, const std::string& server,
                             const std::string& limit) {
  return metrics.Counter("mmsmo_http_refused_total", "What a limit refused.",
                         {{"server", server}, {"limit", limit}});
}

}  // namespace

struct Server::Shared {
  Session::Shared sessions;
  prometheus::Gauge& connections_now;
  prometheus::Gauge& connections_of_one;
  prometheus::Gauge& bytes_in_flight;
  prometheus::Counter& connections_total;
  prometheus::Counter& connections_refused;
  prometheus::Counter& connections_made_room;
  prometheus::Counter& strangers_refused;
  prometheus::Counter& accept_pauses;
};

// One thread: its io_context, acceptor and sessions.
class Server::Worker {
 public:
  Worker(const ServerOptions& options, Shared* shared)
      : options_(options),
        shared_(shared),
        io_(1),
        acceptor_(io_),
        accept_timer_(io_),
        sweep_timer_(io_) {
    context_.options = &options_;
    context_.shared = &shared_->sessions;
    if (options_.certificates == nullptr) return;
    context_.handshake_ended = [this] {
      if (accept_paused_) asio::post(io_, [this] { AcceptOn(); });
    };
  }

  // With `share_port`, workers of one server listen on the same port, and the system spreads the
  // connections over them.
  absl::Status Listen(const tcp::endpoint& endpoint, bool share_port) {
    error_code error;
    acceptor_.open(endpoint.protocol(), error);
    if (!error) acceptor_.set_option(asio::socket_base::reuse_address(true), error);
    if (!error && share_port) {
      const int one = 1;
      setsockopt(acceptor_.native_handle(), SOL_SOCKET, SO_REUSEPORT, &one, sizeof one);
    }
    if (!error) acceptor_.bind(endpoint, error);
    if (!error) acceptor_.listen(kBacklog, error);
    return error ? CannotListen(options_.setting, options_.listen, error) : absl::OkStatus();
  }
  // Workers of one server share the socket.
  absl::Status Listen(const UnixSocket& unix_socket) {
    error_code error;
    acceptor_.assign(stream_protocol(AF_UNIX, 0), unix_socket.Duplicate(), error);
    return error ? CannotListen(options_.setting, options_.listen, error) : absl::OkStatus();
  }
  // Where it listens on TCP.
  tcp::endpoint endpoint() const {
    const stream_protocol::endpoint bound = acceptor_.local_endpoint();
    tcp::endpoint endpoint;
    std::memcpy(endpoint.data(), bound.data(), bound.size());
    return endpoint;
  }

  void SetRoutes(const Routes& routes) {
    Routes normal;
    for (const auto& [path, route] : routes) normal.emplace(NormalPath(path), route);
    context_.routes = std::make_shared<const Routes>(std::move(normal));
  }
  void SetRoutesSoon(const MakeRoutes& make_routes) {
    asio::post(io_, [this, make_routes] { SetRoutes(make_routes(MakePost())); });
  }
  Post MakePost() {
    return [this](absl::AnyInvocable<void()> task) { asio::post(io_, std::move(task)); };
  }

  void Start() {
    context_.date = HttpDate(std::time(nullptr));
    Accept();
    Sweep();
    thread_ = std::thread([this] { io_.run(); });
  }

  void Drain() {
    asio::post(io_, [this] {
      context_.draining = true;
      AcceptWaiting();
      error_code ignored;
      acceptor_.close(ignored);
      for (const auto& session : sessions_) session->Drain();
    });
  }

  void Stop(steady_clock::time_point deadline) {
    if (!thread_.joinable()) return;
    asio::post(io_, [this, deadline] {
      stop_at_ = deadline;
      Sweep();
    });
    thread_.join();
  }

 private:
  void Accept() {
    acceptor_.async_accept(io_, [this](error_code error, Session::Socket socket) {
      // Draining may have closed the acceptor between the accepting and this.
      if (!error) Open(std::move(socket));
      if (!acceptor_.is_open()) return;
      if (error) return AcceptLater(error);
      accept_paused_ = context_.handshakes >= kMostHandshakes;
      accept_paused_ ? shared_->accept_pauses.Increment() : Accept();
    });
  }

  void AcceptOn() {
    if (!accept_paused_ || context_.handshakes >= kMostHandshakes || !acceptor_.is_open()) return;
    accept_paused_ = false;
    Accept();
  }

  // Who waits in the backlog may have sent a request already.
  void AcceptWaiting() {
    error_code error;
    acceptor_.non_blocking(true, error);
    while (!error) {
      Session::Socket socket(io_);
      acceptor_.accept(socket, error);
      if (!error) Open(std::move(socket));
    }
  }

  // Out of descriptors, say: those who wait stay in the backlog.
  void AcceptLater(error_code error) {
    Log()->warn("{}: a connection could not be accepted: {}", options_.name, error.message());
    accept_timer_.expires_after(kAcceptAgainAfter);
    accept_timer_.async_wait([this](error_code wait_error) {
      if (!wait_error && acceptor_.is_open()) Accept();
    });
  }

  // Whether it may connect at all. With the PROXY protocol its party is yet to be named.
  bool Admit(const access::Peer& peer, access::PartyLimit::Place* place) {
    const bool trusted = options_.proxies.Trust(peer.address);
    if (options_.proxy_protocol) {
      if (!trusted) shared_->strangers_refused.Increment();
      return trusted;
    }
    if (trusted || !peer.address || shared_->sessions.parties.Take(*peer.address, place))
      return true;
    shared_->sessions.over_connections_per_address.Increment();
    return false;
  }

  void Open(Session::Socket socket) {
    Session::Shared& shared = shared_->sessions;
    shared_->connections_total.Increment();
    const access::Peer peer = PeerOf(socket);
    access::PartyLimit::Place place;
    if (!Admit(peer, &place)) return;
    if (sessions_.empty()) {
      RefreshDate();
      SweepIn(kSweepEvery);
    }
    if (shared.connections < options_.max_connections || MakeRoom()) {
      sessions_.push_back(std::make_shared<Session>(std::move(socket), peer, std::move(place),
                                                    &context_, &shared.connections));
      sessions_.back()->Start();
      if (context_.draining) sessions_.back()->Drain();
      return;
    }
    shared_->connections_refused.Increment();
    if (shared.busy >= kMaxBusy) return;
    sessions_.push_back(std::make_shared<Session>(std::move(socket), peer, std::move(place),
                                                  &context_, &shared.busy));
    sessions_.back()->StartBusy();
  }

  // Ends the connection of this thread that is worth the least; false where all are of use.
  bool MakeRoom() {
    const auto now = steady_clock::now();
    if (least_.empty() && now >= look_again_at_) FindLeast(now);
    while (!least_.empty()) {
      const std::shared_ptr<Session> session = least_.back().lock();
      least_.pop_back();
      if (!session || !session->MakeRoom(now)) continue;
      shared_->connections_made_room.Increment();
      return true;
    }
    return false;
  }

  // Looks at all sessions; where they are many, not for each connection that comes.
  void FindLeast(steady_clock::time_point now) {
    if (sessions_.size() > kMostFound) look_again_at_ = now + kSweepEvery;
    std::vector<std::pair<Session::Worth, const std::shared_ptr<Session>*>> found;
    for (const auto& session : sessions_) {
      if (const auto worth = session->WorthAt(now)) found.emplace_back(*worth, &session);
    }
    const size_t count = std::min(found.size(), kMostFound);
    std::partial_sort(found.begin(), found.begin() + static_cast<ptrdiff_t>(count), found.end());
    for (size_t i = count; i > 0; --i) least_.push_back(*found[i - 1].second);
  }

  // Ends the connections of clients whom the authorities that are in force now do not vouch for.
  void RecheckCertificates() {
    if (options_.certificates == nullptr) return;
    const uint64_t version = options_.certificates->version();
    if (std::exchange(rechecked_, version) == version) return;
    const auto snapshot = options_.certificates->snapshot();
    std::map<std::array<uint8_t, 32>, bool> found;  // a client has many connections
    for (const auto& session : sessions_) {
      session->Recheck([&](const tls::Connection& connection) {
        const auto [it, is_new] = found.try_emplace(connection.peer()->digest, false);
        if (is_new) it->second = connection.VerifiesBy(*snapshot);
        return it->second;
      });
    }
  }

  void RefreshDate() {
    const std::time_t second = std::time(nullptr);
    if (second == date_second_) return;
    date_second_ = second;
    context_.date = HttpDate(second);
    shared_->connections_of_one.Set(shared_->sessions.parties.Highest());
  }

  void Sweep() {
    const auto now = steady_clock::now();
    RefreshDate();
    ++context_.sweeps;
    context_.handshakes = 0;
    AcceptOn();
    RecheckCertificates();
    shared_->sessions.answers.Tell(now);
    shared_->connections_now.Set(shared_->sessions.connections);
    shared_->bytes_in_flight.Set(static_cast<double>(shared_->sessions.bytes_in_flight.held()));
    for (size_t i = 0; i < sessions_.size();) {
      sessions_[i]->CheckDeadline(now);
      if (sessions_[i]->closed()) {
        std::swap(sessions_[i], sessions_.back());
        sessions_.pop_back();
      } else {
        ++i;
      }
    }
    if (sessions_.empty() ? stop_at_ != steady_clock::time_point::max() : now >= stop_at_)
      return io_.stop();
    const bool stopping = stop_at_ != steady_clock::time_point::max();
    SweepIn(stopping ? kSweepEvery / 10 : sessions_.empty() ? kSweepEveryWhileIdle : kSweepEvery);
  }

  // Rather than when it was to be.
  void SweepIn(std::chrono::milliseconds delay) {
    sweep_timer_.expires_after(delay);
    sweep_timer_.async_wait([this](error_code error) {
      if (!error) Sweep();
    });
  }

  const ServerOptions& options_;
  Shared* const shared_;
  // Before io_, whose destruction destroys the sessions.
  Session::Context context_;
  // Before what lives in it, and so after that in destruction.
  asio::io_context io_;
  asio::basic_socket_acceptor<stream_protocol> acceptor_;
  asio::steady_timer accept_timer_;
  bool accept_paused_ = false;
  asio::steady_timer sweep_timer_;
  std::vector<std::shared_ptr<Session>> sessions_;
  std::vector<std::weak_ptr<Session>> least_;  // those worth the least last
  steady_clock::time_point look_again_at_;
  std::time_t date_second_ = 0;
  uint64_t rechecked_ = 0;  // the version of the certificates
  steady_clock::time_point stop_at_ = steady_clock::time_point::max();
  std::thread thread_;
};

Server::Server(ServerOptions options, Metrics& metrics)
    : options_(std::move(options)),
      shared_(new Shared{
          .sessions = {.bytes_in_flight = ByteBudget(options_.max_in_flight_bytes),
                       .answers = AnswerLog(options_.name, metrics),
                       .access = AccessLog(options_.name, options_.access_log_rate),
                       .over_header_bytes = Refused(metrics, options_.name, "header_bytes"),
                       .over_body_bytes = Refused(metrics, options_.name, "body_bytes"),
                       .over_in_flight_bytes = Refused(metrics, options_.name, "in_flight_bytes"),
                       .over_time = Refused(metrics, options_.name, "time"),
                       .over_connections_per_address =
                           Refused(metrics, options_.name, "connections_per_address"),
                       .bad_proxy_headers = Refused(metrics, options_.name, "proxy_header"),
                       .parties = access::PartyLimit(options_.max_connections_per_address)},
          .connections_now = metrics.Gauge("mmsmo_http_connections", "Open connections.",
                                           {{"server", options_.name}}),
          .connections_of_one =
              metrics.Gauge("mmsmo_http_connections_of_one_address",
                            "Open connections of the address that has most, where that is limited.",
                            {{"server", options_.name}}),
          .bytes_in_flight = metrics.Gauge(
              "mmsmo_http_in_flight_bytes",
              "Bytes of requests that are being read or are not durable yet, and of their events.",
              {{"server", options_.name}}),
          .connections_total = metrics.Counter(
              "mmsmo_http_connections_total", "Connections accepted.", {{"server", options_.name}}),
          .connections_refused = Refused(metrics, options_.name, "connections"),
          .connections_made_room = metrics.Counter(
              "mmsmo_http_made_room_total",
              "Idle and slow connections that were ended to make room for new ones.",
              {{"server", options_.name}}),
          .strangers_refused = Refused(metrics, options_.name, "proxy_protocol"),
          .accept_pauses = metrics.Counter(
              "mmsmo_http_accept_pauses_total",
              "Times that no more connections were accepted because of TLS handshakes before them.",
              {{"server", options_.name}}),
      }) {}

absl::StatusOr<std::unique_ptr<Server>> Server::Listen(const ServerOptions& options,
                                                       const MakeRoutes& make_routes,
                                                       Metrics& metrics) {
  std::unique_ptr<Server> server(new Server(options, metrics));
  const absl::Status status = IsUnixAddress(options.listen) ? server->ListenUnix(make_routes)
                                                            : server->ListenTcp(make_routes);
  if (!status.ok()) return status;
  return server;
}

absl::Status Server::ListenUnix(const MakeRoutes& make_routes) {
  if (uses_tls())
    return InvalidArgument("{}: '{}' takes no TLS; only TCP does", options_.setting,
                           options_.listen);
  auto unix_socket = UnixSocket::Listen(options_.setting, options_.listen, kSocketMode);
  if (!unix_socket.ok()) return unix_socket.status();
  unix_socket_ = *std::move(unix_socket);
  address_ = options_.listen;
  loopback_ = true;
  return AddWorkers(make_routes, [&](Worker& worker) { return worker.Listen(*unix_socket_); });
}

absl::Status Server::ListenTcp(const MakeRoutes& make_routes) {
  auto endpoint = ParseListen(options_.setting, options_.listen);
  if (!endpoint.ok()) return endpoint.status();
  if (auto status = CheckFree(options_.setting, options_.listen, *endpoint); !status.ok())
    return status;
  const auto listen = [&](Worker& worker) {
    absl::Status status = worker.Listen(*endpoint, options_.threads > 1);
    if (status.ok()) *endpoint = worker.endpoint();  // port 0 was given once, for all
    return status;
  };
  if (auto status = AddWorkers(make_routes, listen); !status.ok()) return status;
  const std::string host = endpoint->address().to_string();
  address_ =
      fmt::format("{}:{}", endpoint->address().is_v6() ? "[" + host + "]" : host, endpoint->port());
  loopback_ = endpoint->address().is_loopback();
  return absl::OkStatus();
}

absl::Status Server::AddWorkers(const MakeRoutes& make_routes,
                                const std::function<absl::Status(Worker&)>& listen) {
  for (int i = 0; i < options_.threads; ++i) {
    auto worker = std::make_unique<Worker>(options_, shared_.get());
    if (auto status = listen(*worker); !status.ok()) return status;
    worker->SetRoutes(make_routes(worker->MakePost()));
    workers_.push_back(std::move(worker));
  }
  return absl::OkStatus();
}

ByteBudget* Server::in_flight() { return &shared_->sessions.bytes_in_flight; }

Server::~Server() { Stop(steady_clock::now()); }

void Server::Start() {
  for (const auto& worker : workers_) worker->Start();
}

void Server::SetRoutes(const MakeRoutes& make_routes) {
  for (const auto& worker : workers_) worker->SetRoutesSoon(make_routes);
}

void Server::Drain() {
  unix_socket_.reset();
  for (const auto& worker : workers_) worker->Drain();
}

void Server::Stop(steady_clock::time_point deadline) {
  unix_socket_.reset();
  for (const auto& worker : workers_) worker->Stop(deadline);
}

}  // namespace mmsmo::http
