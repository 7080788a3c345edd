#include <memory>

#include "client/command/command.h"
#include "client/command/filter_options.h"
#include "client/command/output.h"
#include "client/command/print.h"
#include "fmt/format.h"
#include "mmsmo/stop_on_signal.h"
#include "mmsmo/subscriber.h"

namespace mmsmo::command {
namespace {

struct TailOptions {
  std::string from = "latest";
  bool json = false;
  bool until_caught_up = false;
  int64_t count = 0;
  FilterOptions filter;
};

int Tail(const Context& context, const TailOptions& options) {
  const absl::StatusOr<v1::StartPosition> start = ParseStart(options.from);
  if (!start.ok()) {
    Complain(fmt::format("--from: {}", std::string(start.status().message())));
    return kUsage;
  }
  StopOnSignal::Block();

  Subscriber* running = nullptr;  // what on_caught_up stops
  SubscriberOptions subscriber_options = SubscriberOptionsFor(context, "mmsmo tail");
  subscriber_options.filter = FilterOf(options.filter);
  subscriber_options.on_caught_up = [&running, &options] {
    if (options.until_caught_up) running->Stop();
  };
  Subscriber subscriber(std::move(subscriber_options));
  running = &subscriber;
  const StopOnSignal stop_on_signal(&subscriber, StopMode::kRelease);
  int64_t printed = 0;
  bool failed = false;
  const absl::Status status = subscriber.Run(*start, [&](const v1::Event& event) {
    failed = !Print(options.json ? JsonLine(event) : Pretty(event));
    if (failed || ++printed == options.count) subscriber.Stop();
  });
  if (!status.ok()) Complain(std::string(status.message()));
  return status.ok() && !failed ? kOk : kFailed;
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
    context->run = [options, context] { return Tail(*context, *options); };
  });
}

}  // namespace mmsmo::command
