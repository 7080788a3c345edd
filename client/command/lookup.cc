#include <functional>
#include <memory>

#include "client/command/call.h"
#include "client/command/command.h"
#include "client/command/output.h"
#include "client/command/print.h"
#include "mmsmo/v1/mms_mo_service.grpc.pb.h"

namespace mmsmo::command {
namespace {

// Calls one method with a request that names an event.
template <typename Request, typename Response>
int Lookup(const Context& context, const std::string& cursor,
           grpc::Status (v1::MmsMoService::Stub::*method)(grpc::ClientContext*, const Request&,
                                                          Response*),
           const std::function<void(const Response&)>& print) {
  Request request;
  request.set_cursor(cursor);
  const auto response = Call(StubOf<v1::MmsMoService>(context).get(), method, request);
  if (!response) return kFailed;
  print(*response);
  return kOk;
}

}  // namespace

void AddGet(CLI::App* app, Context* context) {
  auto cursor = std::make_shared<std::string>();
  auto json = std::make_shared<bool>(false);
  CLI::App* get = app->add_subcommand("get", "Print one event");
  get->add_option("cursor", *cursor, "The event's cursor")->required();
  get->add_flag("--json", *json, "As JSON");
  get->callback([=] {
    context->run = [=] {
      return Lookup<v1::GetEventRequest, v1::GetEventResponse>(
          *context, *cursor, &v1::MmsMoService::Stub::GetEvent, [=](const auto& response) {
            Write(*json ? JsonLine(response.event()) : Pretty(response.event()));
          });
    };
  });
}

void AddRaw(CLI::App* app, Context* context) {
  auto cursor = std::make_shared<std::string>();
  CLI::App* raw = app->add_subcommand("raw", "Print the body that an event came in, byte for byte");
  raw->add_option("cursor", *cursor, "The event's cursor")->required();
  raw->callback([=] {
    context->run = [=] {
      return Lookup<v1::GetRawPostbackRequest, v1::GetRawPostbackResponse>(
          *context, *cursor, &v1::MmsMoService::Stub::GetRawPostback,
          [](const auto& response) { Write(response.body()); });
    };
  });
}

}  // namespace mmsmo::command
