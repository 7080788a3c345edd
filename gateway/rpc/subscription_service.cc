#include "gateway/rpc/subscription_service.h"

#include <algorithm>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "gateway/base/status.h"
#include "gateway/broker/page.h"
#include "gateway/broker/request_times.h"
#include "gateway/broker/start_position.h"
#include "gateway/broker/subscription_settings.h"
#include "gateway/rpc/either_or.h"
#include "gateway/rpc/pages.h"
#include "gateway/rpc/status.h"

namespace mmsmo::rpc {
namespace {

using access::Permission;

// Moves a result into a response's field.
template <typename Result, typename Field>
absl::Status Fill(absl::StatusOr<Result> result, Field* field) {
  if (!result.ok()) return result.status();
  *field = *std::move(result);
  return absl::OkStatus();
}

std::vector<std::string> EndpointsOf(const v1::Subscription& subscription) {
  return {subscription.filter().endpoints().begin(), subscription.filter().endpoints().end()};
}

void KeepSeen(const Caller& caller, google::protobuf::RepeatedPtrField<v1::DeadLetter>* letters) {
  const auto unseen = [&](const v1::DeadLetter& letter) {
    return !caller.SeesEndpoint(letter.event().endpoint());
  };
  letters->erase(std::remove_if(letters->begin(), letters->end(), unseen), letters->end());
}

Question About(Permission permission, std::string_view subscription) {
  return {.permission = permission, .facts = {.subscription = subscription}};
}

}  // namespace

template <typename Request, typename Work>
grpc::ServerUnaryReactor* SubscriptionService::Answer(const grpc::CallbackServerContext& context,
                                                      const Request& request,
                                                      const Question& question, Work work) {
  UnaryCall* const call = UnaryCall::Begin(limits_, context, request, question);
  if (call->refused()) return call;
  pool_->Run([pending = call->pending(), work = std::move(work)] {
    pending->Answer([&] { return work(pending->caller()); });
  });
  return call;
}

grpc::ServerUnaryReactor* SubscriptionService::CreateSubscription(
    grpc::CallbackServerContext* context, const v1::CreateSubscriptionRequest* request,
    v1::CreateSubscriptionResponse* response) {
  return Answer(
      *context, *request,
      Question{.permission = Permission::kManage,
               .facts = {.subscription = request->subscription().name(),
                         .endpoints = EndpointsOf(request->subscription())}},
      [=, this](const Caller& caller) -> absl::Status {
        if (auto status = broker::ValidateTimes("", *request); !status.ok()) return status;
        auto complete = broker::CompleteSubscription(request->subscription());
        if (!complete.ok()) return complete.status();
        auto start =
            broker::ValidateStart("subscription.start_position", complete->start_position());
        if (!start.ok()) return start;
        return InField("subscription.start_position.after_cursor",
                       Fill(subscriptions_.Create(
                                *complete, caller.ActOf("CreateSubscription", complete->name())),
                            response->mutable_subscription()));
      });
}

grpc::ServerUnaryReactor* SubscriptionService::GetSubscription(
    grpc::CallbackServerContext* context, const v1::GetSubscriptionRequest* request,
    v1::GetSubscriptionResponse* response) {
  return Answer(
      *context, *request, About(Permission::kConsume, request->name()), [=, this](const Caller&) {
        return Fill(subscriptions_.Get(request->name()), response->mutable_subscription());
      });
}

grpc::ServerUnaryReactor* SubscriptionService::ListSubscriptions(
    grpc::CallbackServerContext* context, const v1::ListSubscriptionsRequest* request,
    v1::ListSubscriptionsResponse* response) {
  return Answer(
      *context, *request, Question{.permission = Permission::kManage},
      [=, this](const Caller& caller) -> absl::Status {
        auto page_size = PageSize(request->page_size());
        if (!page_size.ok()) return page_size.status();
        const auto token = PageToken(*request);
        if (!token.ok()) return token.status();
        if (!token->empty()) {
          auto status = broker::ValidateSubscriptionName("page_token", *token);
          if (!status.ok()) return status;
        }
        *response = ListVisible(caller, *page_size, *token);
        response->set_next_page_token(BindPageToken(response->next_page_token(), *request));
        return absl::OkStatus();
      });
}

v1::ListSubscriptionsResponse SubscriptionService::ListVisible(const Caller& caller, int page_size,
                                                               std::string name) {
  v1::ListSubscriptionsResponse visible;
  size_t bytes = 0;
  do {
    auto page = subscriptions_.List(page_size, name);
    for (auto& subscription : *page.mutable_subscriptions()) {
      if (!caller.Sees(
              {.subscription = subscription.name(), .endpoints = EndpointsOf(subscription)})) {
        continue;
      }
      bytes += subscription.ByteSizeLong();
      const int count = visible.subscriptions_size();
      if (count == page_size || (count > 0 && bytes > broker::kMaxPageBytes)) {
        visible.set_next_page_token(subscription.name());
        return visible;
      }
      visible.add_subscriptions()->Swap(&subscription);
    }
    name = page.next_page_token();
  } while (!name.empty());
  return visible;
}

absl::Status SubscriptionService::CheckUpdate(const Caller& caller,
                                              const v1::UpdateSubscriptionRequest& request) {
  if (caller.endpoints() == nullptr) return absl::OkStatus();
  const auto existing = subscriptions_.Get(request.subscription().name());
  if (!existing.ok()) return existing.status();
  const auto updated =
      broker::UpdatedSubscription(*existing, request.subscription(), request.update_mask());
  if (!updated.ok()) return updated.status();
  return limits_.gate->Judge(
      caller, {.permission = Permission::kManage,
               .facts = {.subscription = updated->name(), .endpoints = EndpointsOf(*updated)}});
}

grpc::ServerUnaryReactor* SubscriptionService::UpdateSubscription(
    grpc::CallbackServerContext* context, const v1::UpdateSubscriptionRequest* request,
    v1::UpdateSubscriptionResponse* response) {
  return Answer(*context, *request, About(Permission::kManage, request->subscription().name()),
                [=, this](const Caller& caller) -> absl::Status {
                  if (auto status = broker::ValidateTimes("", *request); !status.ok())
                    return status;
                  if (auto status = CheckUpdate(caller, *request); !status.ok()) return status;
                  auto updated =
                      Fill(subscriptions_.Update(
                               request->subscription(), request->update_mask(),
                               caller.ActOf("UpdateSubscription", request->subscription().name())),
                           response->mutable_subscription());
                  if (updated.ok()) limits_.gate->JudgeKept();
                  return updated;
                });
}

grpc::ServerUnaryReactor* SubscriptionService::DeleteSubscription(
    grpc::CallbackServerContext* context, const v1::DeleteSubscriptionRequest* request,
    v1::DeleteSubscriptionResponse*) {
  return Answer(*context, *request, About(Permission::kManage, request->name()),
                [=, this](const Caller& caller) {
                  return subscriptions_.Delete(request->name(),
                                               caller.ActOf("DeleteSubscription", request->name()));
                });
}

grpc::ServerUnaryReactor* SubscriptionService::SeekSubscription(
    grpc::CallbackServerContext* context, const v1::SeekSubscriptionRequest* request,
    v1::SeekSubscriptionResponse* response) {
  return Answer(
      *context, *request, About(Permission::kManage, request->name()),
      [=, this](const Caller& caller) -> absl::Status {
        if (auto status = broker::ValidateTimes("", *request); !status.ok()) return status;
        if (auto status = broker::ValidateStart("target", request->target()); !status.ok())
          return status;
        return InField("target.after_cursor",
                       Fill(subscriptions_.Seek(request->name(), request->target(),
                                                caller.ActOf("SeekSubscription", request->name())),
                            response->mutable_subscription()));
      });
}

grpc::ServerUnaryReactor* SubscriptionService::ListDeadLetters(
    grpc::CallbackServerContext* context, const v1::ListDeadLettersRequest* request,
    v1::ListDeadLettersResponse* response) {
  return Answer(
      *context, *request, About(Permission::kManage, request->subscription()),
      [=, this](const Caller& caller) -> absl::Status {
        auto page_size = PageSize(request->page_size());
        if (!page_size.ok()) return page_size.status();
        const auto token = PageToken(*request);
        if (!token.ok()) return token.status();
        auto page = subscriptions_.ListDeadLetters(request->subscription(), *page_size, *token);
        if (!page.ok()) return InField("page_token", page.status());
        *response = *std::move(page);
        KeepSeen(caller, response->mutable_dead_letters());
        response->set_next_page_token(BindPageToken(response->next_page_token(), *request));
        return absl::OkStatus();
      });
}

grpc::ServerUnaryReactor* SubscriptionService::ReplayDeadLetters(
    grpc::CallbackServerContext* context, const v1::ReplayDeadLettersRequest* request,
    v1::ReplayDeadLettersResponse* response) {
  return Answer(
      *context, *request, About(Permission::kManage, request->subscription()),
      [=, this](const Caller& caller) -> absl::Status {
        if (auto status = CheckEitherOr("cursors", request->cursors().empty(), request->all());
            !status.ok()) {
          return status;
        }
        auto count = subscriptions_.ReplayDeadLetters(
            request->subscription(), {request->cursors().begin(), request->cursors().end()},
            caller.ActOf("ReplayDeadLetters", request->subscription()));
        if (count.ok()) response->set_replayed_count(*count);
        return InField("cursors", count.status());
      });
}

grpc::ServerUnaryReactor* SubscriptionService::DiscardDeadLetters(
    grpc::CallbackServerContext* context, const v1::DiscardDeadLettersRequest* request,
    v1::DiscardDeadLettersResponse* response) {
  return Answer(
      *context, *request, About(Permission::kManage, request->subscription()),
      [=, this](const Caller& caller) -> absl::Status {
        if (auto status = CheckEitherOr("cursors", request->cursors().empty(), request->all());
            !status.ok()) {
          return status;
        }
        auto count = subscriptions_.DiscardDeadLetters(
            request->subscription(), {request->cursors().begin(), request->cursors().end()},
            caller.ActOf("DiscardDeadLetters", request->subscription()));
        if (count.ok()) response->set_discarded_count(*count);
        return InField("cursors", count.status());
      });
}

}  // namespace mmsmo::rpc
