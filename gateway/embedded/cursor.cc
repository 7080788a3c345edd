#include "gateway/embedded/cursor.h"

#include "absl/strings/escaping.h"
#include "gateway/base/status.h"
#include "gateway/embedded/big_endian.h"

namespace mmsmo::embedded {
namespace {

constexpr char kVersion = 1;
constexpr size_t kBytes = 18;

// Tells a mistyped cursor from one of another log. FNV-1a, folded to a byte.
char CheckByte(std::string_view bytes) {
  uint32_t hash = 2166136261u;
  for (const char c : bytes) hash = (hash ^ static_cast<uint8_t>(c)) * 16777619u;
  return static_cast<char>(hash ^ (hash >> 8) ^ (hash >> 16) ^ (hash >> 24));
}

}  // namespace

std::string EncodeCursor(JournalId journal, uint64_t sequence) {
  std::string bytes(1, kVersion);
  AppendBigEndian(journal, &bytes);
  AppendBigEndian(sequence, &bytes);
  bytes.push_back(CheckByte(bytes));
  return absl::WebSafeBase64Escape(bytes);
}

absl::StatusOr<DecodedCursor> DecodeCursor(std::string_view text) {
  std::string bytes;
  if (text.size() != kBytes * 4 / 3 ||
      !absl::WebSafeBase64Unescape({text.data(), text.size()}, &bytes) || bytes.size() != kBytes ||
      bytes[0] != kVersion ||
      bytes[kBytes - 1] != CheckByte(std::string_view(bytes).substr(0, kBytes - 1))) {
    return InvalidArgument("not a cursor of this gateway");
  }
  const std::string_view view = bytes;
  return DecodedCursor{.journal = LoadBigEndian64(view.substr(1)),
                       .sequence = LoadBigEndian64(view.substr(9))};
}

}  // namespace mmsmo::embedded
