#include "gateway/base/status.h"

#include "absl/strings/cord.h"

namespace mmsmo {
namespace {

constexpr std::string_view kReasonUrl = "mmsmo/reason";
constexpr std::string_view kMetadataPrefix = "mmsmo/metadata/";

void SetPayload(absl::Status& status, std::string_view url, std::string_view value) {
  status.SetPayload({url.data(), url.size()},
                    absl::Cord(absl::string_view(value.data(), value.size())));
}

std::string GetPayload(const absl::Status& status, std::string_view url) {
  auto payload = status.GetPayload({url.data(), url.size()});
  return payload ? std::string(*payload) : std::string();
}

}  // namespace

absl::Status WithReason(absl::Status status, std::string_view reason) {
  SetPayload(status, kReasonUrl, reason);
  return status;
}

std::string ReasonOf(const absl::Status& status) { return GetPayload(status, kReasonUrl); }

absl::Status WithMetadata(absl::Status status, std::string_view key, std::string_view value) {
  SetPayload(status, fmt::format("{}{}", kMetadataPrefix, key), value);
  return status;
}

std::string MetadataOf(const absl::Status& status, std::string_view key) {
  return GetPayload(status, fmt::format("{}{}", kMetadataPrefix, key));
}

}  // namespace mmsmo
