#include "gateway/rpc/quarantine_service.h"

#include <string>
#include <utility>
#include <vector>

#include "gateway/base/status.h"
#include "gateway/rpc/pages.h"
#include "gateway/rpc/refused_stream.h"
#include "gateway/rpc/reprocess_stream.h"
#include "gateway/rpc/status.h"

namespace mmsmo::rpc {
namespace {

constexpr int kDiscardsAStep = 1000;

const Question kQuestion{.permission = access::Permission::kQuarantine};

}  // namespace

grpc::ServerUnaryReactor* QuarantineService::ListQuarantined(
    grpc::CallbackServerContext* context, const v1::ListQuarantinedRequest* request,
    v1::ListQuarantinedResponse* response) {
  UnaryCall* const call = UnaryCall::Begin(limits_.unary, *context, *request, kQuestion);
  if (call->refused()) return call;
  pool_->Run([this, request, response, pending = call->pending()] {
    pending->Answer([&] { return FillPage(pending->caller(), *request, response); });
  });
  return call;
}

absl::Status QuarantineService::FillPage(const Caller& caller,
                                         const v1::ListQuarantinedRequest& request,
                                         v1::ListQuarantinedResponse* response) {
  const auto page_size = PageSize(request.page_size());
  if (!page_size.ok()) return page_size.status();
  const auto token = PageToken(request);
  if (!token.ok()) return token.status();
  auto page = broker_->quarantine().List(request.reason(), *page_size, *token);
  if (!page.ok()) return InField("page_token", page.status());
  page->set_next_page_token(BindPageToken(page->next_page_token(), request));
  KeepSeen(caller, page->mutable_postbacks());
  response->Swap(&*page);
  return absl::OkStatus();
}

grpc::ServerUnaryReactor* QuarantineService::GetQuarantined(
    grpc::CallbackServerContext* context, const v1::GetQuarantinedRequest* request,
    v1::GetQuarantinedResponse* response) {
  UnaryCall* const call = UnaryCall::Begin(limits_.unary, *context, *request, kQuestion);
  if (call->refused()) return call;
  pool_->Run([this, request, response, pending = call->pending()] {
    pending->Answer([&] {
      auto quarantined = GetSeen(pending->caller(), broker_->quarantine(), request->id());
      if (quarantined.ok()) response->Swap(&*quarantined);
      return quarantined.status();
    });
  });
  return call;
}

grpc::ServerWriteReactor<v1::ReprocessQuarantinedResponse>* QuarantineService::ReprocessQuarantined(
    grpc::CallbackServerContext* context, const v1::ReprocessQuarantinedRequest* request) {
  Admission admission = limits_.unary.gate->Admit(*context, kQuestion);
  if (!admission.ok()) {
    return RefusedStream<v1::ReprocessQuarantinedResponse>::Begin(limits_.unary.gate, admission);
  }
  return ReprocessStream::Start(*context, std::move(admission.caller), *request, broker_, pool_,
                                {.gate = limits_.unary.gate,
                                 .calls = limits_.reprocessing,
                                 .request_bytes = limits_.unary.bytes,
                                 .in_flight = limits_.in_flight},
                                &draining_);
}

grpc::ServerUnaryReactor* QuarantineService::DiscardQuarantined(
    grpc::CallbackServerContext* context, const v1::DiscardQuarantinedRequest* request,
    v1::DiscardQuarantinedResponse* response) {
  UnaryCall* const call = UnaryCall::Begin(limits_.unary, *context, *request, kQuestion);
  if (call->refused()) return call;
  if (auto status = CheckWhich(*request); !status.ok()) {
    call->pending()->Answer(status);
    return call;
  }
  Discarding discarding{.reason = request->reason(),
                        .response = response,
                        .call = call->pending(),
                        .act = call->pending()->caller().ActOf("DiscardQuarantined")};
  if (request->all()) {
    pool_->Run([this, discarding = std::move(discarding)] { DiscardPage(discarding); });
    return call;
  }
  std::vector<std::string> ids(request->ids().begin(), request->ids().end());
  if (call->pending()->caller().endpoints() == nullptr) {
    DiscardIds(std::move(ids), std::move(discarding));
    return call;
  }
  pool_->Run([this, ids = std::move(ids), discarding = std::move(discarding)] {
    DiscardIds(Seen(discarding.call->caller(), ids), discarding);
  });
  return call;
}

std::vector<std::string> QuarantineService::Seen(const Caller& caller,
                                                 std::vector<std::string> ids) {
  std::erase_if(
      ids, [&](const std::string& id) { return !GetSeen(caller, broker_->quarantine(), id).ok(); });
  return ids;
}

void QuarantineService::DiscardIds(std::vector<std::string> ids, Discarding discarding) {
  const broker::ActPtr act = discarding.act;
  broker_->quarantine().Discard(
      std::move(ids),
      [this, discarding = std::move(discarding)](const absl::StatusOr<int64_t>& discarded) mutable {
        if (discarded.ok()) discarding.count = *discarded;
        pool_->Run([discarding = std::move(discarding), status = discarded.status()] {
          Answer(discarding, status);
        });
      },
      act);
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
  KeepSeen(discarding.call->caller(), page->mutable_postbacks());
  std::vector<std::string> ids;
  for (auto& postback : *page->mutable_postbacks())
    ids.push_back(std::move(*postback.mutable_id()));
  discarding.page_token = page->next_page_token();
  const broker::ActPtr act = discarding.act;
  broker_->quarantine().Discard(
      std::move(ids),
      [this, discarding = std::move(discarding)](const absl::StatusOr<int64_t>& discarded) mutable {
        if (discarded.ok()) discarding.count += *discarded;
        pool_->Run([this, discarding = std::move(discarding), status = discarded.status()] {
          if (!status.ok() || discarding.page_token.empty()) return Answer(discarding, status);
          DiscardPage(discarding);
        });
      },
      act);
}

}  // namespace mmsmo::rpc
