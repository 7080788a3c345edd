// One connection: HTTP/1.1 with keep-alive and pipelining, one request at a time. Public for the
// server only.

#pragma once

#include <atomic>
#include <boost/asio/ip/tcp.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/string_body.hpp>
#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "gateway/http/message.h"
#include "gateway/http/server.h"

namespace mmsmo::http {

// For the thread of its io_context. Lives as long as an operation is under way.
class Session : public std::enable_shared_from_this<Session> {
 public:
  using Clock = std::chrono::steady_clock;

  // What the sessions of all threads share.
  struct Shared {
    std::atomic<int> connections{0};  // open ones
    std::atomic<int> busy{0};         // open ones over the ceiling
    std::atomic<int64_t> bytes_in_flight{0};
    // What a limit refused.
    prometheus::Counter& over_header_bytes;
    prometheus::Counter& over_body_bytes;
    prometheus::Counter& over_in_flight_bytes;
    prometheus::Counter& over_time;
  };

  // What the sessions of one thread share.
  struct Context {
    const ServerOptions* options = nullptr;
    const Routes* routes = nullptr;
    Shared* shared = nullptr;
    std::string date;       // the Date field's value
    bool draining = false;  // answers close their connection
  };

  // Counts in `count`, one of Shared's, from here to Close. `context` must outlive the session.
  Session(boost::asio::ip::tcp::socket socket, const Context* context, std::atomic<int>* count);
  ~Session() { Hold(0); }

  void Start();
  // Instead of Start: answers 503 to whatever comes.
  void StartBusy();
  // Ends what has taken too long.
  void CheckDeadline(Clock::time_point now);
  // Closes the connection if nothing of a request has arrived; otherwise the answer will.
  void Drain();
  void Close();
  bool closed() const { return state_ == State::kClosed; }

 private:
  enum class State {
    kReading,    // a request, or waiting for one
    kHandling,   // a handler owes an answer
    kWriting,    // an answer that the socket did not take at once
    kLingering,  // answered and half-closed: what still comes is discarded, so that the client sees
                 // the answer
    kClosed,
  };
  using Parser = boost::beast::http::request_parser<boost::beast::http::string_body>;

  void Read();
  void ReadSoon();
  void OnRead(boost::system::error_code error, size_t bytes);
  void Parse();
  bool ParseSome();
  bool OnHeader(bool over_limit);
  bool RefuseMethod();
  bool Expect(std::string_view expectation);
  void Dispatch();
  void OnParseError(boost::system::error_code error);
  void RefuseBody(BodyRefusal why);
  bool Hold(int64_t bytes);
  bool HasBytes() const;
  bool Refuse(int status, std::string_view detail);
  void Respond(const Answer& answer);
  void Format(const Answer& answer);
  void Write();
  void OnWritten();
  void GiveUpReading();
  void AnswerAndHalfClose(const Answer& answer);
  void HalfClose();
  void SetDeadline(std::chrono::milliseconds timeout) { deadline_ = Clock::now() + timeout; }

  boost::asio::ip::tcp::socket socket_;
  const Context* const context_;
  std::atomic<int>* const count_;
  State state_ = State::kReading;
  Clock::time_point deadline_;
  boost::beast::flat_buffer buffer_;
  std::optional<Parser> parser_;
  const Route* route_ = nullptr;  // of the request under way, once its header was read
  bool header_seen_ = false;
  bool parsing_ = false;
  bool head_request_ = false;
  bool keep_alive_ = false;
  int64_t held_bytes_ = 0;       // of the body of the request under way
  uint64_t request_number_ = 0;  // tells a late answer from the one that is owed
  std::string out_;
  size_t written_ = 0;
  size_t lingered_ = 0;
};

}  // namespace mmsmo::http
