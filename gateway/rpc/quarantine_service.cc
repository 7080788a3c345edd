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
  UnaryCall* const call = UnaryCall::Begin(limits_.unary, *request);
  if (call->refused()) return call;
  pool_->Run([this, request, response, pending = call->pending()] {
    pending->Answer([&] { return FillPage(*request, response); });
  });
  return call;
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
  UnaryCall* const call = UnaryCall::Begin(limits_.unary, *request);
  if (call->refused()) return call;
  pool_->Run([this, request, response, pending = call->pending()] {
    pending->Answer([&] {
      auto quarantined = broker_->quarantine().Get(request->id());
      if (quarantined.ok()) response->Swap(&*quarantined);
      return quarantined.status();
    });
  });
  return call;
}

grpc::ServerWriteReactor<v1::ReprocessQuarantinedResponse>* QuarantineService::ReprocessQuarantined(
    grpc::CallbackServerContext*, const v1::ReprocessQuarantinedRequest* request) {
  return ReprocessStream::Start(*request, broker_, pool_,
                                {.calls = limits_.reprocessing,
                                 .request_bytes = limits_.unary.bytes,
                                 .in_flight = limits_.in_flight},
                                &draining_);
}

grpc::ServerUnaryReactor* QuarantineService::DiscardQuarantined(
    grpc::CallbackServerContext*, const v1::DiscardQuarantinedRequest* request,
    v1::DiscardQuarantinedResponse* response) {
  UnaryCall* const call = UnaryCall::Begin(limits_.unary, *request);
  if (call->refused()) return call;
  if (auto status = CheckWhich(*request); !status.ok()) {
    call->pending()->Answer(status);
    return call;
  }
  Discarding discarding{.reason = request->reason(), .response = response, .call = call->pending()};
  if (request->all()) {
    pool_->Run([this, discarding = std::move(discarding)] { DiscardPage(discarding); });
    return call;
  }
  broker_->quarantine().Discard(
      std::vector<std::string>(request->ids().begin(), request->ids().end()),
      [this, discarding = std::move(discarding)](const absl::StatusOr<int64_t>& discarded) mutable {
        if (discarded.ok()) discarding.count = *discarded;
        pool_->Run([discarding = std::move(discarding), status = discarded.status()] {
          Answer(discarding, status);
        });
      });
  return call;
}

void QuarantineService::Answer(const Discarding& discarding, const absl::Status& status) {
  discarding.call->Answer([&] {
    discarding.response->set_discarded_count(discarding.count);
    return status;
  });
}

void QuarantineService::DiscardPage(Discarding discarding) {
  if (discarding.call->over()) return;
  if (draining_) {
    return Answer(discarding,
                  Unavailable("this gateway is shutting down; discard what is left later"));
  }
  auto page = broker_->quarantine().List(discarding.reason, kDiscardsAStep, discarding.page_token);
  if (!page.ok()) return Answer(discarding, page.status());
  std::vector<std::string> ids;
  for (auto& postback : *page->mutable_postbacks())
    ids.push_back(std::move(*postback.mutable_id()));
  discarding.page_token = page->next_page_token();
  broker_->quarantine().Discard(
      std::move(ids),
      [this, discarding = std::move(discarding)](const absl::StatusOr<int64_t>& discarded) mutable {
        if (discarded.ok()) discarding.count += *discarded;
        pool_->Run([this, discarding = std::move(discarding), status = discarded.status()] {
          if (!status.ok() || discarding.page_token.empty()) return Answer(discarding, status);
          DiscardPage(discarding);
        });
      });
}

}  // namespace mmsmo::rpc
