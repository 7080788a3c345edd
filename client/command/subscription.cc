#include <memory>

#include "client/command/call.h"
#include "client/command/command.h"
#include "client/command/output.h"
#include "client/command/print.h"
#include "client/command/subscription_settings.h"
#include "client/command/subscription_text.h"
#include "fmt/format.h"
#include "mmsmo/start.h"
#include "mmsmo/v1/subscription_service.grpc.pb.h"

namespace mmsmo::command {
namespace {

using Stub = v1::SubscriptionService::Stub;

constexpr char kPositions[] = "earliest, latest, a cursor (what follows it) or an RFC 3339 time";

struct Options {
  std::string name;
  std::string position;
  bool json = false;
  SubscriptionSettings settings;
};

int WrongFlag(const char* flag, const absl::Status& status) {
  Complain(fmt::format("{}: {}", flag, std::string(status.message())));
  return kUsage;
}

// Makes a call that answers with the subscription, and prints that.
template <typename Request, typename Response>
int CallAndPrint(const Context& context, const Options& options,
                 grpc::Status (Stub::*method)(grpc::ClientContext*, const Request&, Response*),
                 const Request& request) {
  const auto response = Call(StubOf<v1::SubscriptionService>(context).get(), method, request);
  if (!response) return kFailed;
  const v1::Subscription& subscription = response->subscription();
  Write(options.json ? JsonLine(subscription) : Pretty(subscription));
  return kOk;
}

int Create(const Context& context, const Options& options) {
  const absl::StatusOr<v1::StartPosition> start = ParseStart(options.position);
  if (!start.ok()) return WrongFlag("--from", start.status());
  v1::CreateSubscriptionRequest request;
  *request.mutable_subscription() = options.settings.subscription();
  request.mutable_subscription()->set_name(options.name);
  *request.mutable_subscription()->mutable_start_position() = *start;
  return CallAndPrint(context, options, &Stub::CreateSubscription, request);
}

int Get(const Context& context, const Options& options) {
  v1::GetSubscriptionRequest request;
  request.set_name(options.name);
  return CallAndPrint(context, options, &Stub::GetSubscription, request);
}

int Update(const Context& context, const Options& options) {
  v1::UpdateSubscriptionRequest request;
  *request.mutable_update_mask() = options.settings.mask();
  if (request.update_mask().paths().empty()) {
    Complain("nothing to change: give a setting, such as --max-attempts 5");
    return kUsage;
  }
  *request.mutable_subscription() = options.settings.subscription();
  request.mutable_subscription()->set_name(options.name);
  return CallAndPrint(context, options, &Stub::UpdateSubscription, request);
}

int Seek(const Context& context, const Options& options) {
  const absl::StatusOr<v1::StartPosition> position = ParseStart(options.position);
  if (!position.ok()) return WrongFlag("--to", position.status());
  v1::SeekSubscriptionRequest request;
  request.set_name(options.name);
  *request.mutable_target() = *position;
  return CallAndPrint(context, options, &Stub::SeekSubscription, request);
}

int Delete(const Context& context, const Options& options) {
  v1::DeleteSubscriptionRequest request;
  request.set_name(options.name);
  const auto stub = StubOf<v1::SubscriptionService>(context);
  return Call(stub.get(), &Stub::DeleteSubscription, request) ? kOk : kFailed;
}

int List(const Context& context, const Options& options) {
  const auto stub = StubOf<v1::SubscriptionService>(context);
  Table table = SubscriptionTable();
  v1::ListSubscriptionsRequest request;
  do {
    const auto page = Call(stub.get(), &Stub::ListSubscriptions, request);
    if (!page) return kFailed;
    for (const v1::Subscription& subscription : page->subscriptions()) {
      if (options.json) Write(JsonLine(subscription));
      if (!options.json) table.Add(RowOf(subscription));
    }
    if (!options.json) Write(table.Take());
    request.set_page_token(page->next_page_token());
  } while (!request.page_token().empty());
  return kOk;
}

// One of the commands below `subscription`; returns it for more options.
CLI::App* AddOne(CLI::App* group, Context* context, const std::shared_ptr<Options>& options,
                 const std::string& name, const std::string& help,
                 int (*run)(const Context&, const Options&)) {
  CLI::App* one = group->add_subcommand(name, help);
  if (name != "list") one->add_option("name", options->name, "The subscription")->required();
  if (name != "delete") one->add_flag("--json", options->json, "As JSON, one object a line");
  one->callback([=] { context->run = [=] { return run(*context, *options); }; });
  return one;
}

}  // namespace

void AddSubscription(CLI::App* app, Context* context) {
  CLI::App* group = app->add_subcommand("subscription", "Manage named subscriptions");
  group->require_subcommand(1);
  // Each with options of its own, since a setting that is given names itself in the field mask.
  const auto add = [&](const char* name, const char* help,
                       int (*run)(const Context&, const Options&)) {
    const auto options = std::make_shared<Options>();
    return std::pair(AddOne(group, context, options, name, help, run), options.get());
  };
  const auto [create, creation] = add("create", "Make one", Create);
  create->add_option("--from", creation->position, kPositions)->required();
  creation->settings.AddTo(create);
  add("get", "Print one", Get);
  add("list", "Print all", List);
  const auto [update, change] = add("update", "Change the settings that are given", Update);
  change->settings.AddTo(update);
  change->settings.AddRemovalsTo(update);
  add("delete", "Remove one, and its dead letters", Delete);
  const auto [seek, move] = add("seek", "Move one, back or forth", Seek);
  seek->add_option("--to", move->position, kPositions)->required();
}

}  // namespace mmsmo::command
