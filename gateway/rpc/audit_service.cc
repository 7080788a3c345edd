#include "gateway/rpc/audit_service.h"

#include "gateway/rpc/pages.h"
#include "gateway/rpc/status.h"

namespace mmsmo::rpc {

grpc::ServerUnaryReactor* AuditService::ListAuditRecords(grpc::CallbackServerContext* context,
                                                         const v1::ListAuditRecordsRequest* request,
                                                         v1::ListAuditRecordsResponse* response) {
  UnaryCall* const call =
      UnaryCall::Begin(limits_, *context, *request, {.permission = access::Permission::kAdmin});
  if (call->refused()) return call;
  pool_->Run([this, request, response, pending = call->pending()] {
    pending->Answer([&] { return FillPage(*request, response); });
  });
  return call;
}

absl::Status AuditService::FillPage(const v1::ListAuditRecordsRequest& request,
                                    v1::ListAuditRecordsResponse* response) {
  const auto page_size = PageSize(request.page_size());
  if (!page_size.ok()) return page_size.status();
  const auto token = PageToken(request);
  if (!token.ok()) return token.status();
  auto page = broker_->audit().List(*page_size, *token);
  if (!page.ok()) return InField("page_token", page.status());
  page->set_next_page_token(BindPageToken(page->next_page_token(), request));
  response->Swap(&*page);
  return absl::OkStatus();
}

}  // namespace mmsmo::rpc
