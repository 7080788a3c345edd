// Numbers as bytes that sort as the numbers do.

#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace mmsmo::embedded {

inline void AppendBigEndian(uint64_t value, std::string* out) {
  char bytes[8];
  for (int i = 7; i >= 0; --i, value >>= 8) bytes[i] = static_cast<char>(value);
  out->append(bytes, sizeof bytes);
}

inline std::string BigEndian(uint64_t value) {
  std::string bytes;
  AppendBigEndian(value, &bytes);
  return bytes;
}

// `bytes` must have at least 8.
inline uint64_t LoadBigEndian64(std::string_view bytes) {
  uint64_t value = 0;
  for (int i = 0; i < 8; ++i) value = value << 8 | static_cast<uint8_t>(bytes[i]);
  return value;
}

}  // namespace mmsmo::embedded
