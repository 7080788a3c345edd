#include "client/command/original_body.h"

#include <chrono>
#include <utility>

#include "client/connection.h"

namespace mmsmo::command {

absl::StatusOr<Posting> OriginalBody(v1::MmsMoService::Stub* stub, const std::string& cursor) {
  v1::GetRawPostbackRequest request;
  request.set_cursor(cursor);
  grpc::ClientContext call;
  call.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(30));
  v1::GetRawPostbackResponse raw;
  const grpc::Status status = stub->GetRawPostback(&call, request, &raw);
  if (!status.ok()) return ToAbsl(status);
  Posting posting{.content_type = raw.content_type(), .body = std::move(*raw.mutable_body())};
  if (!raw.content_encoding().empty()) {
    posting.fields.emplace_back("Content-Encoding", raw.content_encoding());
  }
  return posting;
}

}  // namespace mmsmo::command
