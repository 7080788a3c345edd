// POSTs to a gateway over one connection that is kept alive.

#pragma once

#include <boost/asio/awaitable.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/core/tcp_stream.hpp>
#include <chrono>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"

namespace mmsmo::command {

struct Url {
  std::string host;
  std::string port = "80";
  std::string path = "/";
};

// Of http://HOST[:PORT][/PATH]. InvalidArgument for anything else.
absl::StatusOr<Url> ParseUrl(std::string_view text);

struct Answer {
  int status = 0;
  std::string body;
};

// What a gateway's answer says; empty where it says nothing.
struct AnswerFields {
  std::string outcome;
  std::string cursor;
};
AnswerFields ReadAnswer(const std::string& body);

// Not thread-safe; one Post at a time.
class HttpClient {
 public:
  HttpClient(boost::asio::any_io_executor executor, Url url, std::chrono::milliseconds timeout);

  // Unavailable where no connection was made, DeadlineExceeded after the timeout.
  boost::asio::awaitable<absl::Status> Connect();

  // Connects first where that is needed. Unavailable where no connection was made or it broke,
  // DeadlineExceeded after the timeout; the next call connects anew. A kept connection that turns
  // out to be closed is replaced once.
  boost::asio::awaitable<absl::StatusOr<Answer>> Post(std::string content_type, std::string body);

 private:
  boost::asio::awaitable<absl::StatusOr<Answer>> Exchange(std::string content_type,
                                                          std::string body);

  const Url url_;
  const std::chrono::milliseconds timeout_;
  boost::beast::tcp_stream stream_;
  boost::beast::flat_buffer buffer_;
  bool connected_ = false;
};

}  // namespace mmsmo::command
