#include "gateway/http/request_reader.h"

#include <algorithm>
#include <boost/asio/buffer.hpp>
#include <boost/beast/http/error.hpp>
#include <boost/beast/http/field.hpp>
#include <boost/beast/http/verb.hpp>
#include <utility>

#include "absl/strings/match.h"
#include "fmt/format.h"
#include "gateway/http/path.h"
#include "gateway/http/trace_parent.h"

namespace mmsmo::http {
namespace {

namespace field = boost::beast::http;

std::string_view View(boost::core::string_view text) { return {text.data(), text.size()}; }

bool EqualsIgnoreCase(std::string_view a, std::string_view b) {
  return absl::EqualsIgnoreCase({a.data(), a.size()}, {b.data(), b.size()});
}

// What the parser keeps of a header.
template <class Fields>
int64_t FieldBytes(const Fields& fields) {
  constexpr size_t kBesideText = 80;
  size_t bytes = 0;
  for (const auto& one : fields)
    bytes += kBesideText + one.name_string().size() + one.value().size();
  return static_cast<int64_t>(bytes);
}

}  // namespace

RequestReader::RequestReader(const Limits& limits, const std::shared_ptr<const Routes>* routes,
                             const access::Peer* peer, ByteBudget* budget)
    : limits_(limits),
      routes_(routes),
      peer_(peer),
      budget_(budget),
      request_part_(budget),
      kept_part_(budget) {}

RequestReader::Phase RequestReader::phase() const {
  return !parser_ ? Phase::kIdle : header_seen_ ? Phase::kBody : Phase::kHeader;
}

void RequestReader::Drop() {
  parser_.reset();
  std::string().swap(kept_);
  read_ = 0;
  request_part_.Resize(0);
  kept_part_.Resize(0);
  keep_alive_ = false;
}

RequestReader::Next RequestReader::Read(std::string_view bytes) {
  if (overloaded_) {
    head_ = false;
    return RefuseBody(BodyRefusal::kOverloaded);
  }
  const bool had_some = !kept_.empty();
  if (had_some) {
    if (!bytes.empty()) kept_.erase(0, std::exchange(read_, 0)).append(bytes);
    bytes = std::string_view(kept_).substr(read_);
  }
  const Next next = Parse(&bytes);
  if (next == Next::kRefusal && !keep_alive_) {
    Drop();
    return next;
  }
  if (bytes.empty()) {
    std::string().swap(kept_);
    read_ = 0;
  } else if (had_some) {
    read_ = kept_.size() - bytes.size();
  } else {
    kept_ = bytes;
  }
  if (Hold()) return next;
  if (next != Next::kRequest) return RefuseBody(BodyRefusal::kOverloaded);
  // The request can be had all the same, but not what comes behind it.
  overloaded_ = true;
  std::string().swap(kept_);
  read_ = 0;
  return Hold() ? next : RefuseBody(BodyRefusal::kOverloaded);
}

// Takes of the budget what is kept.
bool RequestReader::Hold() {
  int64_t bytes = 0;
  if (parser_) bytes = HeapBytes(parser_->get().body());
  if (parser_ && !parser_->is_done()) {
    if (!header_seen_ || header_bytes_ == 0) header_bytes_ = FieldBytes(parser_->get());
    bytes += header_bytes_;
  }
  return kept_part_.Resize(HeapBytes(kept_)) && request_part_.Resize(bytes);
}

RequestReader::Next RequestReader::Parse(std::string_view* bytes) {
  while (true) {
    if (!parser_) {
      // Some clients send an empty line after a body (RFC 9112, 2.2).
      while (bytes->starts_with("\r\n")) bytes->remove_prefix(2);
      if (bytes->empty() || *bytes == "\r") return Next::kMore;
      Begin();
    }
    const size_t before = bytes->size();
    const Next next = Step(bytes);
    if (next != Next::kMore || bytes->size() == before) return next;
  }
}

void RequestReader::Begin() {
  parser_.emplace();
  parser_->header_limit(static_cast<std::uint32_t>(limits_.max_header_bytes));
  parser_->body_limit(boost::none);  // its route will say
  header_seen_ = false;
  header_bytes_ = 0;
  route_ = nullptr;
  keep_alive_ = false;
  head_ = false;
  http10_ = false;
  method_ = {};
  client_ = peer_->address;
}

RequestReader::Next RequestReader::Step(std::string_view* bytes) {
  // Beast asserts that they are there once it has seen that the last chunk begins.
  constexpr size_t kShortestEnd = std::string_view("0\r\n\r\n").size();
  if (header_seen_ && parser_->chunked() && bytes->size() < kShortestEnd) return Next::kMore;
  boost::system::error_code error;
  const size_t used = parser_->put(boost::asio::buffer(bytes->data(), bytes->size()), error);
  bytes->remove_prefix(used);
  if (error == field::error::need_more) error = {};
  Next next = Next::kMore;
  if (!header_seen_ && parser_->is_header_done()) {
    header_seen_ = true;
    next = JudgeHeader(!parser_->is_done() && bytes->empty());
    if (next == Next::kRefusal) return next;
  }
  if (error == field::error::body_limit) return RefuseBody(BodyRefusal::kTooLarge);
  if (error) return RefuseUnreadable(error);
  if (parser_->is_done()) return Next::kRequest;
  if (used == 0 && bytes->size() > limits_.max_header_bytes) {
    return Refuse(400, "unreadable", "a chunk's header is too long");
  }
  return next;
}

// Judges the request by its header alone, so that nobody sends a body for nothing.
RequestReader::Next RequestReader::JudgeHeader(bool body_waits) {
  const auto& request = parser_->get();
  http10_ = request.version() == 10;
  const bool coded = request.count(field::field::transfer_encoding) > 0;
  // HTTP/1.0 knows no transfer codings: what follows the body may be anything (RFC 9112, 6.1).
  keep_alive_ = request.keep_alive() && !(http10_ && coded);
  head_ = request.method() == field::verb::head;
  if (request.method() != field::verb::unknown) method_ = View(field::to_string(request.method()));
  if (!http10_ && request.count(field::field::host) != 1) {
    return Refuse(400, "bad_host", "the request has not exactly one Host field");
  }
  if (coded && !EqualsIgnoreCase(View(request[field::field::transfer_encoding]), "chunked")) {
    return Refuse(501, "bad_transfer_coding", "the only transfer coding served is chunked");
  }
  const std::string_view path = PathOf(View(request.target()));
  route_ = FindRoute(path);
  if (route_ == nullptr) {
    // Its length tells a typing error; its text, and a hash of it, could give a secret away.
    std::string note = fmt::format("the path has {} bytes", path.size());
    Refuse(404, "no_such_path", "nothing is served at this path");
    refusal_.note = std::move(note);
    return Next::kRefusal;
  }
  KeepFields();
  const std::string_view method = View(request.method_string());
  if (method != route_->method && !(head_ && route_->method == "GET")) return RefuseMethod();
  if (auto answer = Admit()) return Refuse(*std::move(answer));
  const size_t limit = route_->max_body_bytes.value_or(limits_.max_body_bytes);
  parser_->body_limit(limit);
  if (parser_->content_length().value_or(0) > limit) return RefuseBody(BodyRefusal::kTooLarge);
  if (method == "POST" && !parser_->content_length() && !parser_->chunked()) {
    return Refuse(411, "length_required",
                  "a POST needs Content-Length or Transfer-Encoding: chunked");
  }
  const std::string_view expectation = View(request[field::field::expect]);
  // Of HTTP/1.0 it must be ignored (RFC 9110, 10.1.1).
  if (expectation.empty() || http10_) return Next::kMore;
  if (!EqualsIgnoreCase(expectation, "100-continue")) {
    return Refuse(417, "bad_expectation", "the only expectation served is 100-continue");
  }
  return body_waits ? Next::kContinue : Next::kMore;
}

// A path's secret is its last segment; a wrong one is as if there were no such path.
const Route* RequestReader::FindRoute(std::string_view path) {
  routes_of_request_ = *routes_;
  const Routes& routes = *routes_of_request_;
  auto route = routes.find(path);
  if (route != routes.end() && !route->second.is_secret) return &route->second;
  const std::string normal = NormalPath(path);
  route = routes.find(normal);
  if (route != routes.end() && !route->second.is_secret) return &route->second;
  const size_t slash = normal.rfind('/');
  if (slash == std::string::npos) return nullptr;
  route = routes.find(slash == 0 ? "/" : normal.substr(0, slash));
  const bool opens = route != routes.end() && route->second.is_secret &&
                     route->second.is_secret(std::string_view(normal).substr(slash + 1));
  return opens ? &route->second : nullptr;
}

// What a field that stands there twice says depends on who reads it.
std::optional<Answer> RequestReader::Admit() {
  if (!route_->admit) return std::nullopt;
  const auto& message = parser_->get();
  const auto only = [&](std::string_view name) -> std::optional<std::string_view> {
    const auto [begin, end] = message.equal_range({name.data(), name.size()});
    if (begin == end || std::next(begin) != end) return std::nullopt;
    return View(begin->value());
  };
  const access::Peer client = Client();
  client_ = client.address;
  return route_->admit(client, only, &request_);
}

access::Peer RequestReader::Client() const {
  const access::TrustedProxies* const proxies = limits_.proxies;
  if (proxies == nullptr || proxies->field == access::TrustedProxies::Field::kNone ||
      !proxies->Trust(peer_->address)) {
    return *peer_;
  }
  std::string values;
  const std::string_view name = NameOf(proxies->field);
  const auto [begin, end] = parser_->get().equal_range({name.data(), name.size()});
  for (auto one = begin; one != end; ++one) {
    if (!values.empty()) values += ',';
    values += View(one->value());
  }
  return {.address = ClientOf(*proxies, peer_->address, values), .certificate = peer_->certificate};
}

// What a trailer says must not be taken for what the header says (RFC 9110, 6.5.1).
void RequestReader::KeepFields() {
  const auto& message = parser_->get();
  request_.content_type = View(message[field::field::content_type]);
  request_.content_encoding = View(message[field::field::content_encoding]);
  const std::string_view parent = View(message["traceparent"]);
  request_.trace_parent = IsTraceParent(parent) ? parent : std::string_view();
}

Request RequestReader::TakeRequest() {
  Request request = std::exchange(request_, {});
  request.body = std::move(parser_->get().body());
  request.held = std::exchange(request_part_, ByteBudget::Part(budget_));
  parser_.reset();
  return request;
}

RequestReader::Next RequestReader::RefuseMethod() {
  const std::string_view allowed =
      route_->method == "GET" ? "GET, HEAD" : std::string_view(route_->method);
  const bool keep_alive = keep_alive_ && parser_->is_header_done() && parser_->is_done();
  // A name that is known, or nothing: whoever sends a secret as a method does not see it logged.
  const field::verb verb = parser_->get().method();
  std::string note = verb == field::verb::unknown
                         ? std::string()
                         : fmt::format("the method is {}", View(field::to_string(verb)));
  Refuse(405, "method_not_allowed", fmt::format("this path takes {}", allowed));
  refusal_.extra_headers = fmt::format("Allow: {}\r\n", allowed);
  refusal_.note = std::move(note);
  keep_alive_ = keep_alive;
  return Next::kRefusal;
}

RequestReader::Next RequestReader::RefuseUnreadable(boost::system::error_code error) {
  if (error == field::error::header_limit || error == field::error::buffer_overflow) {
    Refuse(431, "header_too_large",
           fmt::format("the request's header is over {} bytes", limits_.max_header_bytes));
    refused_by_ = Limit::kHeaderBytes;
    return Next::kRefusal;
  }
  if (error == field::error::bad_version) {
    return Refuse(505, "bad_version", "the version is neither HTTP/1.1 nor HTTP/1.0");
  }
  return Refuse(400, "unreadable", fmt::format("the request cannot be read: {}", error.message()));
}

RequestReader::Next RequestReader::RefuseBody(BodyRefusal why) {
  const bool too_large = why == BodyRefusal::kTooLarge;
  refusal_ = route_ != nullptr && route_->refuse_body ? route_->refuse_body(why)
             : too_large ? ProblemAnswer({.status = 413, .reason = "body_too_large"})
                         : UnavailableAnswer("overloaded", "too many bodies are in flight");
  refused_by_ = too_large ? Limit::kBodyBytes : Limit::kInFlightBytes;
  Drop();
  return Next::kRefusal;
}

RequestReader::Next RequestReader::Refuse(int status, std::string_view reason,
                                          std::string_view detail) {
  return Refuse(ProblemAnswer(
      {.status = status, .reason = std::string(reason), .detail = std::string(detail)}));
}

RequestReader::Next RequestReader::Refuse(Answer answer) {
  refusal_ = std::move(answer);
  refused_by_ = Limit::kNone;
  parser_.reset();
  keep_alive_ = false;
  return Next::kRefusal;
}

}  // namespace mmsmo::http
