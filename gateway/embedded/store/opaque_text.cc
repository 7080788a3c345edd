#include "gateway/embedded/store/opaque_text.h"

#include <xxhash.h>

#include <cstdint>

#include "absl/strings/escaping.h"
#include "gateway/embedded/store/big_endian.h"

namespace mmsmo::embedded {
namespace {

constexpr size_t kCheckBytes = sizeof(uint32_t);

uint32_t CheckOf(std::string_view bytes, OpaqueCheck check) {
  if (check == OpaqueCheck::kXxh3) {
    return static_cast<uint32_t>(XXH3_64bits(bytes.data(), bytes.size()));
  }
  uint32_t hash = 2166136261u;
  for (const char c : bytes) hash = (hash ^ static_cast<uint8_t>(c)) * 16777619u;
  return hash;
}

}  // namespace

std::string EncodeOpaque(std::string bytes, OpaqueCheck check) {
  AppendBigEndian(CheckOf(bytes, check), &bytes);
  return absl::WebSafeBase64Escape(bytes);
}

std::optional<std::string> DecodeOpaque(std::string_view text, size_t size, OpaqueCheck check) {
  std::string bytes;
  if (text.size() != ((size + kCheckBytes) * 4 + 2) / 3 ||
      !absl::WebSafeBase64Unescape({text.data(), text.size()}, &bytes) ||
      bytes.size() != size + kCheckBytes) {
    return std::nullopt;
  }
  const auto stands = LoadBigEndian<uint32_t>(std::string_view(bytes).substr(size));
  bytes.resize(size);
  if (CheckOf(bytes, check) != stands) return std::nullopt;
  // Base64 has more than one text for bytes that end within a character.
  const bool ends_within = (size + kCheckBytes) % 3 != 0;
  if (ends_within && EncodeOpaque(bytes, check) != text) return std::nullopt;
  return bytes;
}

}  // namespace mmsmo::embedded
