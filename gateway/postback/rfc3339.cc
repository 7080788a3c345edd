#include "gateway/postback/rfc3339.h"

#include <chrono>

#include "gateway/postback/ascii.h"

namespace mmsmo::postback {
namespace {

constexpr int64_t kFirstSecond = -62'135'596'800;  // 0001-01-01T00:00:00Z
constexpr int64_t kLastSecond = 253'402'300'799;   // 9999-12-31T23:59:59Z

class Reader {
 public:
  explicit Reader(std::string_view text) : rest_(text) {}

  bool Number(size_t digits, int max, int* value) {
    if (!IsDigits(rest_.substr(0, digits)) || rest_.size() < digits) return false;
    *value = 0;
    for (size_t i = 0; i < digits; ++i) *value = *value * 10 + (rest_[i] - '0');
    rest_.remove_prefix(digits);
    return *value <= max;
  }
  bool OneOf(std::string_view wanted, char* found = nullptr) {
    if (rest_.empty() || wanted.find(rest_[0]) == std::string_view::npos) return false;
    if (found != nullptr) *found = rest_[0];
    rest_.remove_prefix(1);
    return true;
  }
  // At least one digit; those after the sixth are cut.
  bool Fraction(int* micros) {
    int scale = 100'000;
    *micros = 0;
    size_t digits = 0;
    for (; digits < rest_.size() && IsDigit(rest_[digits]); ++digits, scale /= 10) {
      *micros += (rest_[digits] - '0') * scale;
    }
    rest_.remove_prefix(digits);
    return digits > 0;
  }
  bool AtEnd() const { return rest_.empty(); }

 private:
  std::string_view rest_;
};

// Z, or the offset from UTC in seconds.
bool ReadOffset(Reader& reader, int* offset) {
  *offset = 0;
  if (reader.OneOf("Zz")) return true;
  char sign = '+';
  int hours = 0;
  int minutes = 0;
  if (!reader.OneOf("+-", &sign) || !reader.Number(2, 23, &hours) || !reader.OneOf(":") ||
      !reader.Number(2, 59, &minutes)) {
    return false;
  }
  *offset = (hours * 60 + minutes) * (sign == '-' ? -60 : 60);
  return true;
}

}  // namespace

std::optional<Time> ParseRfc3339(std::string_view text) {
  Reader reader(text);
  int year = 0, month = 0, day = 0, hour = 0, minute = 0, second = 0, micros = 0, offset = 0;
  if (!reader.Number(4, 9999, &year) || !reader.OneOf("-") || !reader.Number(2, 12, &month) ||
      !reader.OneOf("-") || !reader.Number(2, 31, &day) || !reader.OneOf("Tt") ||
      !reader.Number(2, 23, &hour) || !reader.OneOf(":") || !reader.Number(2, 59, &minute) ||
      !reader.OneOf(":") || !reader.Number(2, 60, &second)) {
    return std::nullopt;
  }
  if (reader.OneOf(".") && !reader.Fraction(&micros)) return std::nullopt;
  if (!ReadOffset(reader, &offset) || !reader.AtEnd()) return std::nullopt;

  const std::chrono::year_month_day date{std::chrono::year(year), std::chrono::month(month),
                                         std::chrono::day(day)};
  if (!date.ok()) return std::nullopt;
  const int64_t days = std::chrono::sys_days(date).time_since_epoch().count();
  const int64_t seconds =
      days * 86'400 + int64_t{hour} * 3600 + int64_t{minute} * 60 + second - offset;
  if (seconds < kFirstSecond || seconds > kLastSecond) return std::nullopt;
  return Time{.seconds = seconds, .nanos = micros * 1000};
}

}  // namespace mmsmo::postback
