// The reading side of the quarantine, and the door to removing from it.

#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "gateway/broker/quarantine.h"
#include "gateway/embedded/journal.h"
#include "gateway/embedded/store.h"

namespace mmsmo::embedded {

class EmbeddedQuarantine final : public broker::Quarantine {
 public:
  // Both must outlive the quarantine.
  EmbeddedQuarantine(Store* store, Journal* journal) : store_(store), journal_(journal) {}

  absl::StatusOr<v1::ListQuarantinedResponse> List(std::string_view reason, int page_size,
                                                   std::string_view page_token) override;
  absl::StatusOr<v1::GetQuarantinedResponse> Get(std::string_view id) override;
  void Discard(std::vector<std::string> ids, broker::DiscardDone done) override;

 private:
  Store* const store_;
  Journal* const journal_;
};

}  // namespace mmsmo::embedded
