#pragma once

#include <string>
#include <utility>
#include <vector>

#include "gateway/base/status.h"
#include "gateway/broker/subscriptions.h"

namespace mmsmo {

// No subscriptions at all; a test implements Change, and what else it needs.
class SubscriptionsStub : public broker::Subscriptions {
 public:
  absl::StatusOr<v1::Subscription> Create(const v1::Subscription&, const broker::ActPtr&) override {
    return None();
  }
  absl::StatusOr<v1::Subscription> Get(const std::string&) override { return None(); }
  v1::ListSubscriptionsResponse List(int, const std::string&) override { return {}; }
  absl::StatusOr<v1::Subscription> Update(const v1::Subscription&,
                                          const google::protobuf::FieldMask&,
                                          const broker::ActPtr&) override {
    return None();
  }
  absl::Status Delete(const std::string&, const broker::ActPtr&) override { return None(); }
  absl::StatusOr<v1::Subscription> Seek(const std::string&, const v1::StartPosition&,
                                        const broker::ActPtr&) override {
    return None();
  }
  absl::StatusOr<v1::ListDeadLettersResponse> ListDeadLetters(const std::string&, int,
                                                              const std::string&) override {
    return None();
  }
  absl::StatusOr<int64_t> ReplayDeadLetters(const std::string&, const std::vector<std::string>&,
                                            const broker::ActPtr&) override {
    return None();
  }
  absl::StatusOr<int64_t> DiscardDeadLetters(const std::string&, const std::vector<std::string>&,
                                             const broker::ActPtr&) override {
    return None();
  }
  void OpenStream(const std::string&, const broker::StreamWish&,
                  broker::OpenStreamDone done) override {
    std::move(done)(None());
  }
  void Leave(const std::string&, const std::string&, int64_t, broker::LeaveDone done) override {
    std::move(done)(None());
  }
  absl::StatusOr<std::vector<std::string>> EndpointsOf(const std::string&) override {
    return None();
  }
  std::vector<broker::SubscriptionStats> Stats() override { return {}; }

 private:
  static absl::Status None() { return NotFound("no subscriptions here"); }
};

}  // namespace mmsmo
