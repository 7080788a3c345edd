#include "gateway/embedded/log/cursor.h"

#include "gateway/base/status.h"
#include "gateway/embedded/store/big_endian.h"
#include "gateway/embedded/store/opaque_text.h"

namespace mmsmo::embedded {
namespace {

constexpr char kVersion = 1;
constexpr size_t kBytes = 17;

}  // namespace

std::string EncodeCursor(EpochId epoch, uint64_t sequence) {
  std::string bytes(1, kVersion);
  AppendBigEndian(epoch, &bytes);
  AppendBigEndian(sequence, &bytes);
  return EncodeOpaque(std::move(bytes));
}

absl::StatusOr<DecodedCursor> DecodeCursor(std::string_view text) {
  const std::optional<std::string> bytes = DecodeOpaque(text, kBytes);
  if (!bytes || (*bytes)[0] != kVersion) return InvalidArgument("not a cursor of this gateway");
  const std::string_view view = *bytes;
  return DecodedCursor{.epoch = LoadBigEndian64(view.substr(1)),
                       .sequence = LoadBigEndian64(view.substr(9))};
}

}  // namespace mmsmo::embedded
