#include "client/command/http_client.h"

#include <simdjson.h>

#include <algorithm>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/use_future.hpp>
#include <boost/beast/http.hpp>
#include <charconv>
#include <ctime>
#include <utility>

#include "fmt/format.h"
#include "mmsmo/tls.h"

namespace mmsmo::command {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = boost::beast::http;
using boost::system::error_code;

constexpr std::chrono::milliseconds kPauseBeforeRetry{20};

absl::Status Failure(std::string_view what, const Url& url, const error_code& error) {
  const std::string message = fmt::format("{} {}:{}: {}{}", what, url.host, url.port,
                                          error.message(), TlsRemedy(error.message()));
  return error == beast::error::timeout ? absl::DeadlineExceededError(message)
                                        : absl::UnavailableError(message);
}

// Zero for what is no number, such as a date, which the gateway never sends.
std::chrono::seconds RetryAfter(const http::response<http::string_body>& response) {
  const auto text = response[http::field::retry_after];
  int seconds = 0;
  std::from_chars(text.data(), text.data() + text.size(), seconds);
  return std::chrono::seconds(std::max(seconds, 0));
}

template <typename Stream>
asio::awaitable<error_code> WriteAndRead(Stream& stream,
                                         const http::request<http::string_body>& request,
                                         beast::flat_buffer& buffer,
                                         http::response<http::string_body>& response) {
  error_code error;
  co_await http::async_write(stream, request, asio::redirect_error(asio::use_awaitable, error));
  if (error) co_return error;
  do {  // what is interim is no answer (RFC 9110, 15.2)
    response = {};
    co_await http::async_read(stream, buffer, response,
                              asio::redirect_error(asio::use_awaitable, error));
  } while (!error && response.result_int() / 100 == 1 &&
           response.result() != http::status::switching_protocols);
  co_return error;
}

}  // namespace

absl::StatusOr<Url> ParseUrl(std::string_view text) {
  Url url;
  std::string_view rest = text;
  for (const std::string_view scheme : {"http://", "https://"}) {
    if (!text.starts_with(scheme)) continue;
    rest.remove_prefix(scheme.size());
    url.tls = scheme == "https://";
    if (url.tls) url.port = "443";
    const size_t slash = std::min(rest.find('/'), rest.size());
    const std::string_view authority = rest.substr(0, slash);
    if (slash < rest.size()) url.path = rest.substr(slash);
    // The colon of a port, not one inside [::1].
    const size_t colon = authority.rfind(':');
    const bool has_port =
        colon != std::string_view::npos && authority.find(']', colon) == std::string_view::npos;
    url.host = authority.substr(0, has_port ? colon : authority.size());
    if (has_port) url.port = authority.substr(colon + 1);
    if (url.host.starts_with('[') && url.host.ends_with(']')) {
      url.host = url.host.substr(1, url.host.size() - 2);
    }
  }
  const bool numeric = !url.port.empty() && url.port.size() <= 5 &&
                       url.port.find_first_not_of("0123456789") == std::string::npos;
  if (url.host.empty() || !numeric) {
    return absl::InvalidArgumentError(
        fmt::format("\"{}\" is not a URL such as http://127.0.0.1:8080/postbacks/mms-mo", text));
  }
  return url;
}

AnswerFields ReadAnswer(const std::string& body) {
  AnswerFields fields;
  simdjson::dom::parser parser;
  simdjson::dom::element answer;
  if (parser.parse(body).get(answer) != simdjson::SUCCESS) return fields;
  std::string_view text;
  if (answer["outcome"].get(text) == simdjson::SUCCESS) fields.outcome = text;
  if (answer["cursor"].get(text) == simdjson::SUCCESS) fields.cursor = text;
  return fields;
}

std::optional<std::chrono::milliseconds> PauseBeforeRetry(const absl::StatusOr<Answer>& answer) {
  if (answer.ok() && answer->status == 429)
    return std::max<std::chrono::milliseconds>(answer->retry_after, kPauseBeforeRetry);
  if (!answer.ok() || answer->status == 503) return kPauseBeforeRetry;
  return std::nullopt;
}

std::string_view RemedyFor(int status) {
  switch (status) {
    case 401:
      return "this endpoint has to know who posts: give what it checks with --user, "
             "--bearer-file, --secret-header or --hmac-header";
    case 403:
      return "this endpoint takes nothing from this address, or wants another client certificate: "
             "see --cert and --key";
    case 429:
      return "this is more than the endpoint's rate allows: send less with --rate, or wait with "
             "--retry-for";
    default:
      return "";
  }
}

HttpClient::HttpClient(asio::any_io_executor executor, Url url, std::chrono::milliseconds timeout,
                       Https https, PostSecrets secrets)
    : url_(std::move(url)),
      timeout_(timeout),
      https_(std::move(https)),
      secrets_(std::move(secrets)),
      stream_(executor) {}

asio::awaitable<absl::Status> HttpClient::Connect() {
  error_code error;
  asio::ip::tcp::resolver resolver(stream_.get_executor());
  const auto addresses = co_await resolver.async_resolve(
      url_.host, url_.port, asio::redirect_error(asio::use_awaitable, error));
  if (error) co_return Failure("cannot find", url_, error);
  stream_.expires_after(timeout_);
  co_await stream_.async_connect(addresses, asio::redirect_error(asio::use_awaitable, error));
  if (error) co_return Failure("cannot connect to", url_, error);
  stream_.socket().set_option(asio::ip::tcp::no_delay(true), error);
  buffer_.clear();
  if (url_.tls) {
    if (auto status = co_await ShakeHands(); !status.ok()) co_return status;
  }
  connected_ = true;
  co_return absl::OkStatus();
}

asio::awaitable<absl::Status> HttpClient::ShakeHands() {
  tls_.emplace(stream_, *https_.context);
  SSL* const ssl = tls_->native_handle();
  const std::string& name = https_.server_name.empty() ? url_.host : https_.server_name;
  // An address goes into no SNI (RFC 6066, 3).
  if (X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), name.c_str()) != 1) {
    SSL_set1_host(ssl, name.c_str());
    SSL_set_tlsext_host_name(ssl, name.c_str());
  }
  error_code error;
  co_await tls_->async_handshake(asio::ssl::stream_base::client,
                                 asio::redirect_error(asio::use_awaitable, error));
  if (!error) co_return absl::OkStatus();
  if (const long why = SSL_get_verify_result(ssl); why != X509_V_OK) {
    const bool other_name =
        why == X509_V_ERR_HOSTNAME_MISMATCH || why == X509_V_ERR_IP_ADDRESS_MISMATCH;
    co_return absl::UnavailableError(
        fmt::format("the certificate of {}:{} does not verify: {}; {}", url_.host, url_.port,
                    X509_verify_cert_error_string(why),
                    other_name ? "give the name that it is for with --server-name"
                               : "give the authority that signed it with --ca"));
  }
  co_return Failure("no TLS with", url_, error);
}

asio::awaitable<absl::StatusOr<Answer>> HttpClient::Exchange(std::string content_type,
                                                             std::string body,
                                                             const HttpFields& fields) {
  http::request<http::string_body> request(http::verb::post, url_.path, 11, std::move(body));
  request.set(http::field::host, fmt::format("{}:{}", url_.host, url_.port));
  if (!content_type.empty()) request.set(http::field::content_type, content_type);
  request.set(http::field::user_agent, "mmsmo");
  for (const auto& [name, value] : fields) request.set(name, value);
  for (const auto& [name, value] : secrets_.FieldsFor(request.body(), std::time(nullptr)))
    request.set(name, value);
  request.prepare_payload();

  stream_.expires_after(timeout_);
  http::response<http::string_body> response;
  error_code error;
  if (url_.tls) {
    error = co_await WriteAndRead(*tls_, request, buffer_, response);
  } else {
    error = co_await WriteAndRead(stream_, request, buffer_, response);
  }
  // What follows an answer unasked would be taken for the next one.
  if (error || !response.keep_alive() || buffer_.size() > 0) {
    connected_ = false;
    stream_.close();
  }
  if (error) co_return Failure("no answer from", url_, error);
  co_return Answer{.status = static_cast<int>(response.result_int()),
                   .body = std::move(response.body()),
                   .retry_after = RetryAfter(response)};
}

asio::awaitable<absl::StatusOr<Answer>> HttpClient::Post(std::string content_type, std::string body,
                                                         HttpFields fields) {
  if (connected_) {
    auto answer = co_await Exchange(content_type, body, fields);
    if (answer.status().code() != absl::StatusCode::kUnavailable) co_return answer;
  }
  if (auto status = co_await Connect(); !status.ok()) co_return status;
  co_return co_await Exchange(std::move(content_type), std::move(body), fields);
}

BlockingHttpClient::BlockingHttpClient(Url url, std::chrono::milliseconds timeout, Https https,
                                       PostSecrets secrets)
    : client_(context_.get_executor(), std::move(url), timeout, std::move(https),
              std::move(secrets)) {}

absl::StatusOr<Answer> BlockingHttpClient::Post(std::string content_type, std::string body,
                                                HttpFields fields) {
  auto answer = asio::co_spawn(
      context_, client_.Post(std::move(content_type), std::move(body), std::move(fields)),
      asio::use_future);
  context_.run();
  context_.restart();
  return answer.get();
}

}  // namespace mmsmo::command
