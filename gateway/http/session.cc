#include "gateway/http/session.h"

#include <algorithm>
#include <array>
#include <boost/asio/error.hpp>
#include <boost/asio/post.hpp>
#include <utility>

#include "fmt/format.h"

namespace mmsmo::http {
namespace {

using boost::system::error_code;
using std::chrono::milliseconds;

// After an answer that ends the connection, so much of what the client still sends is read, and for
// so long.
constexpr size_t kMaxLingerBytes = 4 << 20;
constexpr milliseconds kLingerTimeout{2'000};
constexpr std::string_view kContinue = "HTTP/1.1 100 Continue\r\n\r\n";

RequestReader::Limits LimitsOf(const ServerOptions& options) {
  return {.max_header_bytes = options.max_header_bytes,
          .max_body_bytes = options.max_body_bytes,
          .proxies = &options.proxies};
}

std::shared_ptr<const access::Certificate> Describe(const tls::PeerCertificate& shown) {
  auto certificate = std::make_shared<access::Certificate>();
  for (const auto* names : {&shown.dns, &shown.uris, &shown.emails})
    certificate->sans.insert(certificate->sans.end(), names->begin(), names->end());
  certificate->issuer = shown.issuer;
  return certificate;
}

}  // namespace

Session::Session(Socket socket, access::Peer peer, access::PartyLimit::Place place,
                 Context* context, std::atomic<int>* count)
    : context_(context),
      peer_(std::move(peer)),
      place_(std::move(place)),
      transport_(std::move(socket), context->options->certificates),
      count_(count),
      reader_(LimitsOf(*context->options), &context->routes, &peer_,
              &context->shared->bytes_in_flight) {
  ++*count_;
  if (context_->options->proxy_protocol) proxy_header_ = std::make_unique<std::string>();
  if (!transport_.shaking_hands()) return;
  handshake_ = context_->sweeps;
  ++context_->handshakes;
}

void Session::Start() {
  Begin(context_->options->header_timeout);
  Read();
}

void Session::StartBusy() {
  busy_ = true;
  transport_.shaking_hands() || proxy_header_ ? Begin(kLingerTimeout) : RefuseBusy();
  Read();
}

void Session::RefuseBusy() {
  AnswerAndHalfClose(UnavailableAnswer("overloaded", "too many connections are open"));
}

// A request, or the wait for one.
void Session::Begin(milliseconds timeout) {
  SetDeadline(timeout);
  since_ = Clock::now();
  received_ = 0;
}

void Session::Wait() {
  transport_.WaitToRead([self = shared_from_this()](error_code error) {
    // Drain ends the wait of an idle one; its bytes may have come meanwhile.
    if (error && !self->transport_.HasBytes()) return self->Close();
    self->Read();
  });
}

// After whatever else this pass through the loop answers: by then the next bytes are often there,
// and need not be waited for.
void Session::ReadSoon() {
  boost::asio::post(transport_.get_executor(), [self = shared_from_this()] {
    if (self->closed()) return;
    if (self->context_->draining && self->IsIdle() && !self->transport_.HasBytes())
      return self->Close();
    self->Read();
  });
}

void Session::Read() {
  if (state_ == State::kClosed) return;
  if (proxy_header_ && state_ == State::kReading && !ReadProxyHeader()) return;
  error_code error;
  const bool shook_hands = transport_.shaking_hands();
  const size_t bytes = transport_.Read(context_->scratch.data(), context_->scratch.size(), error);
  if (shook_hands && !transport_.shaking_hands() && transport_.tls() != nullptr) OnHandshake();
  if (error == boost::asio::error::would_block) return Wait();
  if (error) return OnError(error);
  if (state_ == State::kLingering) {
    lingered_ += bytes;
    return lingered_ > kMaxLingerBytes ? Close() : Wait();
  }
  Take({context_->scratch.data(), bytes});
  received_ += bytes;
}

// Whether it is there, and the connection goes on. The socket is peeked at, and gives up no more
// than the header's own bytes: what comes behind them is TLS's, or the request's.
bool Session::ReadProxyHeader() {
  std::array<char, kMaxProxyHeaderBytes> bytes;
  error_code error;
  const size_t before = proxy_header_->size();
  const size_t count = transport_.Peek(bytes.data(), bytes.size() - before, error);
  if (error == boost::asio::error::would_block) {
    Wait();
    return false;
  }
  if (error) {  // a proxy may look whether somebody listens
    Close();
    return false;
  }
  proxy_header_->append(bytes.data(), count);
  const ProxyHeader header = http::ReadProxyHeader(*proxy_header_);
  if (header.kind == ProxyHeader::Kind::kIncomplete) {
    transport_.Discard(count);
    Wait();
    return false;
  }
  if (header.bytes > before) transport_.Discard(header.bytes - before);
  return TakeProxyHeader(header);
}

bool Session::TakeProxyHeader(const ProxyHeader& header) {
  proxy_header_.reset();
  if (header.kind == ProxyHeader::Kind::kMalformed) {
    context_->shared->bad_proxy_headers.Increment();
    Close();
    return false;
  }
  if (header.client) peer_.address = header.client;
  if (header.client && !context_->options->proxies.Trust(header.client) &&
      !context_->shared->parties.Take(*header.client, &place_)) {
    context_->shared->over_connections_per_address.Increment();
    Close();
    return false;
  }
  if (busy_ && !transport_.shaking_hands()) RefuseBusy();
  return true;
}

void Session::EndHandshake() {
  const std::optional<uint64_t> began = std::exchange(handshake_, std::nullopt);
  if (!began || *began != context_->sweeps) return;
  --context_->handshakes;
  if (context_->handshake_ended) context_->handshake_ended();
}

void Session::OnHandshake() {
  EndHandshake();
  if (state_ != State::kReading) return;
  if (busy_) return RefuseBusy();
  if (const auto& certificate = transport_.peer()) peer_.certificate = Describe(*certificate);
  Begin(context_->draining ? kLingerTimeout : context_->options->header_timeout);
  // The authorities may have changed meanwhile.
  const auto now = context_->options->certificates->snapshot();
  if (now != transport_.tls()->snapshot())
    Recheck([&now](const tls::Connection& connection) { return connection.VerifiesBy(*now); });
}

// The read of what still comes goes on, so that the client sees the answer or TLS's alert.
void Session::OnError(error_code error) {
  if (state_ != State::kReading) return Close();
  if (error == boost::system::errc::wrong_protocol_type) {
    AnswerAndHalfClose(ProblemAnswer({.status = 400,
                                      .reason = "tls_required",
                                      .detail = "this port takes HTTPS, and no plain HTTP"}));
  } else if (error == boost::asio::error::connection_aborted) {
    HalfClose();
  } else {
    return Close();
  }
  Wait();
}

void Session::Recheck(const std::function<bool(const tls::Connection&)>& is_good) {
  const tls::Connection* const tls = transport_.tls();
  if (tls == nullptr || !tls->peer() || is_good(*tls)) return;
  if (state_ == State::kReading) return Close();
  keep_alive_ = false;
}

// Takes what has arrived, request by request. Handlers may answer within: then the loop goes on
// with the next.
void Session::Take(std::string_view bytes) {
  if (taking_) return;
  taking_ = true;
  while (state_ == State::kReading && TakeOne(std::exchange(bytes, {}))) {
  }
  taking_ = false;
  if (state_ == State::kReading) ReadSoon();
}

// Whether it got on; if not, more bytes are needed.
bool Session::TakeOne(std::string_view bytes) {
  using Phase = RequestReader::Phase;
  const Phase before = reader_.phase();
  switch (reader_.Read(bytes)) {
    case RequestReader::Next::kRequest:
      Dispatch();
      return true;
    case RequestReader::Next::kRefusal:
      CountRefusal();
      keep_alive_ = reader_.keep_alive();
      body_bytes_ = 0;
      handling_since_ = Clock::now();
      Respond(reader_.refusal());
      return true;
    case RequestReader::Next::kContinue:
      Continue();
      break;
    case RequestReader::Next::kMore:
      break;
  }
  const Phase after = reader_.phase();
  if (before == Phase::kIdle && after != Phase::kIdle) Begin(context_->options->header_timeout);
  if (before != Phase::kBody && after == Phase::kBody) SetDeadline(context_->options->body_timeout);
  return false;
}

void Session::Continue() {
  // 25 bytes always fit into the socket's buffer of a client that waits for them.
  transport_.WriteOrForget(kContinue);
}

void Session::Dispatch() {
  keep_alive_ = reader_.keep_alive();
  state_ = State::kHandling;
  Request request = reader_.TakeRequest();
  body_bytes_ = request.body.size();
  handling_since_ = Clock::now();
  deadline_ = handling_since_ + context_->options->handler_timeout;
  reader_.route()->handle(
      std::move(request), [weak = weak_from_this(), number = ++request_number_](Answer answer) {
        const auto self = weak.lock();
        if (self && self->state_ == State::kHandling && self->request_number_ == number)
          self->Respond(std::move(answer));
      });
}

void Session::CountRefusal() {
  Shared& shared = *context_->shared;
  switch (reader_.refused_by()) {
    case RequestReader::Limit::kHeaderBytes:
      return shared.over_header_bytes.Increment();
    case RequestReader::Limit::kBodyBytes:
      return shared.over_body_bytes.Increment();
    case RequestReader::Limit::kInFlightBytes:
      return shared.over_in_flight_bytes.Increment();
    case RequestReader::Limit::kNone:
      return;
  }
}

void Session::Count(const Answer& answer) {
  context_->shared->answers.Count(answer);
  const Route* const route = reader_.route();
  const auto after = Clock::now() - handling_since_;
  if (route != nullptr && route->answered) route->answered(answer, after);
  if (!context_->shared->access.enabled()) return;
  context_->shared->access.Add({.endpoint = route != nullptr ? std::string_view(route->name) : "",
                                .method = reader_.method(),
                                .client = reader_.client(),
                                .body_bytes = body_bytes_,
                                .status = answer.status,
                                .reason = answer.reason,
                                .after = after});
}

void Session::Respond(Answer answer) {
  Count(answer);
  if (answer.late.count() == 0 || context_->draining) return Send(answer);
  state_ = State::kHolding;
  SetDeadline(answer.late);
  held_ = std::move(answer);
}

void Session::Send(const Answer& answer) {
  keep_alive_ = keep_alive_ && !context_->draining;
  Format(answer);
  Write();
}

void Session::Format(const Answer& answer) {
  // An HTTP/1.0 client takes silence for the end of the connection (RFC 9112, 9.3).
  const std::string_view connection = !keep_alive_       ? "Connection: close\r\n"
                                      : reader_.http10() ? "Connection: keep-alive\r\n"
                                                         : "";
  out_.clear();
  fmt::format_to(std::back_inserter(out_),
                 "HTTP/1.1 {} {}\r\nDate: {}\r\nContent-Type: {}\r\nContent-Length: {}\r\n{}{}\r\n",
                 answer.status, ReasonPhrase(answer.status), context_->date, answer.content_type,
                 answer.body.size(), answer.extra_headers, connection);
  if (!reader_.head()) out_.append(answer.body);
  written_ = 0;
}

// Mostly the socket takes an answer at once, which spares a turn of the loop.
void Session::Write() {
  error_code error;
  written_ += transport_.Write(std::string_view(out_).substr(written_), error);
  if (!error) return OnWritten();
  if (error != boost::asio::error::would_block) return Close();
  if (state_ != State::kWriting) SetDeadline(context_->options->write_timeout);
  state_ = State::kWriting;
  transport_.WaitToWrite([self = shared_from_this()](error_code wait_error) {
    if (self->closed()) return;
    wait_error ? self->Close() : self->Write();
  });
}

void Session::OnWritten() {
  if (!keep_alive_) {
    HalfClose();
    return ReadSoon();
  }
  state_ = State::kReading;
  Begin(context_->options->idle_timeout);
  Take({});
}

void Session::HalfClose() {
  transport_.CloseSending();
  state_ = State::kLingering;
  reader_.Drop();
  Begin(kLingerTimeout);
}

void Session::CheckDeadline(Clock::time_point now) {
  if (state_ == State::kClosed || now < deadline_) return;
  switch (state_) {
    case State::kReading:
      return IsIdle() ? Close() : GiveUpReading();
    case State::kHandling: {
      ++request_number_;
      const Route& route = *reader_.route();
      return Respond(route.answer_late ? route.answer_late()
                                       : UnavailableAnswer("overloaded", "no answer in time"));
    }
    case State::kHolding:
      return Send(std::exchange(held_, {}));
    case State::kWriting:
    case State::kLingering:
    case State::kClosed:
      return Close();
  }
}

std::optional<Session::Worth> Session::WorthAt(Clock::time_point now) const {
  const ServerOptions& options = *context_->options;
  // Who waits for a refusal loses nothing.
  if (state_ == State::kHolding) return Worth{.kind = Worth::Kind::kIdle, .since = since_};
  const bool idle = state_ == State::kLingering || IsIdle();
  const auto waited = now - since_;
  if (idle) {
    if (waited < options.idle_grace) return std::nullopt;
    return Worth{.kind = Worth::Kind::kIdle, .since = since_};
  }
  if (state_ != State::kReading || waited < options.slow_grace) return std::nullopt;
  const auto millis = std::chrono::duration_cast<milliseconds>(waited).count();
  if (static_cast<int64_t>(received_) * 1000 >= options.slow_bytes_a_second * millis)
    return std::nullopt;
  return Worth{.kind = Worth::Kind::kSlow, .since = since_};
}

bool Session::MakeRoom(Clock::time_point now) {
  const std::optional<Worth> worth = WorthAt(now);
  if (!worth || (state_ == State::kReading && transport_.HasBytes())) return false;
  if (worth->kind == Worth::Kind::kSlow) GiveUpReading();
  Close();
  return true;
}

// The read under way goes on, as the one that lingers.
void Session::GiveUpReading() {
  context_->shared->over_time.Increment();
  AnswerAndHalfClose(ProblemAnswer(
      {.status = 408, .reason = "too_slow", .detail = "the request did not arrive in time"}));
}

// An answer that nobody waits for: what the socket does not take at once is not sent.
void Session::AnswerAndHalfClose(const Answer& answer) {
  keep_alive_ = false;
  body_bytes_ = 0;
  handling_since_ = Clock::now();
  Count(answer);
  Format(answer);
  transport_.WriteOrForget(out_);
  HalfClose();
}

void Session::Drain() {
  if (state_ == State::kHolding) return Send(std::exchange(held_, {}));
  if (!IsIdle()) return;
  // Who shakes hands, or has a proxy speak for him, has a request, and its client would not know
  // what an end before it means.
  if (transport_.shaking_hands() || proxy_header_) {
    deadline_ = std::min(deadline_, Clock::now() + kLingerTimeout);
    return;
  }
  // A wait that has its bytes already completes with them all the same.
  transport_.Cancel();
}

void Session::Close() {
  if (state_ == State::kClosed) return;
  state_ = State::kClosed;
  --*count_;
  EndHandshake();
  place_.GiveBack();
  transport_.Close();
}

}  // namespace mmsmo::http
