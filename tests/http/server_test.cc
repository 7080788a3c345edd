// The server with routes of the test's own: what no route of the gateway does, or not in a test's
// time.

#include "gateway/http/server.h"

#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <string>
#include <vector>

#include "tests/support/status_matchers.h"

namespace mmsmo::http {
namespace {

using std::chrono::milliseconds;
using testing::HasSubstr;
using testing::StartsWith;

class Client {
 public:
  explicit Client(const std::string& address) : socket_(socket(AF_INET, SOCK_STREAM, 0)) {
    sockaddr_in to{};
    to.sin_family = AF_INET;
    to.sin_port = htons(static_cast<uint16_t>(std::stoi(address.substr(address.rfind(':') + 1))));
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (connect(socket_, reinterpret_cast<const sockaddr*>(&to), sizeof to) != 0) std::abort();
  }
  ~Client() { close(socket_); }
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;

  Client& Send(const std::string& bytes) {
    EXPECT_EQ(send(socket_, bytes.data(), bytes.size(), MSG_NOSIGNAL),
              static_cast<ssize_t>(bytes.size()));
    return *this;
  }
  // Up to the end of what the next answer's length says.
  std::string Answer() {
    size_t end = 0;
    while ((end = received_.find("\r\n\r\n")) == std::string::npos) {
      if (!Receive()) return "";
    }
    const size_t length = std::stoul(received_.substr(received_.find("Content-Length: ") + 16));
    while (received_.size() < end + 4 + length) {
      if (!Receive()) return "";
    }
    std::string answer = received_.substr(0, end + 4 + length);
    received_.erase(0, answer.size());
    return answer;
  }

 private:
  bool Receive() {
    char bytes[4096];
    const ssize_t count = recv(socket_, bytes, sizeof bytes, 0);
    if (count > 0) received_.append(bytes, static_cast<size_t>(count));
    return count > 0;
  }

  const int socket_;
  std::string received_;
};

class ServerTest : public testing::Test {
 protected:
  // A server of one route, POST /p.
  void Serve(ServerOptions options, const Handler& handler) {
    options.name = "test";
    options.setting = "test-listen";
    options.listen = "127.0.0.1:0";
    auto server = Server::Listen(
        options,
        [&](const Post&) {
          return Routes{
              {"/p",
               {.method = "POST", .handle = handler, .refuse_body = {}, .answer_late = late_}}};
        },
        metrics_);
    ASSERT_THAT(server, IsOk());
    server_ = *std::move(server);
    server_->Start();
  }
  static std::string Request(const std::string& body, const std::string& version = "1.1") {
    return "POST /p HTTP/" + version +
           "\r\nHost: h\r\nContent-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body;
  }

  Metrics metrics_;
  std::function<Answer()> late_;
  std::unique_ptr<Server> server_;
};

TEST_F(ServerTest, AnswersForAHandlerThatTakesTooLong) {
  std::vector<Respond> kept;  // of the one thread's, and after its end
  late_ = [] { return UnavailableAnswer("not_durable", "not durable in time"); };
  Serve({.handler_timeout = milliseconds(1)}, [&](const http::Request& request, Respond respond) {
    if (request.body == "late") return kept.push_back(std::move(respond));
    for (Respond& late : kept) late({.body = "\"late\""});
    respond({.body = "\"soon\""});
  });
  Client client(server_->address());
  const std::string late = client.Send(Request("late")).Answer();
  EXPECT_THAT(late, StartsWith("HTTP/1.1 503 "));
  EXPECT_THAT(late, HasSubstr("Retry-After: 5\r\n"));
  EXPECT_THAT(late, HasSubstr("\"reason\":\"not_durable\""));
  // What the first is answered after all must not be taken for the answer to the second.
  const std::string soon = client.Send(Request("soon")).Answer();
  EXPECT_THAT(soon, StartsWith("HTTP/1.1 200 "));
  EXPECT_THAT(soon, testing::EndsWith("\"soon\""));
  server_.reset();
}

TEST_F(ServerTest, RefusesBodiesWhereTheRouteHasNoAnswerForThem) {
  Serve({.max_body_bytes = 100, .max_in_flight_bytes = 50},
        [](const http::Request&, Respond respond) { respond({}); });
  EXPECT_THAT(Client(server_->address()).Send(Request(std::string(40, 'x'))).Answer(),
              StartsWith("HTTP/1.1 200 "));
  EXPECT_THAT(Client(server_->address()).Send(Request(std::string(101, 'x'))).Answer(),
              StartsWith("HTTP/1.1 413 "));
  const std::string refused =
      Client(server_->address()).Send(Request(std::string(60, 'x'))).Answer();
  EXPECT_THAT(refused, StartsWith("HTTP/1.1 503 "));
  EXPECT_THAT(refused, HasSubstr("\"reason\":\"overloaded\""));
}

TEST_F(ServerTest, ServesNoOtherVersionsOfHttp) {
  Serve({}, [](const http::Request&, Respond respond) { respond({}); });
  for (const char* version : {"2.0", "1.2", "0.9"}) {
    EXPECT_THAT(Client(server_->address()).Send(Request("x", version)).Answer(),
                StartsWith("HTTP/1.1 505 "))
        << version;
  }
  EXPECT_THAT(Client(server_->address()).Send(Request("x", "1.0")).Answer(),
              StartsWith("HTTP/1.1 200 "));
}

TEST(Listen, TakesAddressesAndSaysWhoCanReachThem) {
  const struct {
    std::string listen, host;
    bool loopback;
  } kCases[] = {{"127.0.0.1:0", "127.0.0.1:", true},
                {"localhost:0", "127.0.0.1:", true},
                {"0.0.0.0:0", "0.0.0.0:", false},
                {"[::1]:0", "[::1]:", true},
                {"[::]:0", "[::]:", false}};
  for (const auto& expected : kCases) {
    Metrics metrics;
    auto server = Server::Listen(
        {.setting = "test-listen", .listen = expected.listen, .threads = 2},
        [](const Post&) { return Routes(); }, metrics);
    if (absl::IsFailedPrecondition(server.status()) && expected.listen[0] == '[')
      continue;  // no IPv6 here
    ASSERT_THAT(server, IsOk()) << expected.listen;
    EXPECT_THAT((*server)->address(), StartsWith(expected.host));
    EXPECT_EQ((*server)->loopback(), expected.loopback) << expected.listen;
  }
}

TEST(Listen, SaysWhatIsNoAddress) {
  for (const char* listen : {"", "127.0.0.1", "127.0.0.1:", "127.0.0.1:x", "127.0.0.1:65536",
                             "127.0.0.1:1x", "127.0.0.1:-1"}) {
    Metrics metrics;
    EXPECT_THAT(
        Server::Listen(
            {.setting = "test-listen", .listen = listen}, [](const Post&) { return Routes(); },
            metrics),
        StatusIs(absl::StatusCode::kInvalidArgument,
                 StartsWith("test-listen: '" + std::string(listen) + "' is not HOST:PORT")));
  }
  for (const char* listen : {"gateway.example:80", ":80", "[]:80", "[::1:80"}) {
    Metrics metrics;
    EXPECT_THAT(Server::Listen(
                    {.setting = "test-listen", .listen = listen},
                    [](const Post&) { return Routes(); }, metrics),
                StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("is not an IP address")))
        << listen;
  }
}

}  // namespace
}  // namespace mmsmo::http
