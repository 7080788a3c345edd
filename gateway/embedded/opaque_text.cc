#include "gateway/embedded/opaque_text.h"

#include <cstdint>

#include "absl/strings/escaping.h"

namespace mmsmo::embedded {
namespace {

// FNV-1a, folded to a byte.
char CheckByte(std::string_view bytes) {
  uint32_t hash = 2166136261u;
  for (const char c : bytes) hash = (hash ^ static_cast<uint8_t>(c)) * 16777619u;
  return static_cast<char>(hash ^ (hash >> 8) ^ (hash >> 16) ^ (hash >> 24));
}

}  // namespace

std::string EncodeOpaque(std::string bytes) {
  bytes.push_back(CheckByte(bytes));
  return absl::WebSafeBase64Escape(bytes);
}

std::optional<std::string> DecodeOpaque(std::string_view text, size_t size) {
  std::string bytes;
  if (text.size() != ((size + 1) * 4 + 2) / 3 ||
      !absl::WebSafeBase64Unescape({text.data(), text.size()}, &bytes) ||
      bytes.size() != size + 1) {
    return std::nullopt;
  }
  bytes.resize(size);
  // Not the check byte alone: base64 has more than one text for bytes that end within a character.
  if (EncodeOpaque(bytes) != text) return std::nullopt;
  return bytes;
}

}  // namespace mmsmo::embedded
