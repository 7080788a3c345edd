// The bodies that events came in, for whoever posts them elsewhere.

#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "client/command/http_client.h"
#include "mmsmo/v1/mms_mo_service.grpc.pb.h"

namespace mmsmo::command {

// What is posted.
struct Posting {
  std::string content_type;
  std::string body;
  HttpFields fields;
};

// The body that an event came in, byte for byte, with what it said of its format. Fails as
// GetRawPostback.
absl::StatusOr<Posting> OriginalBody(v1::MmsMoService::Stub* stub, const std::string& cursor);

}  // namespace mmsmo::command
