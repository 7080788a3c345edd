#include "client/command/load.h"

#include <unistd.h>

#include <algorithm>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <csignal>
#include <deque>
#include <fstream>
#include <vector>

#include "client/command/output.h"
#include "fmt/format.h"

namespace mmsmo::command {
namespace {

namespace asio = boost::asio;
using asio::steady_timer;
using std::chrono::milliseconds;
using std::chrono::steady_clock;

class Load {
 public:
  explicit Load(const LoadOptions& options)
      : options_(options), signals_(context_, SIGINT, SIGTERM), tick_(context_) {
    summary_.latencies.reserve(static_cast<size_t>(options.count));
  }

  absl::StatusOr<LoadSummary> Run() {
    if (!options_.answers_file.empty()) {
      answers_.open(options_.answers_file);
      if (!answers_) {
        return absl::InvalidArgumentError(
            fmt::format("--answers: cannot write {}", options_.answers_file));
      }
    }
    workers_ = static_cast<int>(std::min<int64_t>(options_.connections, options_.count));
    Connect();
    signals_.async_wait([this](const auto& error, int) {
      if (!error) interrupted_ = true;
    });
    begin_ = steady_clock::now();
    for (HttpClient& client : clients_) asio::co_spawn(context_, Work(&client), asio::detached);
    asio::co_spawn(context_, ShowProgress(), asio::detached);
    context_.run();
    if (answers_.is_open() && !answers_.flush()) {
      return absl::DataLossError(fmt::format("--answers: {} is incomplete", options_.answers_file));
    }
    return Summarise();
  }

 private:
  // Before the clock runs, so that no postback is late for that. Why there is no connection will be
  // said by the first that is posted.
  void Connect() {
    for (int i = 0; i < workers_; ++i) {
      clients_.emplace_back(context_.get_executor(), options_.url, options_.timeout, options_.https,
                            options_.secrets);
      asio::co_spawn(context_, clients_.back().Connect(), asio::detached);
    }
    context_.run();
    context_.restart();
  }

  asio::awaitable<void> Work(HttpClient* client) {
    steady_timer timer(context_);
    while (!interrupted_ && next_ < options_.count) {
      const int64_t index = next_++;
      steady_clock::time_point due = steady_clock::now();
      if (options_.rate > 0) {
        due =
            begin_ + std::chrono::duration_cast<steady_clock::duration>(
                         std::chrono::duration<double>(static_cast<double>(index) / options_.rate));
        timer.expires_at(due);
        co_await timer.async_wait(asio::use_awaitable);
      }
      co_await PostUntilAnswered(client, &timer, index, due);
    }
    if (--workers_ == 0) {
      signals_.cancel();
      tick_.cancel();
    }
  }

  asio::awaitable<void> PostUntilAnswered(HttpClient* client, steady_timer* timer, int64_t index,
                                          steady_clock::time_point due) {
    Sample sample = options_.sample;
    sample.tracking_id += fmt::format("-{}", index + 1);
    const std::string body = options_.json ? ToJson(sample) : ToXml(sample);
    const char* const type = options_.json ? "application/json" : "application/xml";
    const auto give_up = steady_clock::now() + options_.retry_for;
    while (true) {
      const absl::StatusOr<Answer> answer = co_await client->Post(type, body);
      const auto pause = PauseBeforeRetry(answer);
      if (!pause || interrupted_ || steady_clock::now() >= give_up ||
          (answer.ok() && steady_clock::now() + *pause > give_up)) {
        Count(sample.tracking_id, answer, due);
        co_return;
      }
      ++retries_;
      timer->expires_after(*pause);
      co_await timer->async_wait(asio::use_awaitable);
    }
  }

  void Count(const std::string& id, const absl::StatusOr<Answer>& answer,
             steady_clock::time_point due) {
    if (!answer.ok()) {
      if (++summary_.unanswered == 1) {
        Complain(std::string(answer.status().message()));
      }
      return;
    }
    if (const auto remedy = RemedyFor(answer->status); !remedy.empty() && !remedy_said_) {
      remedy_said_ = true;
      Complain(fmt::format("{}: {}", answer->status, remedy));
    }
    const AnswerFields fields = ReadAnswer(answer->body);
    ++(answer->status != 200           ? summary_.refused
       : fields.outcome == "accepted"  ? summary_.accepted
       : fields.outcome == "duplicate" ? summary_.duplicate
                                       : summary_.other_200);
    summary_.latencies.push_back(
        std::chrono::duration_cast<std::chrono::microseconds>(steady_clock::now() - due).count());
    if (answers_.is_open()) {
      const auto or_dash = [](const std::string& text) { return text.empty() ? "-" : text; };
      answers_ << fmt::format("{} {} {} {}\n", id, answer->status, or_dash(fields.outcome),
                              or_dash(fields.cursor));
    }
  }

  asio::awaitable<void> ShowProgress() {
    const bool terminal = isatty(STDERR_FILENO) != 0;
    size_t before = 0;
    while (workers_ > 0) {
      boost::system::error_code cancelled;
      tick_.expires_after(std::chrono::seconds(1));
      co_await tick_.async_wait(asio::redirect_error(asio::use_awaitable, cancelled));
      if (cancelled) break;
      const size_t now = summary_.latencies.size();
      Say(fmt::format("{}{} of {} answered, {}/s, {} sent again{}", terminal ? "\r" : "", now,
                      options_.count, now - before, retries_, terminal ? "\033[K" : "\n"));
      before = now;
    }
    if (terminal) Say("\r\033[K");
  }

  LoadSummary Summarise() {
    summary_.begin = begin_;
    summary_.seconds = std::chrono::duration<double>(steady_clock::now() - begin_).count();
    summary_.unanswered =
        options_.count - summary_.ok() - summary_.refused;  // with those never sent
    std::sort(summary_.latencies.begin(), summary_.latencies.end());
    return std::move(summary_);
  }

  const LoadOptions& options_;
  asio::io_context context_{1};
  asio::signal_set signals_;
  steady_timer tick_;
  std::deque<HttpClient> clients_;
  std::ofstream answers_;
  steady_clock::time_point begin_;
  int workers_ = 0;
  int64_t next_ = 0;
  int64_t retries_ = 0;
  bool interrupted_ = false;
  bool remedy_said_ = false;
  LoadSummary summary_;
};

}  // namespace

int64_t LoadSummary::Percentile(double share) const {
  if (latencies.empty()) return 0;
  return latencies[static_cast<size_t>(share * static_cast<double>(latencies.size() - 1))];
}

absl::StatusOr<LoadSummary> RunLoad(const LoadOptions& options) { return Load(options).Run(); }

}  // namespace mmsmo::command
