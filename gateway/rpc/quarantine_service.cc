#include "gateway/rpc/quarantine_service.h"

#include <string>
#include <utility>
#include <vector>

#include "gateway/base/status.h"
#include "gateway/rpc/pages.h"
#include "gateway/rpc/reprocess_stream.h"
#include "gateway/rpc/status.h"

namespace mmsmo::rpc {
namespace {

constexpr int kDiscardsAStep = 1000;

}  // namespace

grpc::ServerUnaryReactor* QuarantineService::ListQuarantined(
    grpc::CallbackServerContext*, const v1::ListQuarantinedRequest* request,
    v1::ListQuarantinedResponse* response) {
  UnaryCall* const reactor = UnaryCall::Begin(calls_);
  if (reactor->refused()) return reactor;
  pool_->Run([this, request, response, reactor] {
    reactor->Finish(ToGrpc(FillPage(*request, response)));
  });
  return reactor;
}

absl::Status QuarantineService::FillPage(const v1::ListQuarantinedRequest& request,
                                         v1::ListQuarantinedResponse* response) {
  const auto page_size = PageSize(request.page_size());
  if (!page_size.ok()) return page_size.status();
  const auto token = PageToken(request);
  if (!token.ok()) return token.status();
  auto page = broker_->quarantine().List(request.reason(), *page_size, *token);
  if (!page.ok()) return InField("page_token", page.status());
  page->set_next_page_token(BindPageToken(page->next_page_token(), request));
  response->Swap(&*page);
  return absl::OkStatus();
}

grpc::ServerUnaryReactor* QuarantineService::GetQuarantined(
    grpc::CallbackServerContext*, const v1::GetQuarantinedRequest* request,
    v1::GetQuarantinedResponse* response) {
  UnaryCall* const reactor = UnaryCall::Begin(calls_);
  if (reactor->refused()) return reactor;
  pool_->Run([this, request, response, reactor] {
    auto quarantined = broker_->quarantine().Get(request->id());
    if (quarantined.ok()) response->Swap(&*quarantined);
    reactor->Finish(ToGrpc(quarantined.status()));
  });
  return reactor;
}

grpc::ServerWriteReactor<v1::ReprocessQuarantinedResponse>* QuarantineService::ReprocessQuarantined(
    grpc::CallbackServerContext*, const v1::ReprocessQuarantinedRequest* request) {
  return ReprocessStream::Start(*request, broker_, pool_, &draining_);
}

grpc::ServerUnaryReactor* QuarantineService::DiscardQuarantined(
    grpc::CallbackServerContext*, const v1::DiscardQuarantinedRequest* request,
    v1::DiscardQuarantinedResponse* response) {
  UnaryCall* const reactor = UnaryCall::Begin(calls_);
  if (reactor->refused()) return reactor;
  if (auto status = CheckWhich(*request); !status.ok()) {
    reactor->Finish(ToGrpc(status));
    return reactor;
  }
  Finish finish = [reactor](const absl::Status& status) { reactor->Finish(ToGrpc(status)); };
  if (request->all()) {
    pool_->Run([this, request, response, finish = std::move(finish)]() mutable {
      DiscardPage(request->reason(), "", response, std::move(finish));
    });
    return reactor;
  }
  broker_->quarantine().Discard(
      std::vector<std::string>(request->ids().begin(), request->ids().end()),
      [this, response,
       finish = std::move(finish)](const absl::StatusOr<int64_t>& discarded) mutable {
        if (discarded.ok()) response->set_discarded_count(*discarded);
        pool_->Run([finish = std::move(finish), status = discarded.status()]() mutable {
          finish(status);
        });
      });
  return reactor;
}

void QuarantineService::DiscardPage(const std::string& reason, const std::string& page_token,
                                    v1::DiscardQuarantinedResponse* response, Finish finish) {
  if (draining_)
    return finish(Unavailable("this gateway is shutting down; discard what is left later"));
  auto page = broker_->quarantine().List(reason, kDiscardsAStep, page_token);
  if (!page.ok()) return finish(page.status());
  std::vector<std::string> ids;
  for (auto& postback : *page->mutable_postbacks())
    ids.push_back(std::move(*postback.mutable_id()));
  broker_->quarantine().Discard(
      std::move(ids),
      [this, reason, next = page->next_page_token(), response,
       finish = std::move(finish)](const absl::StatusOr<int64_t>& discarded) mutable {
        if (discarded.ok()) response->set_discarded_count(response->discarded_count() + *discarded);
        pool_->Run([this, reason, next, response, finish = std::move(finish),
                    status = discarded.status()]() mutable {
          if (!status.ok() || next.empty()) return finish(status);
          DiscardPage(reason, next, response, std::move(finish));
        });
      });
}

}  // namespace mmsmo::rpc
