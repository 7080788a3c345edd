#include <google/protobuf/util/time_util.h>

#include <memory>
#include <string>

#include "client/command/call.h"
#include "client/command/command.h"
#include "client/command/output.h"
#include "client/command/print.h"
#include "client/command/table.h"
#include "fmt/format.h"
#include "mmsmo/v1/audit_service.grpc.pb.h"

namespace mmsmo::command {
namespace {

using google::protobuf::util::TimeUtil;

constexpr int kPageSize = 1000;

std::string CountOf(const v1::AuditRecord& record) {
  return record.count() == 0 ? "" : fmt::to_string(record.count());
}

int Audit(const Context& context, bool json) {
  const auto stub = StubOf<v1::AuditService>(context);
  v1::ListAuditRecordsRequest request;
  request.set_page_size(kPageSize);
  Table table({"TIME", "IDENTITY", "FROM", "METHOD", "SUBSCRIPTION", "COUNT"});
  do {
    const auto page = Call(stub.get(), &v1::AuditService::Stub::ListAuditRecords, request);
    if (!page) return kFailed;
    for (const auto& record : page->records()) {
      if (json) {
        Write(JsonLine(record));
        continue;
      }
      table.Add({TimeUtil::ToString(record.time()), Visible(record.identity()),
                 Visible(record.peer()), Visible(record.method()), Visible(record.subscription()),
                 CountOf(record)});
    }
    if (!json) Write(table.Take());
    request.set_page_token(page->next_page_token());
  } while (!request.page_token().empty());
  return kOk;
}

}  // namespace

void AddAudit(CLI::App* app, Context* context) {
  auto json = std::make_shared<bool>(false);
  CLI::App* audit = app->add_subcommand("audit", "Print who changed what, oldest first");
  audit->add_flag("--json", *json, "One JSON object a line");
  audit->callback([=] { context->run = [=] { return Audit(*context, *json); }; });
}

}  // namespace mmsmo::command
