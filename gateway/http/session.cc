#include "gateway/http/session.h"

#include <boost/asio/buffer.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/http/error.hpp>
#include <boost/beast/http/field.hpp>
#include <boost/beast/http/verb.hpp>
#include <utility>

#include "absl/strings/match.h"
#include "fmt/format.h"
#include "gateway/http/trace_parent.h"

namespace mmsmo::http {
namespace {

namespace beast = boost::beast;
namespace field = boost::beast::http;
using boost::system::error_code;

constexpr size_t kReadBytes = 8 << 10;
// After an answer that ends the connection, so much of what the client still sends is read, and for
// so long.
constexpr size_t kMaxLingerBytes = 4 << 20;
constexpr std::chrono::milliseconds kLingerTimeout{2'000};
constexpr std::string_view kContinue = "HTTP/1.1 100 Continue\r\n\r\n";

std::string_view View(boost::core::string_view text) { return {text.data(), text.size()}; }

bool EqualsIgnoreCase(std::string_view a, std::string_view b) {
  return absl::EqualsIgnoreCase({a.data(), a.size()}, {b.data(), b.size()});
}

}  // namespace

Session::Session(boost::asio::ip::tcp::socket socket, const Context* context,
                 std::atomic<int>* count)
    : socket_(std::move(socket)),
      context_(context),
      count_(count),
      buffer_(context->options->max_header_bytes + 2 * kReadBytes) {
  ++*count_;
  error_code ignored;
  socket_.non_blocking(true, ignored);
  socket_.set_option(boost::asio::ip::tcp::no_delay(true), ignored);
}

void Session::Start() {
  SetDeadline(context_->options->header_timeout);
  Read();
}

void Session::StartBusy() {
  AnswerAndHalfClose(UnavailableAnswer("overloaded", "too many connections are open"));
  Read();
}

void Session::Read() {
  socket_.async_read_some(
      buffer_.prepare(kReadBytes),
      [self = shared_from_this()](error_code error, size_t bytes) { self->OnRead(error, bytes); });
}

// After whatever else this pass through the loop answers: by then the next bytes are often there,
// and are read at once rather than looked for in vain and waited for.
void Session::ReadSoon() {
  boost::asio::post(socket_.get_executor(), [self = shared_from_this()] {
    if (self->closed()) return;
    const bool idle = self->state_ == State::kReading && !self->parser_ && !self->HasBytes();
    if (self->context_->draining && idle) return self->Close();
    self->Read();
  });
}

void Session::OnRead(error_code error, size_t bytes) {
  if (state_ == State::kClosed) return;
  if (error == boost::asio::error::operation_aborted && HasBytes()) return Read();  // by Drain
  if (error) return Close();
  if (state_ == State::kLingering) {
    lingered_ += bytes;
    return lingered_ > kMaxLingerBytes ? Close() : Read();
  }
  buffer_.commit(bytes);
  Parse();
}

// Takes what has arrived, request by request. Handlers may answer within: then the loop goes on
// with the next.
void Session::Parse() {
  if (parsing_) return;
  parsing_ = true;
  while (state_ == State::kReading && buffer_.size() > 0 && ParseSome()) {
  }
  parsing_ = false;
  if (state_ == State::kReading) ReadSoon();
}

// Whether it got on; if not, more bytes are needed.
bool Session::ParseSome() {
  if (!parser_) {
    parser_.emplace();
    parser_->header_limit(static_cast<std::uint32_t>(context_->options->max_header_bytes));
    parser_->body_limit(context_->options->max_body_bytes);
    header_seen_ = false;
    SetDeadline(context_->options->header_timeout);
  }
  error_code error;
  const size_t used = parser_->put(buffer_.data(), error);
  buffer_.consume(used);
  if (error == field::error::need_more) error = {};
  const bool over_limit = error == field::error::body_limit;
  if (!header_seen_ && (parser_->is_header_done() || over_limit) && !OnHeader(over_limit))
    return true;
  if (over_limit) {
    RefuseBody(BodyRefusal::kTooLarge);
  } else if (error) {
    OnParseError(error);
  } else if (!Hold(static_cast<int64_t>(parser_->get().body().size()))) {
    RefuseBody(BodyRefusal::kOverloaded);
  } else if (parser_->is_done()) {
    Dispatch();
  } else if (used == 0 && buffer_.size() + kReadBytes > buffer_.max_size()) {
    Refuse(400, "a chunk's header is too long");
  } else {
    return used > 0;
  }
  return true;
}

// Judges the request by its header alone, so that nobody sends a body for nothing. False: it is
// answered.
bool Session::OnHeader(bool over_limit) {
  header_seen_ = true;
  const auto& request = parser_->get();
  keep_alive_ = request.keep_alive();
  head_request_ = request.method() == field::verb::head;
  SetDeadline(context_->options->body_timeout);
  if (request.version() == 11 && request.count(field::field::host) != 1) {
    return Refuse(400, "the request has not exactly one Host field");
  }
  if (request.count(field::field::transfer_encoding) > 0 &&
      !EqualsIgnoreCase(View(request[field::field::transfer_encoding]), "chunked")) {
    return Refuse(501, "the only transfer coding served is chunked");
  }
  const std::string_view target = View(request.target());
  const auto route = context_->routes->find(target.substr(0, target.find('?')));
  if (route == context_->routes->end()) return Refuse(404, "nothing is served at this path");
  route_ = &route->second;
  const std::string_view method = View(request.method_string());
  if (method != route_->method && !(head_request_ && route_->method == "GET"))
    return RefuseMethod();
  if (over_limit) return true;
  if (method == "POST" && !parser_->content_length() && !parser_->chunked()) {
    return Refuse(411, "a POST needs Content-Length or Transfer-Encoding: chunked");
  }
  return Expect(View(request[field::field::expect]));
}

bool Session::RefuseMethod() {
  const std::string_view allowed =
      route_->method == "GET" ? "GET, HEAD" : std::string_view(route_->method);
  Answer answer =
      ProblemAnswer({.status = 405, .detail = fmt::format("this path takes {}", allowed)});
  answer.extra_headers = fmt::format("Allow: {}\r\n", allowed);
  keep_alive_ = keep_alive_ && parser_->is_header_done() && parser_->is_done();
  Respond(answer);
  return false;
}

bool Session::Expect(std::string_view expectation) {
  // Of HTTP/1.0 it must be ignored (RFC 9110, 10.1.1).
  if (expectation.empty() || parser_->get().version() == 10) return true;
  if (!EqualsIgnoreCase(expectation, "100-continue")) {
    return Refuse(417, "the only expectation served is 100-continue");
  }
  if (!parser_->is_done() && buffer_.size() == 0) {
    // 25 bytes always fit into the socket's buffer of a client that waits for them.
    error_code ignored;
    socket_.write_some(boost::asio::buffer(kContinue), ignored);
  }
  return true;
}

void Session::Dispatch() {
  auto& message = parser_->get();
  Request request;
  request.method = View(message.method_string());
  const std::string_view target = View(message.target());
  request.path = target.substr(0, target.find('?'));
  request.content_type = View(message[field::field::content_type]);
  request.content_encoding = View(message[field::field::content_encoding]);
  if (const std::string_view parent = View(message["traceparent"]); IsTraceParent(parent))
    request.trace_parent = parent;
  request.body = std::move(message.body());
  state_ = State::kHandling;
  SetDeadline(context_->options->handler_timeout);
  route_->handle(std::move(request),
                 [weak = weak_from_this(), number = ++request_number_](const Answer& answer) {
                   const auto self = weak.lock();
                   if (self && self->state_ == State::kHandling && self->request_number_ == number)
                     self->Respond(answer);
                 });
}

void Session::OnParseError(error_code error) {
  if (error == field::error::header_limit || error == field::error::buffer_overflow) {
    context_->shared->over_header_bytes.Increment();
    Refuse(431, fmt::format("the request's header is over {} bytes",
                            context_->options->max_header_bytes));
  } else if (error == field::error::bad_version) {
    Refuse(505, "the version is neither HTTP/1.1 nor HTTP/1.0");
  } else {
    Refuse(400, fmt::format("the request cannot be read: {}", error.message()));
  }
}

void Session::RefuseBody(BodyRefusal why) {
  keep_alive_ = false;
  const bool too_large = why == BodyRefusal::kTooLarge;
  Session::Shared& shared = *context_->shared;
  (too_large ? shared.over_body_bytes : shared.over_in_flight_bytes).Increment();
  Respond(route_ != nullptr && route_->refuse_body ? route_->refuse_body(why)
          : too_large                              ? ProblemAnswer({.status = 413})
                      : UnavailableAnswer("overloaded", "too many bodies are in flight"));
}

// Takes `bytes` of the budget, instead of what this session had of it. False: it is spent.
bool Session::Hold(int64_t bytes) {
  if (bytes == held_bytes_) return true;
  std::atomic<int64_t>& all = context_->shared->bytes_in_flight;
  const int64_t more = bytes - std::exchange(held_bytes_, bytes);
  return all.fetch_add(more, std::memory_order_relaxed) + more <=
             context_->options->max_in_flight_bytes ||
         more < 0;
}

bool Session::Refuse(int status, std::string_view detail) {
  keep_alive_ = false;
  Respond(ProblemAnswer({.status = status, .detail = std::string(detail)}));
  return false;
}

void Session::Respond(const Answer& answer) {
  keep_alive_ = keep_alive_ && !context_->draining;
  Hold(0);
  Format(answer);
  parser_.reset();
  route_ = nullptr;
  Write();
}

void Session::Format(const Answer& answer) {
  out_.clear();
  fmt::format_to(std::back_inserter(out_),
                 "HTTP/1.1 {} {}\r\nDate: {}\r\nContent-Type: {}\r\nContent-Length: {}\r\n{}{}\r\n",
                 answer.status, ReasonPhrase(answer.status), context_->date, answer.content_type,
                 answer.body.size(), answer.extra_headers,
                 keep_alive_ ? "" : "Connection: close\r\n");
  if (!head_request_) out_.append(answer.body);
  written_ = 0;
}

// Mostly the socket takes an answer at once, which spares a turn of the loop.
void Session::Write() {
  error_code error;
  written_ = socket_.write_some(boost::asio::buffer(out_), error);
  if (error && error != boost::asio::error::would_block) return Close();
  if (written_ == out_.size()) return OnWritten();
  state_ = State::kWriting;
  SetDeadline(context_->options->write_timeout);
  boost::asio::async_write(socket_, boost::asio::buffer(out_) + written_,
                           [self = shared_from_this()](error_code write_error, size_t) {
                             if (self->state_ == State::kClosed) return;
                             write_error ? self->Close() : self->OnWritten();
                           });
}

void Session::OnWritten() {
  if (!keep_alive_) {
    HalfClose();
    return Read();
  }
  state_ = State::kReading;
  head_request_ = false;
  SetDeadline(context_->options->idle_timeout);
  Parse();
}

void Session::HalfClose() {
  error_code ignored;
  socket_.shutdown(boost::asio::ip::tcp::socket::shutdown_send, ignored);
  state_ = State::kLingering;
  buffer_.clear();
  SetDeadline(kLingerTimeout);
}

void Session::CheckDeadline(Clock::time_point now) {
  if (state_ == State::kClosed || now < deadline_) return;
  switch (state_) {
    case State::kReading:
      return parser_ ? GiveUpReading() : Close();
    case State::kHandling: {
      ++request_number_;
      return Respond(UnavailableAnswer(
          "not_durable", "not durable in time; the postback may still have been kept"));
    }
    case State::kWriting:
    case State::kLingering:
    case State::kClosed:
      return Close();
  }
}

// The read under way goes on, as the one that lingers.
void Session::GiveUpReading() {
  context_->shared->over_time.Increment();
  parser_.reset();
  Hold(0);
  AnswerAndHalfClose(
      ProblemAnswer({.status = 408, .detail = "the request did not arrive in time"}));
}

// An answer that nobody waits for: what the socket does not take at once is not sent.
void Session::AnswerAndHalfClose(const Answer& answer) {
  keep_alive_ = false;
  Format(answer);
  error_code ignored;
  socket_.write_some(boost::asio::buffer(out_), ignored);
  HalfClose();
}

bool Session::HasBytes() const {
  error_code error;
  return socket_.available(error) > 0 && !error;
}

void Session::Drain() {
  if (state_ != State::kReading || parser_) return;
  // A read that has its bytes already completes with them all the same.
  error_code ignored;
  socket_.cancel(ignored);
}

void Session::Close() {
  if (state_ == State::kClosed) return;
  state_ = State::kClosed;
  --*count_;
  error_code ignored;
  socket_.close(ignored);
}

}  // namespace mmsmo::http
