#include "gateway/rpc/subscription_service.h"

#include <string>
#include <utility>
#include <vector>

#include "gateway/base/status.h"
#include "gateway/broker/request_times.h"
#include "gateway/broker/start_position.h"
#include "gateway/broker/subscription_settings.h"
#include "gateway/rpc/either_or.h"
#include "gateway/rpc/pages.h"
#include "gateway/rpc/status.h"

namespace mmsmo::rpc {
namespace {

// Moves a result into a response's field.
template <typename Result, typename Field>
absl::Status Fill(absl::StatusOr<Result> result, Field* field) {
  if (!result.ok()) return result.status();
  *field = *std::move(result);
  return absl::OkStatus();
}

}  // namespace

template <typename Request, typename Work>
grpc::ServerUnaryReactor* SubscriptionService::Answer(const Request& request, Work work) {
  UnaryCall* const call = UnaryCall::Begin(limits_, request);
  if (call->refused()) return call;
  pool_->Run([pending = call->pending(), work = std::move(work)] { pending->Answer(work); });
  return call;
}

grpc::ServerUnaryReactor* SubscriptionService::CreateSubscription(
    grpc::CallbackServerContext*, const v1::CreateSubscriptionRequest* request,
    v1::CreateSubscriptionResponse* response) {
  return Answer(*request, [=, this]() -> absl::Status {
    if (auto status = broker::ValidateTimes("", *request); !status.ok()) return status;
    auto complete = broker::CompleteSubscription(request->subscription());
    if (!complete.ok()) return complete.status();
    auto start = broker::ValidateStart("subscription.start_position", complete->start_position());
    if (!start.ok()) return start;
    return InField("subscription.start_position.after_cursor",
                   Fill(subscriptions_.Create(*complete), response->mutable_subscription()));
  });
}

grpc::ServerUnaryReactor* SubscriptionService::GetSubscription(
    grpc::CallbackServerContext*, const v1::GetSubscriptionRequest* request,
    v1::GetSubscriptionResponse* response) {
  return Answer(*request, [=, this] {
    return Fill(subscriptions_.Get(request->name()), response->mutable_subscription());
  });
}

grpc::ServerUnaryReactor* SubscriptionService::ListSubscriptions(
    grpc::CallbackServerContext*, const v1::ListSubscriptionsRequest* request,
    v1::ListSubscriptionsResponse* response) {
  return Answer(*request, [=, this]() -> absl::Status {
    auto page_size = PageSize(request->page_size());
    if (!page_size.ok()) return page_size.status();
    const auto token = PageToken(*request);
    if (!token.ok()) return token.status();
    if (!token->empty()) {
      auto status = broker::ValidateSubscriptionName("page_token", *token);
      if (!status.ok()) return status;
    }
    *response = subscriptions_.List(*page_size, *token);
    response->set_next_page_token(BindPageToken(response->next_page_token(), *request));
    return absl::OkStatus();
  });
}

grpc::ServerUnaryReactor* SubscriptionService::UpdateSubscription(
    grpc::CallbackServerContext*, const v1::UpdateSubscriptionRequest* request,
    v1::UpdateSubscriptionResponse* response) {
  return Answer(*request, [=, this]() -> absl::Status {
    if (auto status = broker::ValidateTimes("", *request); !status.ok()) return status;
    return Fill(subscriptions_.Update(request->subscription(), request->update_mask()),
                response->mutable_subscription());
  });
}

grpc::ServerUnaryReactor* SubscriptionService::DeleteSubscription(
    grpc::CallbackServerContext*, const v1::DeleteSubscriptionRequest* request,
    v1::DeleteSubscriptionResponse*) {
  return Answer(*request, [=, this] { return subscriptions_.Delete(request->name()); });
}

grpc::ServerUnaryReactor* SubscriptionService::SeekSubscription(
    grpc::CallbackServerContext*, const v1::SeekSubscriptionRequest* request,
    v1::SeekSubscriptionResponse* response) {
  return Answer(*request, [=, this]() -> absl::Status {
    if (auto status = broker::ValidateTimes("", *request); !status.ok()) return status;
    if (auto status = broker::ValidateStart("target", request->target()); !status.ok())
      return status;
    return InField("target.after_cursor",
                   Fill(subscriptions_.Seek(request->name(), request->target()),
                        response->mutable_subscription()));
  });
}

grpc::ServerUnaryReactor* SubscriptionService::ListDeadLetters(
    grpc::CallbackServerContext*, const v1::ListDeadLettersRequest* request,
    v1::ListDeadLettersResponse* response) {
  return Answer(*request, [=, this]() -> absl::Status {
    auto page_size = PageSize(request->page_size());
    if (!page_size.ok()) return page_size.status();
    const auto token = PageToken(*request);
    if (!token.ok()) return token.status();
    auto page = subscriptions_.ListDeadLetters(request->subscription(), *page_size, *token);
    if (!page.ok()) return InField("page_token", page.status());
    *response = *std::move(page);
    response->set_next_page_token(BindPageToken(response->next_page_token(), *request));
    return absl::OkStatus();
  });
}

grpc::ServerUnaryReactor* SubscriptionService::ReplayDeadLetters(
    grpc::CallbackServerContext*, const v1::ReplayDeadLettersRequest* request,
    v1::ReplayDeadLettersResponse* response) {
  return Answer(*request, [=, this]() -> absl::Status {
    if (auto status = CheckEitherOr("cursors", request->cursors().empty(), request->all());
        !status.ok()) {
      return status;
    }
    auto count = subscriptions_.ReplayDeadLetters(
        request->subscription(), {request->cursors().begin(), request->cursors().end()});
    if (count.ok()) response->set_replayed_count(*count);
    return InField("cursors", count.status());
  });
}

grpc::ServerUnaryReactor* SubscriptionService::DiscardDeadLetters(
    grpc::CallbackServerContext*, const v1::DiscardDeadLettersRequest* request,
    v1::DiscardDeadLettersResponse* response) {
  return Answer(*request, [=, this]() -> absl::Status {
    if (auto status = CheckEitherOr("cursors", request->cursors().empty(), request->all());
        !status.ok()) {
      return status;
    }
    auto count = subscriptions_.DiscardDeadLetters(
        request->subscription(), {request->cursors().begin(), request->cursors().end()});
    if (count.ok()) response->set_discarded_count(*count);
    return InField("cursors", count.status());
  });
}

}  // namespace mmsmo::rpc
