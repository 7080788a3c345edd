// mmsmo.v1.SubscriptionService.

#pragma once

#include "gateway/base/thread_pool.h"
#include "gateway/broker/broker.h"
#include "gateway/rpc/unary_call.h"
#include "mmsmo/v1/subscription_service.grpc.pb.h"

namespace mmsmo::rpc {

// Thread-safe.
class SubscriptionService final : public v1::SubscriptionService::CallbackService {
 public:
  // All must outlive the service.
  SubscriptionService(broker::Broker* broker, ThreadPool* pool, const UnaryLimits& limits)
      : subscriptions_(broker->subscriptions()), pool_(pool), limits_(limits) {}

  grpc::ServerUnaryReactor* CreateSubscription(grpc::CallbackServerContext* context,
                                               const v1::CreateSubscriptionRequest* request,
                                               v1::CreateSubscriptionResponse* response) override;
  grpc::ServerUnaryReactor* GetSubscription(grpc::CallbackServerContext* context,
                                            const v1::GetSubscriptionRequest* request,
                                            v1::GetSubscriptionResponse* response) override;
  grpc::ServerUnaryReactor* ListSubscriptions(grpc::CallbackServerContext* context,
                                              const v1::ListSubscriptionsRequest* request,
                                              v1::ListSubscriptionsResponse* response) override;
  grpc::ServerUnaryReactor* UpdateSubscription(grpc::CallbackServerContext* context,
                                               const v1::UpdateSubscriptionRequest* request,
                                               v1::UpdateSubscriptionResponse* response) override;
  grpc::ServerUnaryReactor* DeleteSubscription(grpc::CallbackServerContext* context,
                                               const v1::DeleteSubscriptionRequest* request,
                                               v1::DeleteSubscriptionResponse* response) override;
  grpc::ServerUnaryReactor* SeekSubscription(grpc::CallbackServerContext* context,
                                             const v1::SeekSubscriptionRequest* request,
                                             v1::SeekSubscriptionResponse* response) override;
  grpc::ServerUnaryReactor* ListDeadLetters(grpc::CallbackServerContext* context,
                                            const v1::ListDeadLettersRequest* request,
                                            v1::ListDeadLettersResponse* response) override;
  grpc::ServerUnaryReactor* ReplayDeadLetters(grpc::CallbackServerContext* context,
                                              const v1::ReplayDeadLettersRequest* request,
                                              v1::ReplayDeadLettersResponse* response) override;
  grpc::ServerUnaryReactor* DiscardDeadLetters(grpc::CallbackServerContext* context,
                                               const v1::DiscardDeadLettersRequest* request,
                                               v1::DiscardDeadLettersResponse* response) override;

 private:
  // Finishes the call of `request`, if it may be made, with what `work` returns for its caller.
  // That runs where it may wait for the disk, unless the client has gone by then.
  template <typename Request, typename Work>
  grpc::ServerUnaryReactor* Answer(const grpc::CallbackServerContext& context,
                                   const Request& request, const Question& question, Work work);
  // A page of what a caller may see: its token is the name of a subscription that he may see, too.
  v1::ListSubscriptionsResponse ListVisible(const Caller& caller, int page_size, std::string name);
  // Whether the caller may have a subscription changed to that.
  absl::Status CheckUpdate(const Caller& caller, const v1::UpdateSubscriptionRequest& request);

  broker::Subscriptions& subscriptions_;
  ThreadPool* const pool_;
  const UnaryLimits limits_;
};

}  // namespace mmsmo::rpc
