// The server over TLS: what no client of the real gateway's tests can bring about.

#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <fstream>
#include <string>
#include <thread>
#include <vector>

#include "gateway/http/server.h"
#include "tests/support/authority.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temp_dir.h"
#include "tests/support/tls_client.h"

namespace mmsmo::http {
namespace {

using testing::HasSubstr;
using testing::StartsWith;

int Connect(const std::string& address) {
  const int fd = socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in to{};
  to.sin_family = AF_INET;
  to.sin_port = htons(static_cast<uint16_t>(std::stoi(address.substr(address.rfind(':') + 1))));
  to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (connect(fd, reinterpret_cast<const sockaddr*>(&to), sizeof to) != 0) std::abort();
  return fd;
}

class Client {
 public:
  explicit Client(const std::string& address, const TlsClient::Options& options = {})
      : socket_(Connect(address)), tls_(socket_, options) {
    tls_.Handshake();
  }
  ~Client() { close(socket_); }
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;

  std::string Exchange(const std::string& body) {
    tls_.Send("POST /p HTTP/1.1\r\nHost: h\r\nContent-Length: " + std::to_string(body.size()) +
              "\r\n\r\n" + body);
    return tls_.Receive();
  }
  std::string Receive() { return tls_.Receive(); }

 private:
  const int socket_;
  TlsClient tls_;
};

class TlsServerTest : public testing::Test {
 protected:
  TlsServerTest() {
    std::signal(SIGPIPE, SIG_IGN);
    Write("cert", identity_.cert);
    Write("key", identity_.key);
    Write("ca", authority_.cert());
    auto certificates = tls::Certificates::Load(
        "http",
        {.cert = directory_ / "cert", .key = directory_ / "key", .client_ca = directory_ / "ca"},
        SystemClock(), metrics_);
    if (!certificates.ok()) std::abort();
    certificates_ = *std::move(certificates);
  }

  void Write(const std::string& name, const std::string& content) {
    std::ofstream(directory_ / name) << content;
    chmod((directory_ / name).c_str(), 0600);
  }
  // A server of one route, POST /p.
  absl::Status Serve(ServerOptions options, const Handler& handler) {
    options.name = "test";
    options.setting = "test-listen";
    options.certificates = certificates_.get();
    auto server = Server::Listen(
        options,
        [&](const Post&) {
          Route route{.method = "POST"};
          route.admit = [](const access::Peer& peer, access::FieldOf, Request* request) {
            request->signature.value = peer.certificate ? peer.certificate->sans.at(0) : "nobody";
            return std::optional<Answer>();
          };
          route.handle = handler;
          return Routes{{"/p", std::move(route)}};
        },
        metrics_);
    if (!server.ok()) return server.status();
    server_ = *std::move(server);
    server_->Start();
    return absl::OkStatus();
  }

  const Authority authority_;
  const Identity identity_ = authority_.Issue();
  TempDir directory_;
  Metrics metrics_;
  std::unique_ptr<tls::Certificates> certificates_;
  std::unique_ptr<Server> server_;
};

TEST_F(TlsServerTest, TellsRoutesWhoTheClientIs) {
  ASSERT_THAT(Serve({.listen = "127.0.0.1:0"},
                    [](const Request& request, Respond respond) {
                      respond({.body = request.signature.value});
                    }),
              IsOk());
  EXPECT_TRUE(server_->uses_tls());
  EXPECT_THAT(Client(server_->address()).Exchange("x"), HasSubstr("nobody"));
  const Identity identity = authority_.Issue({.names = "DNS:provider"});
  Client client(server_->address(), {.identity = identity});
  EXPECT_THAT(client.Exchange("x"), HasSubstr("provider"));
  EXPECT_THAT(client.Exchange("x"), HasSubstr("provider"));
}

TEST_F(TlsServerTest, AnswersTheRequestUnderWayOfAClientThatIsWithdrawn) {
  std::vector<Respond> kept;
  ASSERT_THAT(Serve({.listen = "127.0.0.1:0"},
                    [&](const Request& request, Respond respond) {
                      if (request.body == "wait") return kept.push_back(std::move(respond));
                      if (request.body == "count")
                        return respond({.body = std::to_string(kept.size())});
                      for (Respond& waiting : kept) waiting({.body = "waited"});
                      respond({.body = "done"});
                    }),
              IsOk());
  const Identity identity = authority_.Issue();
  Client waiting(server_->address(), {.identity = identity});
  Client idle(server_->address(), {.identity = identity});
  EXPECT_THAT(idle.Exchange("x"), StartsWith("HTTP/1.1 200 "));
  std::thread waiter([&] {
    const std::string answer = waiting.Exchange("wait");
    EXPECT_THAT(answer, HasSubstr("waited"));
    EXPECT_THAT(answer, HasSubstr("Connection: close"));
  });
  Client other(server_->address());
  while (!other.Exchange("count").ends_with("1")) {
  }
  Write("ca", Authority().cert());
  ASSERT_THAT(certificates_->Look(), IsOk());
  EXPECT_EQ(idle.Receive(), "");
  EXPECT_THAT(other.Exchange("x"), HasSubstr("done"));
  waiter.join();
}

TEST_F(TlsServerTest, TellsThoseOverTheCeiling) {
  ASSERT_THAT(Serve({.listen = "127.0.0.1:0", .max_connections = 1},
                    [](const Request&, Respond respond) { respond({}); }),
              IsOk());
  Client first(server_->address());
  EXPECT_THAT(first.Exchange("x"), StartsWith("HTTP/1.1 200 "));
  const std::string refused = Client(server_->address()).Receive();
  EXPECT_THAT(refused, StartsWith("HTTP/1.1 503 "));
  EXPECT_THAT(refused, HasSubstr("\"reason\":\"overloaded\""));
}

TEST_F(TlsServerTest, TakesNoUnixSocket) {
  EXPECT_THAT(Serve({.listen = "unix:" + (directory_ / "socket")}, {}),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("takes no TLS")));
}

}  // namespace
}  // namespace mmsmo::http
