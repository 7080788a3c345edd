#include <cstdio>
#include <memory>

#include "client/command/command.h"
#include "client/command/filter_options.h"
#include "client/command/print.h"
#include "client/command/stop_on_signal.h"
#include "client/subscriber.h"
#include "fmt/format.h"

namespace mmsmo::command {
namespace {

struct TailOptions {
  std::string from = "latest";
  bool json = false;
  bool until_caught_up = false;
  int64_t count = 0;
  FilterOptions filter;
};

int Tail(const std::string& target, const TailOptions& options) {
  const absl::StatusOr<v1::StartPosition> start = ParseStart(options.from);
  if (!start.ok()) {
    fmt::print(stderr, "--from: {}\n", std::string(start.status().message()));
    return kUsage;
  }
  const sigset_t signals = BlockSignals();
  std::setvbuf(stdout, nullptr, _IOLBF, BUFSIZ);

  Subscriber* running = nullptr;  // what on_caught_up stops
  SubscriberOptions subscriber_options{
      .target = target, .filter = FilterOf(options.filter), .client_id = "mmsmo tail"};
  subscriber_options.on_disconnected = [](const absl::Status& status) {
    fmt::print(stderr, "{}; trying again\n", std::string(status.message()));
  };
  subscriber_options.on_caught_up = [&running, &options] {
    if (options.until_caught_up) running->Stop();
  };
  Subscriber subscriber(std::move(subscriber_options));
  running = &subscriber;
  const StopOnSignal stop_on_signal(signals, &subscriber);
  const absl::Status status =
      subscriber.Run(*start, [&, printed = int64_t{0}](const v1::Event& event) mutable {
        const std::string text = options.json ? JsonLine(event) : Pretty(event);
        std::fwrite(text.data(), 1, text.size(), stdout);
        if (++printed == options.count) subscriber.Stop();
      });
  std::fflush(stdout);
  if (status.ok()) return kOk;
  fmt::print(stderr, "{}\n", std::string(status.message()));
  return kFailed;
}

}  // namespace

void AddTail(CLI::App* app, Context* context) {
  auto options = std::make_shared<TailOptions>();
  CLI::App* tail = app->add_subcommand("tail", "Print events as they arrive");
  tail->add_option("--from", options->from,
                   "earliest, latest, a cursor (what follows it) or an RFC 3339 time")
      ->capture_default_str();
  tail->add_flag("--json", options->json, "One JSON object a line");
  tail->add_option("--count", options->count, "End after so many events")
      ->check(CLI::PositiveNumber);
  tail->add_flag("--until-caught-up", options->until_caught_up,
                 "End once everything that the gateway has was printed");
  AddFilterOptions(tail, &options->filter);
  tail->callback([options, context] {
    context->run = [options, context] { return Tail(context->grpc, *options); };
  });
}

}  // namespace mmsmo::command
