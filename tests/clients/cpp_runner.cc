// The C++ library's side of the clients' conformance scenario: commands come as JSON objects on
// standard input, one a line, and what happens goes to standard output likewise. tests/clients has
// the driver, and says what the commands are.

#include <google/protobuf/struct.pb.h>
#include <google/protobuf/util/json_util.h>

#include <chrono>
#include <condition_variable>
#include <cstdlib>
#include <initializer_list>
#include <iostream>
#include <map>
#include <memory>
#include <mutex>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "mmsmo/defaults.h"
#include "mmsmo/start.h"
#include "mmsmo/subscriber.h"

namespace mmsmo {
namespace {

using google::protobuf::Struct;
using google::protobuf::Value;
using std::chrono::milliseconds;

constexpr int kExitOfHandler = 3;

class Object {
 public:
  explicit Object(const Struct& fields) : fields_(fields.fields()) {}

  bool Has(const std::string& name) const { return fields_.contains(name); }
  std::string Text(const std::string& name) const {
    return Has(name) ? fields_.at(name).string_value() : "";
  }
  int64_t Number(const std::string& name, int64_t otherwise) const {
    return Has(name) ? static_cast<int64_t>(fields_.at(name).number_value()) : otherwise;
  }
  milliseconds Millis(const std::string& name, milliseconds otherwise) const {
    return milliseconds(Number(name, otherwise.count()));
  }
  bool Is(const std::string& name) const { return Has(name) && fields_.at(name).bool_value(); }
  Object In(const std::string& name) const {
    return Object(Has(name) ? fields_.at(name).struct_value() : Struct::default_instance());
  }
  std::vector<Object> List(const std::string& name) const {
    std::vector<Object> all;
    if (!Has(name)) return all;
    for (const Value& one : fields_.at(name).list_value().values()) {
      all.emplace_back(one.struct_value());
    }
    return all;
  }

 private:
  google::protobuf::Map<std::string, Value> fields_;
};

void Say(const std::string& event, const std::map<std::string, std::string>& texts = {},
         const std::map<std::string, int64_t>& numbers = {}) {
  static std::mutex mu;
  Struct said;
  auto& fields = *said.mutable_fields();
  fields["event"].set_string_value(event);
  for (const auto& [name, text] : texts) fields[name].set_string_value(text);
  for (const auto& [name, number] : numbers) {
    fields[name].set_number_value(static_cast<double>(number));
  }
  std::string line;
  (void)google::protobuf::util::MessageToJsonString(said, &line);
  const std::lock_guard lock(mu);
  std::cout << line << std::endl;
}

// What handlers are to do, and where they wait for it.
class Plan {
 public:
  explicit Plan(std::vector<Object> rules) : rules_(std::move(rules)) {}

  Verdict Handle(const v1::Event& event, int attempt, const std::stop_token& token) {
    const std::string& id = event.mms_mo().tracking_id();
    Say("begin", {{"id", id}}, {{"attempt", attempt}});
    std::string said = "retry";
    Verdict verdict = Retry();
    const Object rule = RuleFor(id, attempt);
    if (Wait(rule, token)) {
      said = rule.Has("verdict") ? rule.Text("verdict") : "ack";
      verdict = VerdictOf(said, rule);
    } else {
      Say("told", {{"id", id}});
    }
    Say("end", {{"id", id}, {"verdict", said}}, {{"attempt", attempt}});
    if (said == "throw") throw std::runtime_error("as planned");
    return verdict;
  }
  void Go() {
    const std::lock_guard lock(mu_);
    held_ = false;
    changed_.notify_all();
  }

 private:
  Object RuleFor(const std::string& id, int attempt) const {
    for (const Object& rule : rules_) {
      if (rule.Has("id") && rule.Text("id") != id) continue;
      if (rule.Has("attempt") && rule.Number("attempt", 0) != attempt) continue;
      return rule;
    }
    return Object(Struct::default_instance());
  }
  // False where the handler was told first that its time is over.
  bool Wait(const Object& rule, const std::stop_token& token) {
    const std::stop_callback wake(token, [this] {
      const std::lock_guard lock(mu_);
      changed_.notify_all();
    });
    std::unique_lock lock(mu_);
    if (rule.Is("hold")) {
      changed_.wait(lock, [&] { return !held_ || token.stop_requested(); });
    }
    changed_.wait_for(lock, rule.Millis("work_ms", milliseconds(0)),
                      [&] { return token.stop_requested(); });
    return !token.stop_requested();
  }
  static Verdict VerdictOf(const std::string& said, const Object& rule) {
    if (said == "exit") std::_Exit(kExitOfHandler);
    if (said == "retry") return Retry();
    if (said == "retry_after") return RetryAfter(rule.Millis("after_ms", milliseconds(0)));
    if (said == "dead_letter") return DeadLetter(rule.Text("reason"));
    return Ack();
  }

  const std::vector<Object> rules_;
  std::mutex mu_;
  std::condition_variable changed_;
  bool held_ = true;
};

SubscriberOptions OptionsOf(const Object& command) {
  const Object wanted = command.In("options");
  SubscriberOptions options{.target = command.Text("target")};
  options.concurrency = static_cast<int>(wanted.Number("concurrency", options.concurrency));
  options.max_outstanding_messages =
      static_cast<int>(wanted.Number("max_outstanding_messages", options.max_outstanding_messages));
  options.max_outstanding_bytes =
      wanted.Number("max_outstanding_bytes", options.max_outstanding_bytes);
  options.heartbeat_interval = wanted.Millis("heartbeat_interval_ms", options.heartbeat_interval);
  options.min_backoff = wanted.Millis("min_backoff_ms", options.min_backoff);
  options.max_backoff = wanted.Millis("max_backoff_ms", options.max_backoff);
  options.connect_timeout = wanted.Millis("connect_timeout_ms", options.connect_timeout);
  options.max_handler_time = wanted.Millis("max_handler_time_ms", options.max_handler_time);
  options.client_id = wanted.Text("client_id");
  if (wanted.Has("token")) options.token = Token::Of(wanted.Text("token")).value_or(nullptr);
  options.on_connected = [] { Say("connected"); };
  options.on_disconnected = [](const absl::Status& status) {
    Say("disconnected", {{"code", absl::StatusCodeToString(status.code())}});
  };
  options.on_caught_up = [] { Say("caught_up"); };
  options.on_ack_failed = [](const std::string&, const absl::Status& why) {
    Say("ack_failed",
        {{"id", ""},
         {"why", absl::IsDeadlineExceeded(why)  ? "EXPIRED"
                 : absl::IsInvalidArgument(why) ? "INVALID"
                                                : absl::StatusCodeToString(why.code())}});
  };
  return options;
}

// What stands behind "the earliest cursor is ".
std::string EarliestCursorIn(const std::string& message) {
  constexpr std::string_view kBefore = "the earliest cursor is ";
  const size_t at = message.find(kBefore);
  return at == std::string_view::npos ? "" : message.substr(at + kBefore.size());
}

// One run, from its command to its end.
class Run {
 public:
  explicit Run(const Object& command)
      : plan_(command.List("plan")), subscriber_(OptionsOf(command)), thread_([this, command] {
          const absl::Status status =
              command.Text("do") == "run" ? RunNamed(command) : Follow(command.In("start"));
          Say("ended", {{"code", absl::StatusCodeToString(status.code())},
                        {"earliest_cursor", EarliestCursorIn(std::string(status.message()))},
                        {"cursor", subscriber_.cursor()}});
        }) {}
  ~Run() {
    subscriber_.Stop();
    plan_.Go();
    thread_.join();
  }

  void Go() { plan_.Go(); }
  void Stop(const Object& command) {
    subscriber_.Stop(command.Text("mode") == "finish" ? StopMode::kFinish : StopMode::kRelease,
                     command.Millis("timeout_ms", SubscriberOptions().stop_timeout));
  }

 private:
  absl::Status RunNamed(const Object& command) {
    return subscriber_.Run(command.Text("subscription"),
                           Subscriber::StoppableHandler(
                               [this](const v1::Delivery& delivery, const std::stop_token& token) {
                                 return plan_.Handle(delivery.event(), delivery.attempt(), token);
                               }));
  }
  absl::Status Follow(const Object& start) {
    const v1::StartPosition position = start.Has("cursor") ? AfterCursor(start.Text("cursor"))
                                       : start.Text("boundary") == "LATEST" ? FromLatest()
                                                                            : FromEarliest();
    return subscriber_.Run(
        position, [this](const v1::Event& event) { plan_.Handle(event, 0, std::stop_token()); });
  }

  Plan plan_;
  Subscriber subscriber_;
  std::thread thread_;
};

void Measure(const Object& command) {
  const int64_t count = command.Number("count", 0);
  Subscriber subscriber(OptionsOf(command));
  int64_t handled = 0;
  const auto begin = std::chrono::steady_clock::now();
  const absl::Status status =
      subscriber.Run(command.Text("subscription"), [&](const v1::Delivery&) {
        if (++handled == count) subscriber.Stop(StopMode::kFinish);
        return Ack();
      });
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - begin;
  Say("measured", {{"code", absl::StatusCodeToString(status.code())},
                   {"seconds", std::to_string(took.count())}});
}

// Under the names that client/defaults.toml has for them.
void SayDefaults() {
  const SubscriberOptions options;
  Say("defaults", {},
      {{"concurrency", options.concurrency},
       {"max_handler_time_ms", options.max_handler_time.count()},
       {"max_outstanding_messages", options.max_outstanding_messages},
       {"max_outstanding_bytes", options.max_outstanding_bytes},
       {"max_batch_size", options.max_batch_size},
       {"heartbeat_interval_ms", options.heartbeat_interval.count()},
       {"min_backoff_ms", options.min_backoff.count()},
       {"max_backoff_ms", options.max_backoff.count()},
       {"connect_timeout_ms", options.connect_timeout.count()},
       {"silent_heartbeats", defaults::kSilentHeartbeats},
       {"keepalive_time_ms", defaults::kKeepaliveTime.count()},
       {"resume_window_ms", defaults::kResumeWindow.count()},
       {"extensions_per_deadline", defaults::kExtensionsPerDeadline},
       {"ack_linger_ms", defaults::kAckLinger.count()},
       {"ack_batch", defaults::kAckBatch},
       {"max_ack_ids", defaults::kMaxAckIds},
       {"max_acks_under_way", defaults::kMaxAcksUnderWay},
       {"ack_call_timeout_ms", defaults::kAckCallTimeout.count()},
       {"stop_timeout_ms", options.stop_timeout.count()}});
}

}  // namespace
}  // namespace mmsmo

int main() {
  std::unique_ptr<mmsmo::Run> run;
  for (std::string line; std::getline(std::cin, line);) {
    google::protobuf::Struct parsed;
    if (!google::protobuf::util::JsonStringToMessage(line, &parsed).ok()) {
      std::cerr << "this is no JSON object: " << line << std::endl;
      return 2;
    }
    const mmsmo::Object command(parsed);
    const std::string what = command.Text("do");
    if (what == "defaults") mmsmo::SayDefaults();
    if (what == "measure") mmsmo::Measure(command);
    if (what == "run" || what == "follow") {
      run = nullptr;
      run = std::make_unique<mmsmo::Run>(command);
    }
    if (what == "stop" && run) run->Stop(command);
    if (what == "go" && run) run->Go();
  }
  return 0;
}
