// The reading side of the quarantine, and the door to removing from it.

#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "gateway/broker/broker.h"
#include "gateway/broker/quarantine.h"
#include "gateway/embedded/store/store.h"

namespace mmsmo::embedded {

class EmbeddedQuarantine final : public broker::Quarantine {
 public:
  // As broker::Broker::Append, by the one writer of the store.
  using Append = std::function<void(std::vector<broker::Entry>, broker::AppendDone)>;

  // `store` must outlive the quarantine.
  EmbeddedQuarantine(Store* store, Append append) : store_(store), append_(std::move(append)) {}

  absl::StatusOr<v1::ListQuarantinedResponse> List(std::string_view reason, int page_size,
                                                   std::string_view page_token) override;
  absl::StatusOr<v1::GetQuarantinedResponse> Get(std::string_view id) override;
  void Discard(std::vector<std::string> ids, broker::DiscardDone done) override;

 private:
  Store* const store_;
  const Append append_;
};

}  // namespace mmsmo::embedded
