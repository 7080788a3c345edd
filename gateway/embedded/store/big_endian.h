// Numbers as bytes that sort as the numbers do.

#pragma once

#include <concepts>
#include <cstdint>
#include <string>
#include <string_view>

namespace mmsmo::embedded {

template <std::unsigned_integral T>
void AppendBigEndian(T value, std::string* out) {
  char bytes[sizeof(T)];
  for (size_t i = sizeof(T); i-- > 0; value = static_cast<T>(uint64_t{value} >> 8)) {
    bytes[i] = static_cast<char>(value);
  }
  out->append(bytes, sizeof bytes);
}

inline std::string BigEndian(uint64_t value) {
  std::string bytes;
  AppendBigEndian(value, &bytes);
  return bytes;
}

// `bytes` must have at least as many as T.
template <std::unsigned_integral T>
T LoadBigEndian(std::string_view bytes) {
  T value = 0;
  for (size_t i = 0; i < sizeof(T); ++i) {
    value = static_cast<T>(uint64_t{value} << 8 | static_cast<uint8_t>(bytes[i]));
  }
  return value;
}
inline uint64_t LoadBigEndian64(std::string_view bytes) { return LoadBigEndian<uint64_t>(bytes); }

}  // namespace mmsmo::embedded
