// What the fuzz targets share. Each is a program around LLVMFuzzerTestOneInput: libFuzzer's with
// the preset fuzz, and otherwise a test that main.cc runs over tests/fuzz/corpus.

#pragma once

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>

namespace mmsmo::fuzz {

// Aborts where it does not hold, which is what a fuzzer takes for a finding.
inline void Require(bool condition, std::string_view what) {
  if (condition) return;
  std::fprintf(stderr, "Does not hold: %.*s\n", static_cast<int>(what.size()), what.data());
  std::abort();
}

inline std::string_view View(const uint8_t* data, size_t size) {
  return {reinterpret_cast<const char*>(data), size};
}

// Takes an input apart into choices. At its end there are zeros and empty texts.
class Input {
 public:
  Input(const uint8_t* data, size_t size) : rest_(View(data, size)) {}

  uint8_t Byte() { return static_cast<uint8_t>(Take(1).empty() ? 0 : taken_[0]); }
  // Below `count`, which is at most 256.
  size_t Below(size_t count) { return Byte() % count; }
  template <typename T>
  T Number() {
    T number = 0;
    for (size_t i = 0; i < sizeof(T); ++i) number = static_cast<T>(uint64_t{number} << 8 | Byte());
    return number;
  }
  // At most 255 bytes.
  std::string_view Text() { return Take(Byte()); }
  // What stands before the next newline.
  std::string_view Line() {
    const std::string_view line = Take(rest_.find('\n'));
    Take(1);
    return line;
  }
  std::string_view Rest() { return Take(rest_.size()); }
  bool AtEnd() const { return rest_.empty(); }

 private:
  std::string_view Take(size_t size) {
    taken_ = rest_.substr(0, size);
    rest_.remove_prefix(taken_.size());
    return taken_;
  }

  std::string_view rest_;
  std::string_view taken_;
};

}  // namespace mmsmo::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size);
