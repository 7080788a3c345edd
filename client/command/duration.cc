#include "client/command/duration.h"

#include <charconv>

#include "fmt/format.h"

namespace mmsmo::command {
namespace {

using std::chrono::milliseconds;

struct Unit {
  std::string_view name;
  int64_t millis;
};
// The largest first.
constexpr Unit kUnits[] = {
    {"d", 86'400'000}, {"h", 3'600'000}, {"m", 60'000}, {"s", 1000}, {"ms", 1}};
constexpr int64_t kMaxMillis = int64_t{36'500} * 86'400'000;

}  // namespace

absl::StatusOr<milliseconds> ParseDuration(std::string_view text) {
  int64_t number = -1;
  const char* const end = text.data() + text.size();
  const auto [rest, error] = std::from_chars(text.data(), end, number);
  for (const Unit& unit : kUnits) {
    if (error == std::errc() && number >= 0 && std::string_view(rest, end) == unit.name &&
        number <= kMaxMillis / unit.millis) {
      return milliseconds(number * unit.millis);
    }
  }
  return absl::InvalidArgumentError(
      fmt::format("\"{}\" is not a duration such as 500ms, 30s, 10m, 2h or 7d", text));
}

std::string FormatDuration(milliseconds duration) {
  for (const Unit& unit : kUnits) {
    if (duration.count() != 0 && duration.count() % unit.millis == 0) {
      return fmt::format("{}{}", duration.count() / unit.millis, unit.name);
    }
  }
  return "0s";
}

CLI::Validator IsDuration() {
  return CLI::Validator(
      [](const std::string& text) { return std::string(ParseDuration(text).status().message()); },
      "");
}

}  // namespace mmsmo::command
