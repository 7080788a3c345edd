// Any bytes as what a client sends over one connection, to a real session with the real routes and
// a broker that answers at once. The input's first line says how they are sent, the rest is sent.

#include <sys/socket.h>
#include <unistd.h>

#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <charconv>
#include <chrono>
#include <memory>
#include <string>
#include <vector>

#include "fmt/format.h"
#include "gateway/base/status.h"
#include "gateway/http/admin.h"
#include "gateway/http/postbacks.h"
#include "gateway/http/session.h"
#include "tests/fuzz/fuzz.h"
#include "tests/support/broker_stub.h"

namespace mmsmo::fuzz {
namespace {

namespace asio = boost::asio;
using http::Session;

// Low enough to be met.
const http::ServerOptions kOptions{
    .name = "fuzz", .max_header_bytes = 512, .max_body_bytes = 1024, .max_in_flight_bytes = 900};

// How a client and its circumstances are, from the first line: "7 dl" are pieces of seven bytes, a
// server that drains after the first one, and a sweep that finds the session late after each. A
// slow client sends everything before it reads, as far as the socket's small buffers let it.
struct Manner {
  explicit Manner(std::string_view line) {
    const char* const end = line.data() + line.size();
    line.remove_prefix(std::from_chars(line.data(), end, piece).ptr - line.data());
    if (piece == 0) piece = std::string_view::npos;
    drains = line.find('d') != std::string_view::npos;
    late = line.find('l') != std::string_view::npos;
    slow = line.find('s') != std::string_view::npos;
    busy = line.find('b') != std::string_view::npos;
    disk_full = line.find('f') != std::string_view::npos;
  }

  size_t piece = 0;
  bool drains = false;
  bool late = false;
  bool slow = false;
  bool busy = false;
  bool disk_full = false;
};

// Numbers what it takes.
class CountingBroker : public BrokerStub {
 public:
  void Append(std::vector<broker::Entry> entries, broker::AppendDone done) override {
    broker::Receipts receipts;
    for (const broker::Entry& entry : entries) receipts.push_back(Take(entry));
    if (auto then = std::move(done)(std::move(receipts))) then();
  }

  bool disk_full = false;
  int taken = 0;
  size_t bytes = 0;

 private:
  absl::StatusOr<broker::Receipt> Take(const broker::Entry& entry) {
    Require(entry.body.size() <= kOptions.max_body_bytes, "no body is over its limit");
    bytes += entry.body.size();
    if (disk_full) return WithReason(mmsmo::Unavailable("the disk is full"), "not_durable");
    const std::string number = std::to_string(++taken);
    if (!entry.event.empty()) return broker::Receipt{.cursor = number};
    return broker::Receipt{.outcome = broker::Receipt::Outcome::kQuarantined,
                           .quarantine_id = number};
  }
};

// Reads what a server answered, which must be well-formed.
class AnswerReader {
 public:
  explicit AnswerReader(std::string_view bytes) : rest_(bytes) {}

  // Of final answers.
  int count() const { return count_; }
  int continues() const { return continues_; }
  // How many of them say where a postback is kept; those must be numbered from 1 on.
  int kept() const { return kept_; }

  void Read() {
    while (!rest_.empty()) {
      if (Skip("HTTP/1.1 100 Continue\r\n\r\n")) {
        ++continues_;
      } else {
        ReadAnswer();
      }
    }
  }

 private:
  bool Skip(std::string_view text) {
    if (!rest_.starts_with(text)) return false;
    rest_.remove_prefix(text.size());
    return true;
  }
  std::string_view Line() {
    const size_t end = rest_.find("\r\n");
    Require(end != std::string_view::npos, "an answer's line ends");
    const std::string_view line = rest_.substr(0, end);
    for (const char c : line) Require(c >= ' ' && c <= '~', "an answer's line is printable");
    rest_.remove_prefix(end + 2);
    return line;
  }
  static int Number(std::string_view text) {
    int number = 0;
    const char* const end = text.data() + text.size();
    Require(std::from_chars(text.data(), end, number).ptr == end, "it is a number");
    return number;
  }

  void ReadAnswer() {
    Require(!closes_, "nothing follows an answer that closes the connection");
    ++count_;
    Require(Skip("HTTP/1.1 "), "an answer begins with its version");
    const std::string_view status = Line();
    const std::string_view phrase = http::ReasonPhrase(Number(status.substr(0, 3)));
    Require(!phrase.empty() && status.substr(3) == fmt::format(" {}", phrase),
            "an answer has a known status");
    int lengths = 0;
    size_t length = 0;
    for (std::string_view line = Line(); !line.empty(); line = Line()) {
      const size_t colon = line.find(": ");
      Require(colon != std::string_view::npos, "a field has a name and a value");
      const std::string_view name = line.substr(0, colon);
      const std::string_view value = line.substr(colon + 2);
      closes_ |= name == "Connection" && value == "close";
      if (name != "Content-Length") continue;
      ++lengths;
      length = static_cast<size_t>(Number(value));
    }
    Require(lengths == 1, "an answer says how long it is");
    // One to HEAD has no body.
    if (rest_.empty() || rest_.starts_with("HTTP/1.1 ")) return;
    Require(rest_.size() >= length, "an answer is complete");
    ReadBody(rest_.substr(0, length));
    rest_.remove_prefix(length);
  }

  void ReadBody(std::string_view body) {
    for (const std::string_view name : {R"("cursor":")", R"("quarantineId":")"}) {
      const size_t at = body.find(name);
      if (at == std::string_view::npos) continue;
      const std::string_view number = body.substr(at + name.size());
      Require(Number(number.substr(0, number.find('"'))) == ++kept_,
              "postbacks are answered once, in the order in which they came");
    }
  }

  std::string_view rest_;
  int count_ = 0;
  int continues_ = 0;
  int kept_ = 0;
  bool closes_ = false;
};

// The client's end of a connection.
class Client {
 public:
  Client(int fd, bool slow) : fd_(fd), slow_(slow) {}
  ~Client() { close(fd_); }
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;

  // False: the server takes no more.
  bool Send(std::string_view bytes) const {
    return send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL | MSG_DONTWAIT) ==
           static_cast<ssize_t>(bytes.size());
  }
  void EndSending() {
    shutdown(fd_, SHUT_WR);
    slow_ = false;
  }
  // False: nothing has arrived.
  bool Receive() {
    if (slow_) return false;
    char buffer[16 << 10];
    const ssize_t size = recv(fd_, buffer, sizeof(buffer), MSG_DONTWAIT);
    if (size > 0) received.append(buffer, static_cast<size_t>(size));
    return size > 0;
  }

  std::string received;

 private:
  const int fd_;
  bool slow_;
};

// One thread of a server, without its acceptor.
class Worker {
 public:
  Worker() {
    http::Routes routes = http::PostbackRoutes(
        {.ingest = &ingest_, .draining = &draining_, .max_body_bytes = kOptions.max_body_bytes},
        {Shut(), Open()},
        [this](absl::AnyInvocable<void()> task) { asio::post(io_, std::move(task)); });
    routes.merge(http::AdminRoutes([] { return absl::OkStatus(); }, &metrics_));
    context_.routes = std::make_shared<const http::Routes>(std::move(routes));
  }

  void Serve(const Manner& manner, std::string_view bytes) {
    broker_.disk_full = manner.disk_full;
    broker_.taken = 0;
    broker_.bytes = 0;
    draining_ = context_.draining = false;
    // A pair rather than a connection over TCP, whose ports would run out.
    int fds[2];
    Require(socketpair(AF_UNIX, SOCK_STREAM, 0, fds) == 0, "there is a socket");
    const int smallest = 1;
    setsockopt(fds[1], SOL_SOCKET, SO_SNDBUF, &smallest, sizeof(smallest));
    Client client(fds[0], manner.slow);
    Talk(manner, bytes, fds[1], client);
    Check(manner, bytes, client.received);
  }

 private:
  void Talk(const Manner& manner, std::string_view bytes, int fd, Client& client) {
    auto session = std::make_shared<Session>(
        Session::Socket(io_, asio::generic::stream_protocol(AF_UNIX, 0), fd), access::Peer(),
        access::PartyLimit::Place(), &context_, manner.busy ? &shared_.busy : &shared_.connections);
    manner.busy ? session->StartBusy() : session->Start();
    for (; !bytes.empty(); bytes.remove_prefix(std::min(manner.piece, bytes.size()))) {
      if (!client.Send(bytes.substr(0, manner.piece))) break;
      Run(client);
      if (manner.late) session->CheckDeadline(Session::Clock::now() + std::chrono::hours(1));
      if (!manner.drains || draining_) continue;
      draining_ = context_.draining = true;
      session->Drain();
    }
    Run(client);
    client.EndSending();
    Run(client);
    Require(session->closed(), "a session ends when its client has gone");
    const std::weak_ptr<Session> weak = session;
    session.reset();
    Require(weak.expired(), "nothing holds a session that has ended");
  }

  // Until nothing happens any more.
  void Run(Client& client) {
    int turns = 0;
    size_t handlers = 0;
    do {
      io_.restart();
      handlers = io_.poll();
      Require(++turns < 10'000, "a session comes to rest");
    } while (client.Receive() || handlers > 0);
  }

  void Check(const Manner& manner, std::string_view bytes, std::string_view received) {
    Require(shared_.bytes_in_flight.held() == 0, "no byte is in flight any more");
    Require(shared_.connections == 0 && shared_.busy == 0, "no connection is open any more");
    Require(broker_.bytes <= bytes.size(), "no byte is taken twice");
    if (manner.slow && manner.late) return;  // cut off in the middle of an answer

    AnswerReader answers(received);
    answers.Read();
    int headers = 0;
    for (size_t at = 0; (at = bytes.find("\r\n\r\n", at)) != std::string_view::npos; ++at)
      ++headers;
    Require(answers.count() <= headers + 1, "no more answers than requests, and one error");
    Require(answers.continues() <= headers, "no more is continued than there are requests");
    Require(answers.continues() == 0 || bytes.find("HTTP/1.1\r\n") != std::string_view::npos,
            "an HTTP/1.0 client is not told to continue");
    Require(answers.kept() == broker_.taken, "every postback that was taken is answered");
    Require(!manner.busy || (answers.count() == 1 && broker_.taken == 0),
            "a busy server only says so");
  }

  std::shared_ptr<http::Endpoint> Make(access::EndpointSettings settings) {
    access::SecretReader reader;
    return std::make_shared<http::Endpoint>(*access::Endpoint::Make(std::move(settings), &reader),
                                            &SystemClock(), metrics_);
  }
  std::shared_ptr<http::Endpoint> Open() { return Make({.name = "open", .path = "/"}); }
  // With every check that reads what a client sends.
  std::shared_ptr<http::Endpoint> Shut() {
    setenv("S", "s", 1);
    const access::SecretSources secret{.variables = {"S"}};
    return Make({.name = "shut",
                 .path = "/s",
                 .path_secrets = secret,
                 .basic = access::BasicCheck{.user = "u", .passwords = secret},
                 .header = access::HeaderCheck{.field = "X-Token", .values = secret},
                 .hmac = access::HmacCheck{
                     .field = "X-Signature", .secrets = secret, .timestamp_field = "X-Time"}});
  }

  Metrics metrics_;
  prometheus::Counter& refused_ = metrics_.Counter("refused", "");
  CountingBroker broker_;
  ingest::Ingest ingest_{&broker_, metrics_};
  std::atomic<bool> draining_{false};
  Session::Shared shared_{.bytes_in_flight = ByteBudget(kOptions.max_in_flight_bytes),
                          .answers = http::AnswerLog("fuzz", metrics_),
                          .access = http::AccessLog("fuzz", 0),
                          .over_header_bytes = refused_,
                          .over_body_bytes = refused_,
                          .over_in_flight_bytes = refused_,
                          .over_time = refused_,
                          .over_connections_per_address = refused_,
                          .bad_proxy_headers = refused_,
                          .parties = access::PartyLimit(0)};
  Session::Context context_{
      .options = &kOptions, .shared = &shared_, .date = "Thu, 01 Jan 1970 00:00:00 GMT"};
  asio::io_context io_{1};
};

void Fuzz(Input input) {
  static Worker worker;
  const Manner manner(input.Line());
  worker.Serve(manner, input.Rest());
}

}  // namespace
}  // namespace mmsmo::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  mmsmo::fuzz::Fuzz({data, size});
  return 0;
}
