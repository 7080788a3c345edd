#include "gateway/broker/keyword.h"

#include <unicode/bytestream.h>
#include <unicode/casemap.h>
#include <unicode/normalizer2.h>

#include <algorithm>
#include <array>
#include <functional>
#include <utility>

#include "absl/strings/ascii.h"

namespace mmsmo::broker {
namespace {

constexpr size_t kMaxBytes = 1 << 10;
constexpr size_t kRemembered = 64;

bool IsAscii(std::string_view text) {
  return std::all_of(text.begin(), text.end(),
                     [](char c) { return static_cast<unsigned char>(c) < 0x80; });
}

std::string Nfc(const std::string& text, UErrorCode* error) {
  std::string composed;
  icu::StringByteSink<std::string> sink(&composed);
  const icu::Normalizer2* nfc = icu::Normalizer2::getNFCInstance(*error);
  if (U_SUCCESS(*error)) nfc->normalizeUTF8(0, text, sink, nullptr, *error);
  return composed;
}

std::string Fold(const std::string& keyword) {
  UErrorCode error = U_ZERO_ERROR;
  std::string folded;
  icu::StringByteSink<std::string> sink(&folded);
  icu::CaseMap::utf8Fold(0, Nfc(keyword, &error), sink, nullptr, error);
  folded = Nfc(folded, &error);
  return U_SUCCESS(error) ? folded : keyword;
}

}  // namespace

std::string FoldKeyword(std::string_view keyword) {
  if (keyword.size() > kMaxBytes || IsAscii(keyword))
    return absl::AsciiStrToLower({keyword.data(), keyword.size()});
  static thread_local std::array<std::pair<std::string, std::string>, kRemembered> remembered;
  auto& [text, folded] = remembered[std::hash<std::string_view>()(keyword) % kRemembered];
  if (text != keyword) {
    text = keyword;
    folded = Fold(text);
  }
  return folded;
}

}  // namespace mmsmo::broker
