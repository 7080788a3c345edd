#include "gateway/broker/start_position.h"

#include "gateway/base/status.h"

namespace mmsmo::broker {

absl::Status ValidateStart(std::string_view path, const v1::StartPosition& start) {
  if (start.position_case() == v1::StartPosition::POSITION_NOT_SET) {
    return InvalidArgument("{}: one of boundary, after_cursor and accept_time must be set", path);
  }
  if (start.has_boundary() && start.boundary() != v1::BOUNDARY_EARLIEST &&
      start.boundary() != v1::BOUNDARY_LATEST) {
    return InvalidArgument("{}.boundary: {} is neither BOUNDARY_EARLIEST nor BOUNDARY_LATEST", path,
                           static_cast<int>(start.boundary()));
  }
  return absl::OkStatus();
}

}  // namespace mmsmo::broker
