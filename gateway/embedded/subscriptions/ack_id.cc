#include "gateway/embedded/subscriptions/ack_id.h"

#include "gateway/base/status.h"
#include "gateway/embedded/store/big_endian.h"
#include "gateway/embedded/store/opaque_text.h"

namespace mmsmo::embedded {
namespace {

constexpr char kVersion = 1;
constexpr size_t kBytes = 1 + 8 + 4 + 8 + 4 + 2;

}  // namespace

std::string EncodeAckId(const AckId& id) {
  std::string bytes(1, kVersion);
  AppendBigEndian(id.subscription, &bytes);
  AppendBigEndian(id.epoch, &bytes);
  AppendBigEndian(id.sequence, &bytes);
  AppendBigEndian(id.attempt, &bytes);
  AppendBigEndian(id.lease, &bytes);
  return EncodeOpaque(std::move(bytes));
}

absl::StatusOr<AckId> DecodeAckId(std::string_view text) {
  const std::optional<std::string> bytes = DecodeOpaque(text, kBytes);
  if (!bytes || (*bytes)[0] != kVersion) return InvalidArgument("not an ack id of this gateway");
  const std::string_view view = *bytes;
  return AckId{.subscription = LoadBigEndian<uint64_t>(view.substr(1)),
               .epoch = LoadBigEndian<uint32_t>(view.substr(9)),
               .sequence = LoadBigEndian<uint64_t>(view.substr(13)),
               .attempt = LoadBigEndian<uint32_t>(view.substr(21)),
               .lease = LoadBigEndian<uint16_t>(view.substr(25))};
}

}  // namespace mmsmo::embedded
