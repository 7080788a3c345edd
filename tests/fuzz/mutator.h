// What a hostile sender makes of a good input.

#pragma once

#include <cstdint>
#include <random>
#include <string>
#include <string_view>

namespace mmsmo::fuzz {

class Mutator {
 public:
  explicit Mutator(uint32_t seed) : random_(seed) {}

  size_t Below(size_t limit) { return random_() % limit; }

  // `input` with bytes changed, cut and repeated, and with pieces of `other`.
  std::string Mutate(std::string input, const std::string& other) {
    using std::string_view_literals::operator""sv;
    constexpr auto kInteresting = "<>&;#\"'{}[]:,\\/!?-= \n\r\0\x01\x7f\xff\xef\xc3u0x"sv;
    for (size_t i = 0, count = 1 + Below(4); i < count && !input.empty(); ++i) {
      const size_t at = Below(input.size());
      switch (Below(6)) {
        case 0:
          input[at] = static_cast<char>(Below(256));
          break;
        case 1:
          input[at] = kInteresting[Below(kInteresting.size())];
          break;
        case 2:
          input.erase(at, 1 + Below(8));
          break;
        case 3:
          input.insert(at, input.substr(at, 1 + Below(30)));
          break;
        case 4:
          input.insert(at, 1, kInteresting[Below(kInteresting.size())]);
          break;
        default:
          if (!other.empty()) input.insert(at, other.substr(Below(other.size()), 1 + Below(60)));
      }
    }
    return input;
  }

 private:
  std::mt19937 random_;  // of which the standard says every number, unlike of distributions
};

}  // namespace mmsmo::fuzz
