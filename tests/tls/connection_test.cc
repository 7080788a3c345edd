#include "gateway/tls/connection.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <csignal>
#include <fstream>
#include <optional>

#include "tests/support/authority.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temp_dir.h"
#include "tests/support/tls_client.h"

namespace mmsmo::tls {
namespace {

using Outcome = Connection::Outcome;

// Both ends in one thread: neither blocks.
class ConnectionTest : public testing::Test {
 protected:
  ConnectionTest() {
    std::signal(SIGPIPE, SIG_IGN);
    Reconnect();
    Write("cert", identity_.cert);
    Write("key", identity_.key);
  }
  ~ConnectionTest() override {
    connection_.reset();
    close(ends_[0]);
    close(ends_[1]);
  }

  void Write(const std::string& name, const std::string& content) {
    std::ofstream(directory_ / name) << content;
    chmod((directory_ / name).c_str(), 0600);
  }
  void Reconnect() {
    for (const int end : ends_) close(end);
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends_) != 0) std::abort();
  }
  void Serve(const std::string& client_ca = "") {
    Files files{.cert = directory_ / "cert", .key = directory_ / "key", .client_ca = ""};
    if (!client_ca.empty()) {
      files.client_ca = directory_ / "ca";
      Write("ca", client_ca);
    }
    auto certificates = Certificates::Load("http", files, SystemClock(), metrics_);
    ASSERT_THAT(certificates, IsOk());
    connection_.reset();
    certificates_ = *std::move(certificates);
    connection_.emplace(certificates_.get(), ends_[0]);
  }
  Outcome Handshake(const TlsClient::Options& options) {
    client_.emplace(ends_[1], options);
    Outcome outcome = Outcome::kWantsRead;
    for (int i = 0; i < 10; ++i) {
      client_->Handshake();
      if (outcome != Outcome::kWantsRead) break;
      outcome = connection_->Handshake();
    }
    return outcome;
  }
  Handshakes& handshakes() { return certificates_->handshakes(); }

  const Authority authority_;
  const Identity identity_ = authority_.Issue();
  TempDir directory_;
  Metrics metrics_;
  int ends_[2] = {-1, -1};
  std::unique_ptr<Certificates> certificates_;
  std::optional<Connection> connection_;
  std::optional<TlsClient> client_;
};

TEST_F(ConnectionTest, CarriesBytesBothWays) {
  Serve();
  EXPECT_EQ(handshakes().under_way.Value(), 1);
  ASSERT_EQ(Handshake({.ca = authority_.cert(), .protocol = "http/1.1"}), Outcome::kDone);
  EXPECT_EQ(handshakes().under_way.Value(), 0);
  EXPECT_EQ(handshakes().done.Value(), 1);
  EXPECT_EQ(connection_->peer(), nullptr);
  EXPECT_STREQ(SSL_get_version(client_->ssl()), "TLSv1.3");

  ASSERT_TRUE(client_->Send("question"));
  char bytes[100];
  Connection::Result result = connection_->Read(bytes, sizeof bytes);
  EXPECT_EQ(std::string(bytes, result.bytes), "question");
  EXPECT_EQ(connection_->Read(bytes, sizeof bytes).outcome, Outcome::kWantsRead);
  EXPECT_FALSE(connection_->HasReceived());
  EXPECT_EQ(connection_->Write("answer", 6).bytes, 6u);
  EXPECT_EQ(client_->Receive(), "answer");

  connection_->CloseNotify();
  EXPECT_EQ(client_->Receive(), "");
  EXPECT_EQ(SSL_get_shutdown(client_->ssl()), SSL_RECEIVED_SHUTDOWN);
}

TEST_F(ConnectionTest, WritesOnWhereTheSocketHadNoRoom) {
  Serve();
  ASSERT_EQ(Handshake({}), Outcome::kDone);
  std::string sent(1 << 20, 'x');
  for (size_t i = 0; i < sent.size(); i += 100) sent[i] = static_cast<char>('a' + i % 26);
  size_t written = 0;
  std::string received;
  bool was_full = false;
  while (written < sent.size()) {
    // From another place each time, as a buffer that moves.
    const std::string rest = sent.substr(written);
    const Connection::Result result = connection_->Write(rest.data(), rest.size());
    was_full |= result.outcome == Outcome::kWantsWrite;
    written += result.bytes;
    for (std::string more; !(more = client_->Receive()).empty();) received += more;
  }
  for (std::string more; !(more = client_->Receive()).empty();) received += more;
  EXPECT_TRUE(was_full);
  EXPECT_EQ(received, sent);
}

TEST_F(ConnectionTest, VerifiesCertificatesButNeedsNone) {
  Serve(authority_.cert());
  const Identity client = authority_.Issue({.common_name = "provider", .names = "DNS:p.example"});
  ASSERT_EQ(Handshake({.identity = client}), Outcome::kDone);
  ASSERT_NE(connection_->peer(), nullptr);
  EXPECT_EQ(connection_->peer()->common_name, "provider");
  EXPECT_TRUE(connection_->VerifiesBy(*certificates_->snapshot()));

  Write("ca", Authority().cert());
  ASSERT_THAT(certificates_->Look(), IsOk());
  EXPECT_FALSE(connection_->VerifiesBy(*certificates_->snapshot()));
  EXPECT_TRUE(connection_->VerifiesBy(*connection_->snapshot()));
}

TEST_F(ConnectionTest, LetsThoseInWhoHaveNoCertificate) {
  Serve(authority_.cert());
  ASSERT_EQ(Handshake({}), Outcome::kDone);
  EXPECT_EQ(connection_->peer(), nullptr);
  EXPECT_FALSE(connection_->VerifiesBy(*certificates_->snapshot()));
  // What a session would carry on is not verified again.
  Reconnect();
  connection_.emplace(certificates_.get(), ends_[0]);
  ASSERT_EQ(Handshake({.identity = authority_.Issue(), .max_version = TLS1_2_VERSION}),
            Outcome::kDone);
  EXPECT_EQ(SSL_SESSION_has_ticket(SSL_get_session(client_->ssl())), 0);
}

TEST_F(ConnectionTest, RefusesCertificatesThatDoNotVerify) {
  const Identity kBad[] = {Authority().Issue(), authority_.Issue({.ends_in = -1}),
                           authority_.Issue({.begins_in = 3600})};
  for (const Identity& bad : kBad) {
    Serve(authority_.cert());
    const double before = handshakes().certificate.Value();
    EXPECT_EQ(Handshake({.identity = bad}), Outcome::kFailed);
    EXPECT_EQ(handshakes().certificate.Value(), before + 1);
    connection_.reset();
    EXPECT_EQ(handshakes().under_way.Value(), 0);
    EXPECT_EQ(handshakes().broken_off.Value(), 0);
    Reconnect();
  }
}

TEST_F(ConnectionTest, HasNothingInCommonWithOldVersionsAndOtherProtocols) {
  const TlsClient::Options kCases[] = {{.max_version = TLS1_1_VERSION}, {.protocol = "h2"}};
  for (const TlsClient::Options& options : kCases) {
    Serve();
    EXPECT_EQ(Handshake(options), Outcome::kFailed);
    Reconnect();
  }
  EXPECT_EQ(handshakes().nothing_shared.Value(), 2);
}

TEST_F(ConnectionTest, KnowsHttpFromGarbage) {
  const struct {
    std::string sent;
    Outcome outcome;
  } kCases[] = {{"GET / HTTP/1.1\r\n\r\n", Outcome::kPlainHttp},
                {"POST /postbacks/mms-mo HTTP/1.1\r\n", Outcome::kPlainHttp},
                {"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", Outcome::kFailed},
                {std::string("\0\0\0\0\0\0\0\0\0\0\0", 11), Outcome::kFailed}};
  for (const auto& given : kCases) {
    Serve();
    ASSERT_EQ(send(ends_[1], given.sent.data(), given.sent.size(), 0),
              static_cast<ssize_t>(given.sent.size()));
    EXPECT_EQ(connection_->Handshake(), given.outcome) << given.sent;
    char drained[4096];
    while (recv(ends_[1], drained, sizeof drained, 0) > 0) {
    }
    while (recv(ends_[0], drained, sizeof drained, 0) > 0) {
    }
    connection_.reset();
  }
  EXPECT_EQ(handshakes().plain_http.Value(), 2);
  EXPECT_EQ(handshakes().other.Value(), 2);
}

TEST_F(ConnectionTest, SeesTheEnd) {
  Serve();
  ASSERT_EQ(Handshake({}), Outcome::kDone);
  shutdown(ends_[1], SHUT_RDWR);
  char bytes[10];
  EXPECT_EQ(connection_->Read(bytes, sizeof bytes).outcome, Outcome::kEnded);
  connection_->CloseNotify();  // does no harm
  connection_.emplace(certificates_.get(), ends_[0]);
  connection_.reset();
  EXPECT_EQ(handshakes().broken_off.Value(), 1);
}

TEST_F(ConnectionTest, ForgetsSessionsWithTheCertificate) {
  Serve();
  ASSERT_EQ(Handshake({.max_version = TLS1_2_VERSION}), Outcome::kDone);
  const std::unique_ptr<SSL_SESSION, Freed<SSL_SESSION_free>> session(
      SSL_get1_session(client_->ssl()));
  const auto resumes = [&] {
    SSL_set_shutdown(client_->ssl(), SSL_SENT_SHUTDOWN);  // or the session is not to be resumed
    Reconnect();
    connection_.emplace(certificates_.get(), ends_[0]);
    client_.emplace(ends_[1], TlsClient::Options{.max_version = TLS1_2_VERSION});
    SSL_set_session(client_->ssl(), session.get());
    for (int i = 0; i < 5 && !connection_->established(); ++i) {
      client_->Handshake();
      connection_->Handshake();
    }
    EXPECT_TRUE(connection_->established());
    return SSL_session_reused(client_->ssl()) == 1;
  };
  EXPECT_TRUE(resumes());
  const Identity next = authority_.Issue();
  Write("cert", next.cert);
  Write("key", next.key);
  ASSERT_THAT(certificates_->Look(), IsOk());
  EXPECT_FALSE(resumes());
}

}  // namespace
}  // namespace mmsmo::tls
