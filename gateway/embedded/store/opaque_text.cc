#include "gateway/embedded/store/opaque_text.h"

#include <cstdint>

#include "absl/strings/escaping.h"
#include "gateway/embedded/store/big_endian.h"

namespace mmsmo::embedded {
namespace {

constexpr size_t kCheckBytes = sizeof(uint32_t);

// FNV-1a.
uint32_t CheckOf(std::string_view bytes) {
  uint32_t hash = 2166136261u;
  for (const char c : bytes) hash = (hash ^ static_cast<uint8_t>(c)) * 16777619u;
  return hash;
}

}  // namespace

std::string EncodeOpaque(std::string bytes) {
  AppendBigEndian(CheckOf(bytes), &bytes);
  return absl::WebSafeBase64Escape(bytes);
}

std::optional<std::string> DecodeOpaque(std::string_view text, size_t size) {
  std::string bytes;
  if (text.size() != ((size + kCheckBytes) * 4 + 2) / 3 ||
      !absl::WebSafeBase64Unescape({text.data(), text.size()}, &bytes) ||
      bytes.size() != size + kCheckBytes) {
    return std::nullopt;
  }
  const auto check = LoadBigEndian<uint32_t>(std::string_view(bytes).substr(size));
  bytes.resize(size);
  // Base64 has more than one text for bytes that end within a character.
  const bool ends_within = (size + kCheckBytes) % 3 != 0;
  if (ends_within ? EncodeOpaque(bytes) != text : CheckOf(bytes) != check) return std::nullopt;
  return bytes;
}

}  // namespace mmsmo::embedded
