// One connection: the socket, the deadlines and the answers of HTTP/1.1 with keep-alive and
// pipelining, one request at a time. Public for the server only.

#pragma once

#include <array>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "gateway/access/party_limit.h"
#include "gateway/base/byte_budget.h"
#include "gateway/http/access_log.h"
#include "gateway/http/answer_log.h"
#include "gateway/http/message.h"
#include "gateway/http/proxy_header.h"
#include "gateway/http/request_reader.h"
#include "gateway/http/server.h"
#include "gateway/http/transport.h"

namespace mmsmo::http {

// For the thread of its io_context. Lives as long as an operation is under way.
class Session : public std::enable_shared_from_this<Session> {
 public:
  using Clock = std::chrono::steady_clock;

  // What the sessions of all threads share.
  struct Shared {
    std::atomic<int> connections{0};  // open ones
    std::atomic<int> busy{0};         // open ones over the ceiling
    ByteBudget bytes_in_flight;       // what is read of requests, and what is not durable yet
    AnswerLog answers;
    AccessLog access;
    // What a limit refused.
    prometheus::Counter& over_header_bytes;
    prometheus::Counter& over_body_bytes;
    prometheus::Counter& over_in_flight_bytes;
    prometheus::Counter& over_time;
    prometheus::Counter& over_connections_per_address;
    prometheus::Counter& bad_proxy_headers;
    access::PartyLimit parties;  // of connections
  };

  // What the sessions of one thread share.
  struct Context {
    const ServerOptions* options = nullptr;
    std::shared_ptr<const Routes> routes;
    Shared* shared = nullptr;
    std::string date;       // the Date field's value
    bool draining = false;  // answers close their connection
    // Of TLS that began since the last sweep, and are under way. What began before it counts no
    // more: it waits for its client, and costs nothing.
    int handshakes = 0;
    uint64_t sweeps = 0;
    std::function<void()> handshake_ended;
    // Where sockets are read to, so that a session without a request has no buffer.
    std::array<char, 32 << 10> scratch = {};
  };

  using Socket = Transport::Socket;

  // Of `peer`, as far as the socket says; `place` is its party's. Counts in `count`, one of
  // Shared's, from here to Close. `context` must outlive the session.
  Session(Socket socket, access::Peer peer, access::PartyLimit::Place place, Context* context,
          std::atomic<int>* count);

  void Start();
  // Instead of Start: answers 503 to whatever comes.
  void StartBusy();
  // Ends the connection soon if `is_good`, which is called with TLS only, does not find the
  // client's certificate to be so any more; a request under way is answered first.
  void Recheck(const std::function<bool(const tls::Connection&)>& is_good);
  // Ends what has taken too long.
  void CheckDeadline(Clock::time_point now);
  // Closes the connection if nothing of a request has arrived; otherwise the answer will.
  void Drain();

  // How little is lost where the connection is ended to make room for another: the lower, the less.
  struct Worth {
    enum class Kind {
      kIdle,  // no request, or one that is answered
      kSlow,  // a request that arrives more slowly than a client would send it
    };
    Kind kind = Kind::kIdle;
    Clock::time_point since;
    auto operator<=>(const Worth&) const = default;
  };
  // Nothing for one that is not to be ended.
  std::optional<Worth> WorthAt(Clock::time_point now) const;
  // Ends it so. False: it has come to life, and is not ended.
  bool MakeRoom(Clock::time_point now);

  void Close();
  bool closed() const { return state_ == State::kClosed; }

 private:
  enum class State {
    kReading,    // a request, or waiting for one; over TLS the handshake, too
    kHandling,   // a handler owes an answer
    kHolding,    // an answer is held back
    kWriting,    // an answer that the socket did not take at once
    kLingering,  // answered and half-closed: what still comes is discarded, so that the client sees
                 // the answer
    kClosed,
  };

  // Between two requests.
  bool IsIdle() const {
    return state_ == State::kReading && reader_.phase() == RequestReader::Phase::kIdle;
  }
  void Wait();
  void ReadSoon();
  void Read();
  bool ReadProxyHeader();
  bool TakeProxyHeader(const ProxyHeader& header);
  void EndHandshake();
  void Take(std::string_view bytes);
  bool TakeOne(std::string_view bytes);
  void Continue();
  void Dispatch();
  void CountRefusal();
  void Respond(Answer answer);
  void Send(const Answer& answer);
  void Count(const Answer& answer);
  void RefuseBusy();
  void OnHandshake();
  void OnError(boost::system::error_code error);
  void Format(const Answer& answer);
  void Write();
  void OnWritten();
  void GiveUpReading();
  void AnswerAndHalfClose(const Answer& answer);
  void HalfClose();
  void Begin(std::chrono::milliseconds timeout);
  void SetDeadline(std::chrono::milliseconds timeout) { deadline_ = Clock::now() + timeout; }

  Context* const context_;
  access::Peer peer_;
  access::PartyLimit::Place place_;
  Transport transport_;
  std::atomic<int>* const count_;
  State state_ = State::kReading;
  Clock::time_point deadline_;
  Clock::time_point since_;  // when the request, or the wait for one, began
  size_t received_ = 0;      // of bytes since then
  RequestReader reader_;
  Clock::time_point handling_since_;
  size_t body_bytes_ = 0;  // of the request that is being handled
  Answer held_;
  // What was read of the header that a proxy in front begins with; null once it is there, or where
  // there is none.
  std::unique_ptr<std::string> proxy_header_;
  std::optional<uint64_t> handshake_;  // the sweep that it began after, while it counts
  bool busy_ = false;                  // answers 503 to whatever comes
  bool taking_ = false;
  bool keep_alive_ = false;
  uint64_t request_number_ = 0;  // tells a late answer from the one that is owed
  std::string out_;
  size_t written_ = 0;
  size_t lingered_ = 0;
};

}  // namespace mmsmo::http
