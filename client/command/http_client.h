// POSTs to a gateway over one connection that is kept alive.

#pragma once

#include <boost/asio/awaitable.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ssl/context.hpp>
#include <boost/asio/ssl/stream.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/core/tcp_stream.hpp>
#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "client/command/post_secrets.h"

namespace mmsmo::command {

struct Url {
  bool tls = false;
  std::string host;
  std::string port = "80";
  std::string path = "/";
};

// Of http://HOST[:PORT][/PATH], or https. InvalidArgument for anything else.
absl::StatusOr<Url> ParseUrl(std::string_view text);

struct Answer {
  int status = 0;
  std::string body;
  std::chrono::seconds retry_after{0};  // 0: it says nothing
};

// How long to wait before the same is posted again: where there was no answer, 503, or 429, which
// says how long. None where that makes no sense.
std::optional<std::chrono::milliseconds> PauseBeforeRetry(const absl::StatusOr<Answer>& answer);

// What to do about 401, 403 and 429; empty for any other status.
std::string_view RemedyFor(int status);

// What a gateway's answer says; empty where it says nothing.
struct AnswerFields {
  std::string outcome;
  std::string cursor;
};
AnswerFields ReadAnswer(const std::string& body);

// How HTTPS is spoken.
struct Https {
  std::shared_ptr<boost::asio::ssl::context> context;  // for URLs of https; HttpsContext makes one
  std::string server_name;  // that the certificate must have; empty: the URL's host
};

// Names and values.
using HttpFields = std::vector<std::pair<std::string, std::string>>;

// Not thread-safe; one Post at a time.
class HttpClient {
 public:
  HttpClient(boost::asio::any_io_executor executor, Url url, std::chrono::milliseconds timeout,
             Https https = {}, PostSecrets secrets = {});

  // Unavailable where no connection was made, DeadlineExceeded after the timeout.
  boost::asio::awaitable<absl::Status> Connect();

  // Connects first where that is needed. Unavailable where no connection was made or it broke,
  // DeadlineExceeded after the timeout; the next call connects anew. A kept connection that turns
  // out to be closed is replaced once.
  // `fields` are further header fields.
  boost::asio::awaitable<absl::StatusOr<Answer>> Post(std::string content_type, std::string body,
                                                      HttpFields fields = {});

 private:
  using TlsStream = boost::asio::ssl::stream<boost::beast::tcp_stream&>;

  boost::asio::awaitable<absl::Status> ShakeHands();
  boost::asio::awaitable<absl::StatusOr<Answer>> Exchange(std::string content_type,
                                                          std::string body,
                                                          const HttpFields& fields);

  const Url url_;
  const std::chrono::milliseconds timeout_;
  const Https https_;
  const PostSecrets secrets_;
  boost::beast::tcp_stream stream_;
  std::optional<TlsStream> tls_;  // over stream_
  boost::beast::flat_buffer buffer_;
  bool connected_ = false;
};

// The same for whoever waits for the answer. Not thread-safe.
class BlockingHttpClient {
 public:
  BlockingHttpClient(Url url, std::chrono::milliseconds timeout, Https https = {},
                     PostSecrets secrets = {});
  absl::StatusOr<Answer> Post(std::string content_type, std::string body, HttpFields fields = {});

 private:
  boost::asio::io_context context_;
  HttpClient client_;
};

}  // namespace mmsmo::command
