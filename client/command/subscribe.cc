#include <atomic>
#include <memory>

#include "client/command/command.h"
#include "client/command/output.h"
#include "client/command/print.h"
#include "client/command/shell.h"
#include "fmt/format.h"
#include "mmsmo/stop_on_signal.h"
#include "mmsmo/subscriber.h"

namespace mmsmo::command {
namespace {

struct Options {
  std::string name;
  bool json = false;
  int count = 0;
  std::string exec;
  int concurrency = 1;
};

// How many deliveries to hold at once; 0: as many as the gateway gives.
int MaxOutstanding(const Options& options) {
  // What is not begun at the end has been delivered in vain, and a command is slow: others may
  // have what it does not get to.
  const int by_exec = options.exec.empty() ? 0 : 2 * options.concurrency;
  if (by_exec == 0 || options.count == 0) return std::max(by_exec, options.count);
  return std::min(by_exec, options.count);
}

class Consumer {
 public:
  Consumer(const Options& options, Subscriber* subscriber)
      : options_(options), subscriber_(*subscriber) {}

  // Thread-safe.
  Verdict Handle(const v1::Delivery& delivery) {
    const int number = ++begun_;
    if (options_.count > 0 && number >= options_.count) subscriber_.Stop();
    // Another handler has begun the last one meanwhile.
    if (options_.count > 0 && number > options_.count) return RetryAfter({});
    if (!options_.exec.empty()) return Execute(delivery);
    if (Print(options_.json ? JsonLine(delivery.event()) : Pretty(delivery.event()))) return Ack();
    failed_ = true;
    subscriber_.Stop();
    return RetryAfter({});
  }

  bool failed() const { return failed_; }

 private:
  Verdict Execute(const v1::Delivery& delivery) {
    const absl::StatusOr<int> code = RunShell(options_.exec, JsonLine(delivery.event()));
    if (code.ok() && *code == 0) return Ack();
    Complain(fmt::format("{}: {}, attempt {}: to be tried again", delivery.event().cursor(),
                         code.ok() ? fmt::format("exit code {}", *code) : code.status().ToString(),
                         delivery.attempt()));
    return Retry();
  }

  const Options& options_;
  Subscriber& subscriber_;
  std::atomic<int> begun_ = 0;
  std::atomic<bool> failed_ = false;
};

int Subscribe(const Context& context, const Options& options) {
  StopOnSignal::Block();
  SubscriberOptions subscriber_options = SubscriberOptionsFor(context, "mmsmo subscribe");
  subscriber_options.concurrency = options.concurrency;
  subscriber_options.max_outstanding_messages = MaxOutstanding(options);
  Subscriber subscriber(std::move(subscriber_options));
  Consumer consumer(options, &subscriber);
  const StopOnSignal stop_on_signal(&subscriber, StopMode::kRelease);
  const absl::Status status = subscriber.Run(
      options.name, [&](const v1::Delivery& delivery) { return consumer.Handle(delivery); });
  if (subscriber.failed_acks() > 0) {
    Complain(fmt::format("{} acknowledgements had no effect: those events are delivered again",
                         subscriber.failed_acks()));
  }
  if (!status.ok()) Complain(std::string(status.message()));
  return status.ok() && !consumer.failed() ? kOk : kFailed;
}

}  // namespace

void AddSubscribe(CLI::App* app, Context* context) {
  auto options = std::make_shared<Options>();
  CLI::App* subscribe = app->add_subcommand(
      "subscribe", "Print and acknowledge the events of a named subscription as they arrive");
  subscribe->add_option("name", options->name, "The subscription")->required();
  CLI::Option* json = subscribe->add_flag("--json", options->json, "One JSON object a line");
  subscribe->add_option("--count", options->count, "End after so many events")
      ->check(CLI::PositiveNumber);
  subscribe
      ->add_option("--exec", options->exec,
                   "Run this with /bin/sh for each event, its JSON on standard input, instead of "
                   "printing it; acknowledge it after exit code 0, else have it delivered again")
      ->excludes(json);
  subscribe->add_option("--concurrency", options->concurrency, "How many events at once")
      ->check(CLI::Range(1, 1000))
      ->capture_default_str();
  subscribe->callback([options, context] {
    context->run = [options, context] { return Subscribe(*context, *options); };
  });
}

}  // namespace mmsmo::command
