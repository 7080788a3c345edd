#include "gateway/rpc/listener.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <boost/asio/basic_socket_acceptor.hpp>
#include <boost/asio/generic/stream_protocol.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <cstring>
#include <optional>
#include <thread>
#include <utility>

#include "gateway/base/log.h"
#include "gateway/base/status.h"
#include "gateway/base/unix_socket.h"
#include "gateway/rpc/open_sockets.h"
#include "gateway/rpc/peer_uids.h"

namespace mmsmo::rpc {
namespace {

namespace asio = boost::asio;
using asio::generic::stream_protocol;
using asio::ip::tcp;
using boost::system::error_code;

constexpr std::string_view kSetting = "grpc-listen";
constexpr std::chrono::milliseconds kAcceptAgainAfter{100};
constexpr std::chrono::milliseconds kCountEvery{1'000};
constexpr std::chrono::milliseconds kCountAtMostEvery{100};
constexpr int kBacklog = 4096;
// A connection whose other end has gone without a word ends after so long with unacknowledged
// bytes.
constexpr unsigned kUserTimeoutMillis = 20'000;

absl::Status CannotListen(const std::string& listen, const std::string& why) {
  return FailedPrecondition(
      "{}: cannot listen on '{}': {}; give HOST:PORT or unix:PATH that is free", kSetting, listen,
      why);
}

absl::StatusOr<tcp::endpoint> Resolve(const std::string& listen) {
  const size_t colon = listen.rfind(':');
  std::string host = listen.substr(0, colon);
  if (host.size() > 2 && host.front() == '[' && host.back() == ']')
    host = host.substr(1, host.size() - 2);
  if (colon == std::string::npos || colon + 1 == listen.size() || host.empty())
    return InvalidArgument("{}: '{}' is neither HOST:PORT nor unix:PATH", kSetting, listen);
  asio::io_context io;
  error_code error;
  const auto found =
      tcp::resolver(io).resolve(host, listen.substr(colon + 1), tcp::resolver::passive, error);
  if (error || found.empty()) return CannotListen(listen, error.message());
  return found.begin()->endpoint();
}

class AsioListener final : public Listener {
 public:
  ~AsioListener() override { Stop(); }

  absl::Status ListenTcp(const std::string& listen) {
    const auto endpoint = Resolve(listen);
    if (!endpoint.ok()) return endpoint.status();
    if (auto status = Open(*endpoint, listen); !status.ok()) return status;
    const int one = 1;
    const int fd = acceptor_.native_handle();  // connections inherit these
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &kUserTimeoutMillis, sizeof kUserTimeoutMillis);
    tcp::endpoint bound;
    const stream_protocol::endpoint local = acceptor_.local_endpoint();
    std::memcpy(bound.data(), local.data(), local.size());
    address_ = fmt::format("{}:{}", listen.substr(0, listen.rfind(':')), bound.port());
    loopback_ = bound.address().is_loopback();
    return absl::OkStatus();
  }

  absl::Status ListenUnix(const std::string& listen, mode_t mode) {
    auto unix_socket = UnixSocket::Listen(kSetting, listen, mode);
    if (!unix_socket.ok()) return unix_socket.status();
    unix_socket_ = *std::move(unix_socket);
    error_code error;
    acceptor_.assign(stream_protocol(AF_UNIX, 0), unix_socket_->Duplicate(), error);
    if (error) return CannotListen(listen, error.message());
    address_ = listen;
    loopback_ = true;
    return absl::OkStatus();
  }

  const std::string& address() const override { return address_; }
  bool loopback() const override { return loopback_; }
  std::optional<uid_t> UidOf(std::string_view peer) const override { return uids_.Of(peer); }

  void Start(ConnectionLimit limit, absl::AnyInvocable<void(int fd)> accepted) override {
    limit_.emplace(limit);
    accepted_ = std::move(accepted);
    Accept();
    CountNowAndThen();
    thread_ = std::thread([this] { io_.run(); });
  }

  void Stop() override {
    io_.stop();
    if (thread_.joinable()) thread_.join();
    unix_socket_.reset();
    error_code ignored;
    acceptor_.close(ignored);
  }

 private:
  absl::Status Open(const stream_protocol::endpoint& endpoint, const std::string& listen) {
    error_code error;
    acceptor_.open(endpoint.protocol(), error);
    if (!error) acceptor_.set_option(asio::socket_base::reuse_address(true), error);
    if (!error) acceptor_.bind(endpoint, error);
    if (!error) acceptor_.listen(kBacklog, error);
    return error ? CannotListen(listen, error.message()) : absl::OkStatus();
  }

  void Accept() {
    acceptor_.async_accept([this](error_code error, stream_protocol::socket socket) {
      if (error) return AcceptLater(error);
      access::PartyLimit::Place place;
      if (IsFull()) {
        limit_->refused.Increment();
      } else if (!HasPlace(socket, &place)) {
        limit_->refused_party.Increment();
      } else if (socket.native_non_blocking(true, error); !error) {
        HandOver(socket.release(), std::move(place));
      }
      Accept();
    });
  }

  void HandOver(int fd, access::PartyLimit::Place place) {
    if (unix_socket_) fd = KnowUid(fd);
    if (fd < 0) return;
    open_.Add(fd, std::move(place));
    ++count_;
    accepted_(fd);
  }
  // As PeerUids::Add.
  int KnowUid(int fd) {
    ucred peer{};
    socklen_t size = sizeof peer;
    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) == 0)
      return uids_.Add(fd, peer.uid, std::chrono::steady_clock::now());
    close(fd);
    return -1;
  }

  bool IsFull() {
    if (count_ < static_cast<size_t>(limit_->most)) return false;
    CountAgain();
    return count_ >= static_cast<size_t>(limit_->most);
  }
  // What is in `place` then, where the client's party has so many at most.
  bool HasPlace(const stream_protocol::socket& socket, access::PartyLimit::Place* place) {
    error_code error;
    const auto peer = socket.remote_endpoint(error);
    if (error) return true;
    const auto address = access::AddressOf(*peer.data());
    if (!address || limit_->proxies.Trust(address) || limit_->parties->Take(*address, place))
      return true;
    CountAgain();
    return limit_->parties->Take(*address, place);
  }
  void CountAgain() {
    if (std::chrono::steady_clock::now() >= counted_at_ + kCountAtMostEvery) Count();
  }
  void Count() {
    counted_at_ = std::chrono::steady_clock::now();
    count_ = open_.Count();
    uids_.Look(counted_at_);
    limit_->open.Set(static_cast<double>(count_));
  }
  void CountNowAndThen() {
    Count();
    count_timer_.expires_after(kCountEvery);
    count_timer_.async_wait([this](error_code error) {
      if (!error) CountNowAndThen();
    });
  }

  // Those who wait stay in the backlog.
  void AcceptLater(error_code error) {
    Log()->warn("subscribers: a connection could not be accepted: {}", error.message());
    timer_.expires_after(kAcceptAgainAfter);
    timer_.async_wait([this](error_code) { Accept(); });
  }

  asio::io_context io_{1};
  asio::basic_socket_acceptor<stream_protocol> acceptor_{io_};
  asio::steady_timer timer_{io_};
  asio::steady_timer count_timer_{io_};
  std::optional<ConnectionLimit> limit_;
  OpenSockets open_;
  PeerUids uids_;     // of unix connections
  size_t count_ = 0;  // of those that are open, as far as it was looked
  std::chrono::steady_clock::time_point counted_at_;
  absl::AnyInvocable<void(int fd)> accepted_;
  std::string address_;
  std::unique_ptr<UnixSocket> unix_socket_;  // where it listens on one
  bool loopback_ = false;
  std::thread thread_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<Listener>> Listener::Listen(const std::string& listen,
                                                           mode_t socket_mode) {
  auto listener = std::make_unique<AsioListener>();
  if (auto status = IsUnixAddress(listen) ? listener->ListenUnix(listen, socket_mode)
                                          : listener->ListenTcp(listen);
      !status.ok()) {
    return status;
  }
  return std::unique_ptr<Listener>(std::move(listener));
}

}  // namespace mmsmo::rpc
