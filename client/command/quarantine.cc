#include <grpcpp/grpcpp.h>
#include <unistd.h>

#include <memory>
#include <set>
#include <string>
#include <vector>

#include "client/command/call.h"
#include "client/command/command.h"
#include "client/command/output.h"
#include "client/command/print.h"
#include "fmt/format.h"
#include "mmsmo/v1/quarantine_service.grpc.pb.h"

namespace mmsmo::command {
namespace {

using Stub = v1::QuarantineService::Stub;

constexpr int kPageSize = 1000;
constexpr int64_t kProgressEvery = 100;

int Failed(const std::string& message) {
  Complain(message);
  return kFailed;
}

int List(const Context& context, const std::string& reason, bool json) {
  const auto stub = StubOf<v1::QuarantineService>(context);
  v1::ListQuarantinedRequest request;
  request.set_reason(reason);
  request.set_page_size(kPageSize);
  bool first = true;
  do {
    const auto page = Call(stub.get(), &Stub::ListQuarantined, request);
    if (!page) return kFailed;
    for (const auto& postback : page->postbacks()) {
      if (first && !json) Write(QuarantineHeading());
      first = false;
      Write(json ? JsonLine(postback) : QuarantineRow(postback));
    }
    request.set_page_token(page->next_page_token());
  } while (!request.page_token().empty());
  return kOk;
}

struct ShowOptions {
  std::string id;
  bool raw = false;
  bool json = false;
};

int Show(const Context& context, const ShowOptions& options) {
  const auto stub = StubOf<v1::QuarantineService>(context);
  v1::GetQuarantinedRequest request;
  request.set_id(options.id);
  const auto response = Call(stub.get(), &Stub::GetQuarantined, request);
  if (!response) return kFailed;
  if (options.raw) {
    Write(response->body());
  } else {
    Write(options.json ? JsonLine(response->postback()) : Pretty(response->postback()));
  }
  return kOk;
}

struct ReprocessOptions {
  std::vector<std::string> ids;
  bool all = false;
  std::string reason;
  bool publish_conflicts = false;
  bool json = false;
};

// What became of those so far.
class Tally {
 public:
  void Add(const v1::ReprocessQuarantinedResponse& response) {
    ++total_;
    if (response.outcome() == "accepted") ++accepted_;
    if (response.outcome() == "duplicate") ++duplicate_;
    if (show_progress_ && total_ % kProgressEvery == 0) Say("\r" + Text());
  }
  bool empty() const { return total_ == 0; }
  void Finish() const { Say((show_progress_ ? "\r" : "") + Text() + "\n"); }

 private:
  std::string Text() const {
    return fmt::format("{} accepted, {} duplicate, {} still in quarantine", accepted_, duplicate_,
                       total_ - accepted_ - duplicate_);
  }

  // Where the lines themselves go to a terminal, they are progress enough.
  const bool show_progress_ = isatty(STDERR_FILENO) != 0 && isatty(STDOUT_FILENO) == 0;
  int64_t total_ = 0, accepted_ = 0, duplicate_ = 0;
};

int Reprocess(const Context& context, const ReprocessOptions& options) {
  if (options.ids.empty() && !options.all && options.reason.empty()) {
    Complain("say which: ids, --reason or --all");
    return kUsage;
  }
  const auto stub = StubOf<v1::QuarantineService>(context);
  grpc::ClientContext call;
  v1::ReprocessQuarantinedRequest request;
  request.mutable_ids()->Assign(options.ids.begin(), options.ids.end());
  request.set_all(options.ids.empty());
  request.set_reason(options.reason);
  request.set_publish_conflicts(options.publish_conflicts);
  const auto stream = stub->ReprocessQuarantined(&call, request);
  Tally tally;
  v1::ReprocessQuarantinedResponse response;
  while (stream->Read(&response)) {
    Write(options.json ? JsonLine(response) : ReprocessedRow(response));
    tally.Add(response);
  }
  Flush();
  const grpc::Status status = stream->Finish();
  if (status.ok() || !tally.empty()) tally.Finish();
  return status.ok() ? kOk : Failed(status.error_message() + TlsRemedy(status.error_message()));
}

int Discard(const Context& context, const std::vector<std::string>& ids) {
  const auto stub = StubOf<v1::QuarantineService>(context);
  v1::DiscardQuarantinedRequest request;
  request.mutable_ids()->Assign(ids.begin(), ids.end());
  const auto response = Call(stub.get(), &Stub::DiscardQuarantined, request);
  if (!response) return kFailed;
  Write(fmt::format("{} discarded\n", response->discarded_count()));
  const auto asked = static_cast<int64_t>(std::set<std::string>(ids.begin(), ids.end()).size());
  if (response->discarded_count() < asked)
    return Failed(fmt::format("{} not in quarantine", asked - response->discarded_count()));
  return kOk;
}

void AddList(CLI::App* quarantine, Context* context) {
  auto reason = std::make_shared<std::string>();
  auto json = std::make_shared<bool>(false);
  CLI::App* list = quarantine->add_subcommand("list", "List what is in quarantine, oldest first");
  list->add_option("--reason", *reason, "Only those with this reason");
  list->add_flag("--json", *json, "One JSON object a line");
  list->callback([=] { context->run = [=] { return List(*context, *reason, *json); }; });
}

void AddShow(CLI::App* quarantine, Context* context) {
  auto options = std::make_shared<ShowOptions>();
  CLI::App* show = quarantine->add_subcommand("show", "Show one, without its body");
  show->add_option("id", options->id)->required();
  CLI::Option* raw = show->add_flag("--raw", options->raw, "Only its body, byte for byte");
  show->add_flag("--json", options->json, "As JSON")->excludes(raw);
  show->callback([=] { context->run = [=] { return Show(*context, *options); }; });
}

void AddReprocess(CLI::App* quarantine, Context* context) {
  auto options = std::make_shared<ReprocessOptions>();
  CLI::App* reprocess = quarantine->add_subcommand(
      "reprocess", "Judge postbacks again, and publish those that are understood now");
  CLI::Option* ids = reprocess->add_option("id", options->ids);
  reprocess->add_flag("--all", options->all, "All that is in quarantine now")->excludes(ids);
  reprocess->add_option("--reason", options->reason, "All with this reason")->excludes(ids);
  reprocess->add_flag("--publish-conflicts", options->publish_conflicts,
                      "Publish also those whose tracking id has an event of other content");
  reprocess->add_flag("--json", options->json, "One JSON object a line");
  reprocess->callback([=] { context->run = [=] { return Reprocess(*context, *options); }; });
}

void AddDiscard(CLI::App* quarantine, Context* context) {
  auto ids = std::make_shared<std::vector<std::string>>();
  CLI::App* discard = quarantine->add_subcommand("discard", "Remove postbacks for good");
  discard->add_option("id", *ids)->required();
  discard->callback([=] { context->run = [=] { return Discard(*context, *ids); }; });
}

}  // namespace

void AddQuarantine(CLI::App* app, Context* context) {
  CLI::App* quarantine =
      app->add_subcommand("quarantine", "See to what was kept without being published");
  quarantine->require_subcommand(1);
  AddList(quarantine, context);
  AddShow(quarantine, context);
  AddReprocess(quarantine, context);
  AddDiscard(quarantine, context);
}

}  // namespace mmsmo::command
