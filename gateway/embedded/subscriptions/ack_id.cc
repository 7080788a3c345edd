#include "gateway/embedded/subscriptions/ack_id.h"

#include "gateway/base/status.h"
#include "gateway/embedded/store/big_endian.h"
#include "gateway/embedded/store/opaque_text.h"

namespace mmsmo::embedded {
namespace {

constexpr char kOldVersion = 1;  // without the incarnation
constexpr char kVersion = 2;
constexpr size_t kCommonBytes = 1 + 8 + 4 + 8 + 4;
constexpr size_t kOldBytes = kCommonBytes + 2;
constexpr size_t kBytes = kCommonBytes + 4 + 8;

}  // namespace

void EncodeAckId(const AckId& id, std::string* text) {
  std::string bytes;
  bytes.reserve(kBytes + 4);
  bytes.push_back(kVersion);
  AppendBigEndian(id.subscription, &bytes);
  AppendBigEndian(id.epoch, &bytes);
  AppendBigEndian(id.sequence, &bytes);
  AppendBigEndian(id.attempt, &bytes);
  AppendBigEndian(id.lease, &bytes);
  AppendBigEndian(id.incarnation, &bytes);
  EncodeOpaque(std::move(bytes), OpaqueCheck::kXxh3, text);
}

absl::StatusOr<AckId> DecodeAckId(std::string_view text) {
  std::optional<std::string> bytes = DecodeOpaque(text, kBytes, OpaqueCheck::kXxh3);
  const bool old = !bytes;
  if (old) bytes = DecodeOpaque(text, kOldBytes);
  if (!bytes || (*bytes)[0] != (old ? kOldVersion : kVersion)) {
    return InvalidArgument("not an ack id of this gateway");
  }
  const std::string_view view = *bytes;
  return AckId{.subscription = LoadBigEndian<uint64_t>(view.substr(1)),
               .incarnation = old ? 0 : LoadBigEndian<uint64_t>(view.substr(kCommonBytes + 4)),
               .epoch = LoadBigEndian<uint32_t>(view.substr(9)),
               .sequence = LoadBigEndian<uint64_t>(view.substr(13)),
               .attempt = LoadBigEndian<uint32_t>(view.substr(21)),
               .lease = old ? LoadBigEndian<uint16_t>(view.substr(kCommonBytes))
                            : LoadBigEndian<uint32_t>(view.substr(kCommonBytes))};
}

}  // namespace mmsmo::embedded
