#include "client/command/http_client.h"

#include <simdjson.h>

#include <algorithm>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/beast/http.hpp>
#include <utility>

#include "fmt/format.h"

namespace mmsmo::command {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = boost::beast::http;
using boost::system::error_code;

absl::Status Failure(std::string_view what, const Url& url, const error_code& error) {
  const std::string message =
      fmt::format("{} {}:{}: {}", what, url.host, url.port, error.message());
  return error == beast::error::timeout ? absl::DeadlineExceededError(message)
                                        : absl::UnavailableError(message);
}

}  // namespace

absl::StatusOr<Url> ParseUrl(std::string_view text) {
  constexpr std::string_view kScheme = "http://";
  Url url;
  std::string_view rest = text;
  if (rest.starts_with(kScheme)) {
    rest.remove_prefix(kScheme.size());
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

HttpClient::HttpClient(asio::any_io_executor executor, Url url, std::chrono::milliseconds timeout)
    : url_(std::move(url)), timeout_(timeout), stream_(std::move(executor)) {}

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
  connected_ = true;
  co_return absl::OkStatus();
}

asio::awaitable<absl::StatusOr<Answer>> HttpClient::Exchange(std::string content_type,
                                                             std::string body) {
  http::request<http::string_body> request(http::verb::post, url_.path, 11, std::move(body));
  request.set(http::field::host, fmt::format("{}:{}", url_.host, url_.port));
  request.set(http::field::content_type, content_type);
  request.set(http::field::user_agent, "mmsmo");
  request.prepare_payload();

  error_code error;
  stream_.expires_after(timeout_);
  co_await http::async_write(stream_, request, asio::redirect_error(asio::use_awaitable, error));
  http::response<http::string_body> response;
  if (!error) {
    co_await http::async_read(stream_, buffer_, response,
                              asio::redirect_error(asio::use_awaitable, error));
  }
  if (error || !response.keep_alive()) {
    connected_ = false;
    stream_.close();
  }
  if (error) co_return Failure("no answer from", url_, error);
  co_return Answer{.status = static_cast<int>(response.result_int()),
                   .body = std::move(response.body())};
}

asio::awaitable<absl::StatusOr<Answer>> HttpClient::Post(std::string content_type,
                                                         std::string body) {
  if (connected_) {
    auto answer = co_await Exchange(content_type, body);
    if (answer.status().code() != absl::StatusCode::kUnavailable) co_return answer;
  }
  if (auto status = co_await Connect(); !status.ok()) co_return status;
  co_return co_await Exchange(std::move(content_type), std::move(body));
}

}  // namespace mmsmo::command
