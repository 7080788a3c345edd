#include <map>
#include <thread>

#include "client/command/call.h"
#include "client/command/command.h"
#include "client/command/duration.h"
#include "client/command/load.h"
#include "client/command/original_body.h"
#include "client/command/output.h"
#include "client/command/post_secrets.h"
#include "client/command/tls.h"
#include "client/connection.h"
#include "fmt/format.h"

namespace mmsmo::command {
namespace {

struct SendOptions {
  std::string url = "http://127.0.0.1:8080/postbacks/mms-mo";
  std::string from_event;
  bool print = false;
  double timeout_seconds = 10;
  double retry_seconds = 0;
  SecretOptions secrets;
  LoadOptions load;
};

Posting SampleOf(const LoadOptions& load) {
  return {.content_type = load.json ? "application/json" : "application/xml",
          .body = load.json ? ToJson(load.sample) : ToXml(load.sample)};
}

// Prints the gateway's answer as it is.
int SendOne(const LoadOptions& load, const Posting& posting) {
  BlockingHttpClient client(load.url, load.timeout, load.https, load.secrets);
  const auto post = [&] { return client.Post(posting.content_type, posting.body, posting.fields); };
  const auto give_up = std::chrono::steady_clock::now() + load.retry_for;
  absl::StatusOr<Answer> answer = post();
  for (auto pause = PauseBeforeRetry(answer);
       pause && std::chrono::steady_clock::now() + *pause <= give_up;
       pause = PauseBeforeRetry(answer)) {
    std::this_thread::sleep_for(*pause);
    answer = post();
  }
  if (!answer.ok()) {
    Complain(std::string(answer.status().message()));
    return kFailed;
  }
  Write(fmt::format("{} {}\n", answer->status, answer->body));
  if (const auto remedy = RemedyFor(answer->status); !remedy.empty()) Complain(std::string(remedy));
  return answer->status == 200 ? kOk : kFailed;
}

int SendMany(const LoadOptions& load) {
  const absl::StatusOr<LoadSummary> summary = RunLoad(load);
  if (!summary.ok()) {
    Complain(std::string(summary.status().message()));
    return kFailed;
  }
  const LoadSummary& s = *summary;
  const auto millis = [&s](double share) {
    return static_cast<double>(s.Percentile(share)) / 1000;
  };
  Write(fmt::format(
      "{} postbacks in {:.2f} s, {:.0f}/s\n"
      "answered 200: {} ({} accepted, {} duplicate, {} quarantined); refused: {}; unanswered: {}\n"
      "latency: p50 {:.2f} ms, p99 {:.2f} ms, p99.9 {:.2f} ms, max {:.2f} ms\n",
      load.count, s.seconds, static_cast<double>(s.ok() + s.refused) / s.seconds, s.ok(),
      s.accepted, s.duplicate, s.other_200, s.refused, s.unanswered, millis(0.5), millis(0.99),
      millis(0.999), millis(1)));
  return s.ok() == load.count ? kOk : kFailed;
}

int Send(const Context& command, SendOptions options) {
  LoadOptions& load = options.load;
  if (!PrepareUrl(command, "--url", options.url, &load.url, &load.https)) return kUsage;
  auto secrets = PostSecrets::Read(options.secrets);
  if (!secrets.ok()) {
    Complain(std::string(secrets.status().message()));
    return kUsage;
  }
  if (!secrets->empty() && !load.url.tls && !command.send_secret_unencrypted &&
      !IsLocal(fmt::format("[{}]", load.url.host))) {
    Complain(fmt::format(
        "--send-secret-unencrypted: the secret would go to '{}' without encryption, where others "
        "can read it; use https, or say that it is to be sent unencrypted",
        load.url.host));
    return kUsage;
  }
  load.secrets = *std::move(secrets);
  load.timeout = Millis(options.timeout_seconds);
  load.retry_for = Millis(options.retry_seconds);
  if (!options.from_event.empty()) {
    const auto posting = OriginalBody(StubOf<v1::MmsMoService>(command).get(), options.from_event);
    if (!posting.ok()) {
      Complain(std::string(posting.status().message()));
      return kFailed;
    }
    if (!options.print) return SendOne(load, *posting);
    Write(posting->body);
    return kOk;
  }
  if (load.sample.tracking_id.empty()) load.sample.tracking_id = NewTrackingId();
  if (options.print) {
    Write(load.json ? ToJson(load.sample) : ToXml(load.sample));
    return kOk;
  }
  return load.count == 1 && load.answers_file.empty() ? SendOne(load, SampleOf(load))
                                                      : SendMany(load);
}

CLI::Option_group* AddFields(CLI::App* send, Sample* sample) {
  CLI::Option_group* fields =
      send->add_option_group("Fields of the postback", "an empty one is left out");
  fields->add_option("--tracking-id", sample->tracking_id,
                     "Default: a new one. With --count, followed by -1, -2, …");
  fields->add_option("--from", sample->from)->capture_default_str();
  fields->add_option("--to", sample->to)->capture_default_str();
  fields->add_option("--keyword", sample->keyword)->capture_default_str();
  fields->add_option("--operator-id", sample->operator_id)->capture_default_str();
  fields->add_option("--timestamp", sample->timestamp)->capture_default_str();
  fields->add_option("--subject", sample->subject);
  fields->add_option("--file", sample->files, "A URL; may be repeated")->capture_default_str();
  fields->add_option("--copy-to", sample->copy_to, "A number; may be repeated");
  return fields;
}

}  // namespace

void AddSend(CLI::App* app, Context* context) {
  auto options = std::make_shared<SendOptions>();
  LoadOptions& load = options->load;
  CLI::App* send = app->add_subcommand("send", "POST a sample postback, or many");
  send->add_option("--url", options->url, "Where the gateway takes postbacks")
      ->envname("MMSMO_URL")
      ->capture_default_str();
  CLI::Option* from_event =
      send->add_option("--from-event", options->from_event,
                       "Post the body that the event with this cursor came in, byte for byte, "
                       "instead of a sample; --grpc says which gateway has it");
  send->add_flag("--json,!--xml", load.json, "As JSON; otherwise as XML")->excludes(from_event);
  send->add_flag("--print", options->print, "Print the postback instead of sending it");
  send->add_option("--timeout", options->timeout_seconds, "Seconds to wait for an answer")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  AddFields(send, &load.sample)->excludes(from_event);
  AddSecrets(send, &options->secrets);
  CLI::Option_group* many = send->add_option_group("Load");
  many->add_option("--count", load.count, "How many to send")
      ->check(CLI::Range(int64_t{1}, int64_t{100'000'000}))
      ->capture_default_str()
      ->excludes(from_event);
  many->add_option("--rate", load.rate, "Postbacks a second; 0: as fast as they are answered")
      ->check(CLI::NonNegativeNumber)
      ->capture_default_str();
  many->add_option("--connections", load.connections, "Connections at once")
      ->check(CLI::Range(1, 10'000))
      ->capture_default_str();
  many->add_option("--retry-for", options->retry_seconds,
                   "Seconds to send one again that got no answer, 503 or 429")
      ->check(CLI::NonNegativeNumber)
      ->capture_default_str();
  many->add_option("--answers", load.answers_file,
                   "Write a line for each answer: tracking id, status, outcome, cursor");
  send->callback([options, context] {
    context->calls = !options->from_event.empty();
    context->run = [options, context] { return Send(*context, *options); };
  });
}

}  // namespace mmsmo::command
