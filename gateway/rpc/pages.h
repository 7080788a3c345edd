// Pages, as AIP-158 has them: their size, and tokens that are good for the request that they were
// given for.

#pragma once

#include <google/protobuf/message.h>

#include <algorithm>
#include <cstdint>
#include <string>

#include "absl/status/statusor.h"
#include "gateway/base/status.h"

namespace mmsmo::rpc {

inline constexpr int kDefaultPageSize = 100;
inline constexpr int kMaxPageSize = 1'000;

// What a request's page_size stands for; InvalidArgument for a negative one.
inline absl::StatusOr<int> PageSize(int32_t wanted) {
  if (wanted < 0) return InvalidArgument("page_size: {} is negative", wanted);
  return wanted == 0 ? kDefaultPageSize : std::min(wanted, kMaxPageSize);
}

// What a page's next_page_token is, made of the engine's; empty where that is.
std::string BindPageToken(const std::string& token, const google::protobuf::Message& request);

// The engine's token of the request's page_token; empty where that is. InvalidArgument where it was
// given for a request with other fields than this one, page_token and page_size aside.
absl::StatusOr<std::string> PageToken(const google::protobuf::Message& request);

}  // namespace mmsmo::rpc
