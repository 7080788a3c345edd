#include "gateway/embedded/store/opaque_text.h"

#include <xxhash.h>

#include <cstdint>
#include <utility>

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
  std::string text;
  EncodeOpaque(std::move(bytes), check, &text);
  return text;
}

void EncodeOpaque(std::string bytes, OpaqueCheck check, std::string* text) {
  AppendBigEndian(CheckOf(bytes, check), &bytes);
  absl::WebSafeBase64Escape(bytes, text);
}

std::optional<std::string> DecodeOpaque(std::string_view text, size_t size, OpaqueCheck check) {
  std::string bytes;
  if (text.size() != ((size + kCheckBytes) * 4 + 2) / 3 ||
      !absl::WebSafeBase64Unescape({text.data(), text.size()}, &bytes) ||
      bytes.size() != size + kCheckBytes) {
    return std::nullopt;
  }
  // Base64 has more than one text for bytes that end within a character.
  const std::string last = absl::WebSafeBase64Escape(bytes.substr(bytes.size() / 3 * 3));
  if (!text.ends_with(last)) return std::nullopt;
  const auto stands = LoadBigEndian<uint32_t>(std::string_view(bytes).substr(size));
  bytes.resize(size);
  if (CheckOf(bytes, check) != stands) return std::nullopt;
  return bytes;
}

}  // namespace mmsmo::embedded
