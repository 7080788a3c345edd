// Who changed what for others: a record of each such call, kept in the commits that it makes.

#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "mmsmo/v1/audit_service.pb.h"

namespace mmsmo::broker {

// A call that changes something. From when it is handed to the engine it is the engine's.
struct Act {
  v1::AuditRecord record;  // the engine fills in when, and how many
  // Of the record as the engine has kept it; 0: not yet.
  uint64_t number = 0;
  size_t bytes = 0;
};
// Null: nobody in particular does it, and nothing is recorded.
using ActPtr = std::shared_ptr<Act>;

// Thread-safe.
class Audit {
 public:
  virtual ~Audit() = default;

  // The oldest first, at most `page_size` (from 1). Reads the store. InvalidArgument for a token
  // that no page gave.
  virtual absl::StatusOr<v1::ListAuditRecordsResponse> List(int page_size,
                                                            const std::string& page_token) = 0;
};

}  // namespace mmsmo::broker
