#include "gateway/http/listen_address.h"

#include <boost/asio/io_context.hpp>
#include <charconv>

#include "gateway/base/status.h"

namespace mmsmo::http {

namespace asio = boost::asio;
using asio::ip::tcp;
using boost::system::error_code;

absl::StatusOr<tcp::endpoint> ParseListen(std::string_view setting, const std::string& text) {
  const size_t colon = text.rfind(':');
  const std::string_view number =
      colon == std::string::npos ? std::string_view() : std::string_view(text).substr(colon + 1);
  const char* const end = number.data() + number.size();
  uint16_t port = 0;
  if (const auto [rest, error] = std::from_chars(number.data(), end, port);
      error != std::errc() || rest != end) {
    return InvalidArgument("{}: '{}' is not HOST:PORT with a port from 0 to 65535", setting, text);
  }
  std::string host = text.substr(0, colon);
  if (host == "localhost") host = "127.0.0.1";
  if (host.size() > 2 && host.front() == '[' && host.back() == ']')
    host = host.substr(1, host.size() - 2);
  error_code error;
  const auto address = asio::ip::make_address(host, error);
  if (error) {
    return InvalidArgument(
        "{}: '{}' is not an IP address; give one, such as 127.0.0.1, 0.0.0.0 or [::1]", setting,
        host);
  }
  return tcp::endpoint(address, port);
}

absl::Status CannotListen(std::string_view setting, std::string_view listen,
                          const error_code& error) {
  return FailedPrecondition("{}: cannot listen on {}: {}; stop what uses it, or choose another",
                            setting, listen, error.message());
}

absl::Status CheckFree(std::string_view setting, std::string_view listen,
                       const tcp::endpoint& endpoint) {
  asio::io_context io;
  error_code error;
  tcp::acceptor probe(io);
  probe.open(endpoint.protocol(), error);
  if (!error) probe.set_option(tcp::acceptor::reuse_address(true), error);
  if (!error) probe.bind(endpoint, error);
  if (!error) probe.listen(1, error);
  return error ? CannotListen(setting, listen, error) : absl::OkStatus();
}

}  // namespace mmsmo::http
