#include <pthread.h>

#include <csignal>
#include <cstdio>
#include <memory>
#include <thread>

#include "client/command/command.h"
#include "client/command/print.h"
#include "client/subscriber.h"
#include "fmt/format.h"

namespace mmsmo::command {
namespace {

struct TailOptions {
  std::string from = "latest";
  bool json = false;
  bool until_caught_up = false;
  int64_t count = 0;
  std::vector<std::string> recipients, senders, keywords, operator_ids, media_kinds;
};

constexpr int kQuit = SIGUSR1;  // ends the thread of StopOnSignal

// What StopOnSignal waits for, blocked in this thread and in those that it creates from now on.
sigset_t BlockSignals() {
  sigset_t signals;
  sigemptyset(&signals);
  for (int signal : {SIGINT, SIGTERM, kQuit}) sigaddset(&signals, signal);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  return signals;
}

// While it lives, SIGINT and SIGTERM stop `subscriber`.
class StopOnSignal {
 public:
  StopOnSignal(sigset_t signals, Subscriber* subscriber)
      : thread_([signals, subscriber] {
          int signal = 0;
          sigwait(&signals, &signal);
          if (signal != kQuit) subscriber->Stop();
        }) {}
  ~StopOnSignal() {
    pthread_kill(thread_.native_handle(), kQuit);
    thread_.join();
  }
  StopOnSignal(const StopOnSignal&) = delete;
  StopOnSignal& operator=(const StopOnSignal&) = delete;

 private:
  std::thread thread_;
};

v1::Filter FilterOf(const TailOptions& options) {
  v1::Filter filter;
  filter.mutable_recipients()->Assign(options.recipients.begin(), options.recipients.end());
  filter.mutable_senders()->Assign(options.senders.begin(), options.senders.end());
  filter.mutable_keywords()->Assign(options.keywords.begin(), options.keywords.end());
  filter.mutable_operator_ids()->Assign(options.operator_ids.begin(), options.operator_ids.end());
  for (std::string name : options.media_kinds) {
    v1::MediaKind kind = v1::MEDIA_KIND_UNSPECIFIED;
    for (char& c : name) c = static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
    v1::MediaKind_Parse("MEDIA_KIND_" + name, &kind);
    filter.add_media_kinds(kind);
  }
  return filter;
}

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
      .target = target, .filter = FilterOf(options), .client_id = "mmsmo tail"};
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
  CLI::Option_group* filter = tail->add_option_group("Filter", "only events with one of the given");
  filter->add_option("--recipient", options->recipients, "as sent, or +…");
  filter->add_option("--sender", options->senders, "as sent, or +…");
  filter->add_option("--keyword", options->keywords, "in any case");
  filter->add_option("--operator-id", options->operator_ids);
  filter->add_option("--media-kind", options->media_kinds)
      ->check(
          CLI::IsMember({"image", "video", "audio", "text", "smil", "other"}, CLI::ignore_case));
  tail->callback([options, context] {
    context->run = [options, context] { return Tail(context->grpc, *options); };
  });
}

}  // namespace mmsmo::command
