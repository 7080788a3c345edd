#include "client/command/load.h"

#include <gtest/gtest.h>

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http.hpp>
#include <chrono>
#include <string>
#include <thread>

namespace mmsmo::command {
namespace {

namespace asio = boost::asio;
namespace http = boost::beast::http;
using std::chrono::milliseconds;

// Answers one connection's postbacks, the first of them only after a while.
class SlowAtFirst {
 public:
  explicit SlowAtFirst(milliseconds delay) : thread_([this, delay] { Run(delay); }) {}
  ~SlowAtFirst() { thread_.join(); }

  const std::string& port() const { return port_; }

 private:
  void Run(milliseconds delay) {
    asio::ip::tcp::socket socket = acceptor_.accept();
    boost::beast::flat_buffer buffer;
    boost::system::error_code closed;
    while (true) {
      http::request<http::string_body> request;
      http::read(socket, buffer, request, closed);
      if (closed) return;
      asio::steady_timer(context_, delay).wait();
      delay = milliseconds(0);
      http::response<http::string_body> response(http::status::ok, 11);
      response.body() = R"({"outcome":"accepted","cursor":"AQ"})";
      response.prepare_payload();
      http::write(socket, response);
    }
  }

  asio::io_context context_;
  asio::ip::tcp::acceptor acceptor_{context_, {asio::ip::address_v4::loopback(), 0}};
  const std::string port_ = std::to_string(acceptor_.local_endpoint().port());
  std::thread thread_;
};

TEST(RunLoad, CountsLatencyFromTheMomentAPostbackWasDue) {
  const SlowAtFirst server(milliseconds(50));
  LoadOptions options{.url = {.host = "127.0.0.1", .port = server.port()}};
  options.sample.tracking_id = NewTrackingId();
  options.count = 10;
  options.rate = 1000;
  options.connections = 1;
  const auto summary = RunLoad(options);
  ASSERT_TRUE(summary.ok());
  EXPECT_EQ(summary->accepted, 10);
  // The last was due after 9 ms, and had to wait for the connection until 50 ms.
  EXPECT_GE(summary->Percentile(0), 40'000);
}

TEST(LoadSummary, PercentilesAreOfWhatWasAnswered) {
  LoadSummary summary;
  EXPECT_EQ(summary.Percentile(0.5), 0);
  summary.latencies = {1, 2, 3, 4, 100};
  EXPECT_EQ(summary.Percentile(0), 1);
  EXPECT_EQ(summary.Percentile(0.5), 3);
  EXPECT_EQ(summary.Percentile(0.99), 4);
  EXPECT_EQ(summary.Percentile(1), 100);
}

}  // namespace
}  // namespace mmsmo::command
