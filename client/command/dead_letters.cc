#include <algorithm>
#include <memory>
#include <string_view>
#include <utility>
#include <vector>

#include "client/command/call.h"
#include "client/command/command.h"
#include "client/command/output.h"
#include "client/command/print.h"
#include "client/command/progress_bar.h"
#include "client/command/subscription_text.h"
#include "fmt/format.h"
#include "mmsmo/v1/subscription_service.grpc.pb.h"

namespace mmsmo::command {
namespace {

using Stub = v1::SubscriptionService::Stub;

constexpr int kPage = 1000;

struct Options {
  std::string subscription;
  std::vector<std::string> cursors;
  bool all = false;
  bool json = false;
};

// Calls `use` with each page. False where a call failed.
bool ForEachPage(Stub* stub, const std::string& subscription,
                 const std::function<void(const v1::ListDeadLettersResponse&)>& use) {
  v1::ListDeadLettersRequest request;
  request.set_subscription(subscription);
  request.set_page_size(kPage);
  do {
    const auto page = Call(stub, &Stub::ListDeadLetters, request);
    if (!page) return false;
    use(*page);
    request.set_page_token(page->next_page_token());
  } while (!request.page_token().empty());
  return true;
}

int List(const Context& context, Options options) {
  const auto stub = StubOf<v1::SubscriptionService>(context);
  Table table = DeadLetterTable();
  const bool ok = ForEachPage(stub.get(), options.subscription, [&](const auto& page) {
    for (const v1::DeadLetter& dead_letter : page.dead_letters()) {
      if (options.json) Write(JsonLine(dead_letter));
      if (!options.json) table.Add(RowOf(dead_letter));
    }
    if (!options.json) Write(table.Take());
  });
  return ok ? kOk : kFailed;
}

// Calls with the cursors that were given, or with all that there are, some at a time; `done` says
// what became of them, and `count` how many of a call that are.
template <typename Request, typename Response>
int ForGiven(const Context& context, Options options, std::string_view done,
             grpc::Status (Stub::*method)(grpc::ClientContext*, const Request&, Response*),
             int64_t (Response::*count)() const) {
  if (options.all != options.cursors.empty()) {
    Complain("give either the cursors of dead letters, or --all");
    return kUsage;
  }
  const auto stub = StubOf<v1::SubscriptionService>(context);
  std::vector<std::string>& cursors = options.cursors;
  // Those that are there now, whatever comes meanwhile.
  if (options.all && !ForEachPage(stub.get(), options.subscription, [&](const auto& page) {
        for (const auto& dead_letter : page.dead_letters()) {
          cursors.push_back(dead_letter.event().cursor());
        }
      })) {
    return kFailed;
  }
  int64_t counted = 0;
  bool ok = true;
  {
    ProgressBar progress(static_cast<int64_t>(cursors.size()));
    for (size_t begin = 0; ok && begin < cursors.size(); begin += kPage) {
      progress.Show(static_cast<int64_t>(begin));
      Request request;
      request.set_subscription(options.subscription);
      const size_t end = std::min<size_t>(cursors.size(), begin + kPage);
      for (size_t i = begin; i < end; ++i) request.add_cursors(std::move(cursors[i]));
      const auto response = Call(stub.get(), method, request);
      ok = response.has_value();
      if (ok) counted += ((*response).*count)();
    }
  }
  Write(fmt::format("{} of {} {}\n", counted, cursors.size(), done));
  return ok ? kOk : kFailed;
}

int Replay(const Context& context, Options options) {
  return ForGiven(context, std::move(options), "replayed", &Stub::ReplayDeadLetters,
                  &v1::ReplayDeadLettersResponse::replayed_count);
}

int Discard(const Context& context, Options options) {
  return ForGiven(context, std::move(options), "discarded", &Stub::DiscardDeadLetters,
                  &v1::DiscardDeadLettersResponse::discarded_count);
}

}  // namespace

void AddDeadLetters(CLI::App* app, Context* context) {
  auto options = std::make_shared<Options>();
  CLI::App* group = app->add_subcommand("dead-letters", "What a named subscription gave up on");
  group->require_subcommand(1);
  const auto add = [&](const char* name, const char* help, int (*run)(const Context&, Options)) {
    CLI::App* one = group->add_subcommand(name, help);
    one->add_option("name", options->subscription, "The subscription")->required();
    one->callback([=] { context->run = [=] { return run(*context, *options); }; });
    return one;
  };
  add("list", "Print them, the oldest first", List)
      ->add_flag("--json", options->json, "One JSON object a line");
  for (CLI::App* one : {add("replay", "Deliver them again", Replay),
                        add("discard", "Remove them for good", Discard)}) {
    one->add_option("cursor", options->cursors, "Their events' cursors");
    one->add_flag("--all", options->all, "All that are there now");
  }
}

}  // namespace mmsmo::command
