// The reading side of the quarantine, and the door to removing from it.

#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "gateway/broker/quarantine.h"
#include "gateway/embedded/store/store.h"

namespace mmsmo::embedded {

class EmbeddedQuarantine final : public broker::Quarantine {
 public:
  // As Discard, by the one writer of the store.
  using Remove =
      std::function<void(std::vector<std::string> ids, broker::DiscardDone, const broker::ActPtr&)>;

  // `store` must outlive the quarantine.
  EmbeddedQuarantine(Store* store, Remove remove) : store_(store), remove_(std::move(remove)) {}

  absl::StatusOr<v1::ListQuarantinedResponse> List(std::string_view reason, int page_size,
                                                   std::string_view page_token) override;
  absl::StatusOr<v1::GetQuarantinedResponse> Get(std::string_view id) override;
  void Discard(std::vector<std::string> ids, broker::DiscardDone done,
               const broker::ActPtr& act = nullptr) override {
    remove_(std::move(ids), std::move(done), act);
  }

 private:
  Store* const store_;
  const Remove remove_;
};

}  // namespace mmsmo::embedded
