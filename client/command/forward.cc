#include <chrono>
#include <memory>
#include <optional>

#include "client/command/call.h"
#include "client/command/command.h"
#include "client/command/duration.h"
#include "client/command/http_client.h"
#include "client/command/keyboard.h"
#include "client/command/original_body.h"
#include "client/command/output.h"
#include "client/command/print.h"
#include "client/command/tls.h"
#include "fmt/chrono.h"
#include "fmt/format.h"
#include "google/protobuf/util/time_util.h"
#include "mmsmo/start.h"
#include "mmsmo/stop_on_signal.h"
#include "mmsmo/subscriber.h"
#include "mmsmo/v1/mms_mo_service.grpc.pb.h"
#include "mmsmo/v1/subscription_service.grpc.pb.h"
#include "mutex.h"

namespace mmsmo::command {
namespace {

using google::protobuf::util::TimeUtil;
using std::chrono::steady_clock;

// A subscription that this makes is removed after so long without use.
constexpr int kExpirationHours = 7 * 24;
// How many deliveries wait here at most. The rest can be had by others.
constexpr int kMaxOutstanding = 16;

struct Options {
  std::string url;
  std::string subscription;
  std::string since;
  bool json = false;
  bool quiet = false;
  double timeout_seconds = 30;
  int64_t count = 0;
};

// Makes the subscription, unless there is one. False, with the reason on stderr, where that fails.
bool PrepareSubscription(const Context& context, const Options& options) {
  const auto stub = StubOf<v1::SubscriptionService>(context);
  v1::GetSubscriptionRequest get;
  get.set_name(options.subscription);
  v1::GetSubscriptionResponse found;
  grpc::ClientContext call;
  call.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(30));
  const grpc::Status status = stub->GetSubscription(&call, get, &found);
  // Whoever may not look may still receive.
  const bool is_there = status.ok() || status.error_code() == grpc::StatusCode::PERMISSION_DENIED;
  if (is_there && options.since.empty()) return true;
  if (is_there) {
    Complain(fmt::format(
        "--since: subscription {0} {1}, and goes on where it stands; to move it say: mmsmo "
        "subscription seek {0} --to …",
        options.subscription, status.ok() ? "exists" : "may exist"));
    return false;
  }
  if (status.error_code() != grpc::StatusCode::NOT_FOUND) {
    Complain(status.error_message() + TlsRemedy(status.error_message()));
    return false;
  }
  v1::CreateSubscriptionRequest create;
  v1::Subscription& subscription = *create.mutable_subscription();
  subscription.set_name(options.subscription);
  *subscription.mutable_start_position() = FromLatest();
  if (!options.since.empty()) {
    const auto ago =
        std::chrono::duration_cast<std::chrono::milliseconds>(*ParseDuration(options.since));
    *subscription.mutable_start_position()->mutable_accept_time() =
        TimeUtil::GetCurrentTime() - TimeUtil::MillisecondsToDuration(ago.count());
  }
  *subscription.mutable_expiration_ttl() = TimeUtil::HoursToDuration(kExpirationHours);
  return Call(stub.get(), &v1::SubscriptionService::Stub::CreateSubscription, create).has_value();
}

// Posts events to the server that was named, and says what became of each. Thread-safe.
class Forwarder {
 public:
  Forwarder(const Context& context, const Options& options, BlockingHttpClient* client)
      : options_(options), client_(*client), stub_(StubOf<v1::MmsMoService>(context)) {}

  Verdict Handle(const v1::Delivery& delivery, Subscriber* subscriber) {
    const MutexLock lock(&mu_);
    last_ = delivery;
    const bool taken = Post(delivery);
    if (++posted_ == options_.count || !can_print_) subscriber->Stop();
    return taken ? Ack() : Retry();
  }

  // Posts the last one once more, whatever became of it.
  void PostAgain() {
    const MutexLock lock(&mu_);
    if (last_) Post(*last_);
  }

  bool failed() const {
    const MutexLock lock(&mu_);
    return failed_;
  }

 private:
  bool Post(const v1::Delivery& delivery) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
    const v1::Event& event = delivery.event();
    const auto begin = steady_clock::now();
    absl::StatusOr<Posting> posting = PostingOf(event);
    const absl::StatusOr<Answer> answer =
        posting.ok() ? client_.Post(posting->content_type, std::move(posting->body),
                                    FieldsOf(delivery, std::move(posting->fields)))
                     : posting.status();
    const bool taken = answer.ok() && answer->status / 100 == 2;
    failed_ = failed_ || !taken;
    if (taken && options_.quiet) return true;
    const auto took =
        std::chrono::duration_cast<std::chrono::milliseconds>(steady_clock::now() - begin);
    const std::string line =
        fmt::format("{:%H:%M:%S}  {}  {:>5} ms  {}  {}{}", fmt::localtime(std::time(nullptr)),
                    answer.ok() ? fmt::to_string(answer->status) : "---", took.count(),
                    Visible(event.mms_mo().tracking_id()), event.cursor(),
                    delivery.attempt() > 1 ? fmt::format("  attempt {}", delivery.attempt()) : "");
    if (taken) {
      can_print_ = Print(line + "\n");
      failed_ = failed_ || !can_print_;
      return true;
    }
    Complain(answer.ok() ? line
                         : fmt::format("{}  {}", line, std::string(answer.status().message())));
    return false;
  }

  static HttpFields FieldsOf(const v1::Delivery& delivery, HttpFields fields) {
    const v1::Event& event = delivery.event();
    fields.emplace_back("Mmsmo-Cursor", event.cursor());
    fields.emplace_back("Mmsmo-Attempt", fmt::to_string(delivery.attempt()));
    if (!event.trace_parent().empty()) fields.emplace_back("traceparent", event.trace_parent());
    return fields;
  }

  absl::StatusOr<Posting> PostingOf(const v1::Event& event) {
    if (options_.json) return Posting{.content_type = "application/json", .body = JsonLine(event)};
    auto posting = OriginalBody(stub_.get(), event.cursor());
    if (posting.ok()) return posting;
    return absl::Status(
        posting.status().code(),
        fmt::format("its original body cannot be had: {}; --json forwards what was decoded",
                    std::string(posting.status().message())));
  }

  const Options& options_;
  mutable Mutex mu_;  // one post at a time
  BlockingHttpClient& client_ ABSL_GUARDED_BY(mu_);
  const std::unique_ptr<v1::MmsMoService::Stub> stub_;
  std::optional<v1::Delivery> last_ ABSL_GUARDED_BY(mu_);
  int64_t posted_ ABSL_GUARDED_BY(mu_) = 0;
  bool can_print_ ABSL_GUARDED_BY(mu_) = true;
  bool failed_ ABSL_GUARDED_BY(mu_) = false;
};

int Forward(const Context& context, const Options& options) {
  Url url;
  Https https;
  // The options of TLS are those of the gateway.
  if (!PrepareUrl(Context(), "url", options.url, &url, &https)) return kUsage;
  StopOnSignal::Block();
  BlockingHttpClient client(url, Millis(options.timeout_seconds), https);
  Forwarder forwarder(context, options, &client);
  SubscriberOptions subscriber_options = SubscriberOptionsFor(context, "mmsmo forward");
  subscriber_options.max_outstanding_messages = kMaxOutstanding;
  Subscriber subscriber(std::move(subscriber_options));
  const StopOnSignal stop_on_signal(&subscriber, StopMode::kRelease);
  if (!PrepareSubscription(context, options)) return kFailed;
  const Keyboard keyboard([&forwarder](char key) {
    if (key == 'r') forwarder.PostAgain();
  });
  if (keyboard.works() && !options.quiet) {
    Complain("r posts the last one again, Ctrl-C ends this");
  }
  const absl::Status status = subscriber.Run(
      options.subscription,
      [&](const v1::Delivery& delivery) { return forwarder.Handle(delivery, &subscriber); });
  if (!status.ok()) Complain(std::string(status.message()));
  return status.ok() && !forwarder.failed() ? kOk : kFailed;
}

}  // namespace

void AddForward(CLI::App* app, Context* context) {
  auto options = std::make_shared<Options>();
  CLI::App* forward = app->add_subcommand(
      "forward",
      "POST the events of a named subscription to an HTTP server as they arrive. One that is "
      "answered 2xx is acknowledged, any other is delivered again. Exit code 1 where a post "
      "failed");
  forward->add_option("url", options->url, "Where to, as http://localhost:3000/hook")->required();
  forward
      ->add_option("--subscription", options->subscription,
                   "Its name; it is made where there is none, and removed after a week without use")
      ->required();
  forward
      ->add_option(
          "--since", options->since,
          "Begin with what was accepted so long ago, as 1h; otherwise with what comes now. "
          "Only for a subscription that is made")
      ->check(IsDuration());
  forward->add_flag("--json", options->json,
                    "Post the decoded event as JSON instead of the original body");
  forward->add_flag("--quiet", options->quiet, "Print only what failed");
  forward->add_option("--timeout", options->timeout_seconds, "Seconds to wait for an answer")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  forward->add_option("--count", options->count, "End after so many posts")
      ->check(CLI::PositiveNumber);
  forward->callback([options, context] {
    context->run = [options, context] { return Forward(*context, *options); };
  });
}

}  // namespace mmsmo::command
