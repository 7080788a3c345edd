// What was kept without being published, to look at and to remove. Who publishes it after all
// removes it then: where that does not come about, its next publication is a repetition.

#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/status/statusor.h"
#include "gateway/base/status.h"
#include "gateway/broker/audit.h"
#include "mmsmo/v1/quarantine_service.pb.h"

namespace mmsmo::broker {

// Takes how many were removed. Errors: Unavailable with reason "not_durable" (they may be gone all
// the same).
using DiscardDone = absl::AnyInvocable<void(absl::StatusOr<int64_t>) &&>;

// What is said of an id that is none: not more of what was given than an id has, since it goes into
// a header.
inline absl::Status NotInQuarantine(std::string_view id) {
  return NotFound("no postback '{:.20}' is in quarantine", id);
}

// Thread-safe. List and Get read the store, so not for threads that must not block.
class Quarantine {
 public:
  virtual ~Quarantine() = default;

  // The oldest first, at most `page_size` (from 1) of that reason, empty being all. A page is under
  // 4 MiB unless one postback alone is larger; it may be short, even empty, and yet have a next
  // one. A walk by token gives everything that is there all the while once, whatever comes and goes
  // meanwhile. InvalidArgument for a token that no page gave.
  virtual absl::StatusOr<v1::ListQuarantinedResponse> List(std::string_view reason, int page_size,
                                                           std::string_view page_token) = 0;

  // One with its body. NotFound for an unknown id.
  virtual absl::StatusOr<v1::GetQuarantinedResponse> Get(std::string_view id) = 0;

  // Removes them for good; unknown ids are not counted. Does not block; calls `done` once, as
  // Broker::Append does, when that is durable.
  virtual void Discard(std::vector<std::string> ids, DiscardDone done,
                       const ActPtr& act = nullptr) = 0;
};

}  // namespace mmsmo::broker
