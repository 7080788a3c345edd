#include "gateway/postback/fingerprint.h"

#include <xxhash.h>

#include <algorithm>
#include <cstring>
#include <list>
#include <string>
#include <string_view>
#include <tuple>
#include <utility>
#include <vector>

#include "gateway/base/phone_number.h"
#include "gateway/postback/ascii.h"

namespace mmsmo::postback {
namespace {

// One fact: a known field's number, or kExtra with a name.
constexpr int kExtra = kFields;
using Fact = std::tuple<int, std::string_view, std::string_view>;

// With its length in front, so that no text can end one fact and begin another.
void AppendSized(std::string_view text, std::string* out) {
  const auto size = static_cast<uint32_t>(text.size());
  const char little_endian[] = {static_cast<char>(size), static_cast<char>(size >> 8),
                                static_cast<char>(size >> 16), static_cast<char>(size >> 24)};
  out->append(little_endian, sizeof(little_endian));
  out->append(text);
}

bool IsScalar(const Value& value) {
  return value.type != Value::Type::kJson && value.type != Value::Type::kXml;
}

void AppendScalarExtras(const std::vector<Extra>& extras, std::vector<Fact>* facts) {
  const size_t first = facts->size();
  for (const Extra& extra : extras) {
    if (extra.is_member) continue;
    facts->emplace_back(kExtra, extra.name, IsScalar(extra.value) ? extra.value.text : "");
  }
  // A name that is repeated is a structure too: the other format would send an array.
  std::sort(facts->begin() + static_cast<ptrdiff_t>(first), facts->end());
  size_t kept = first;
  for (size_t i = first; i < facts->size();) {
    size_t end = i + 1;
    while (end < facts->size() && std::get<1>((*facts)[end]) == std::get<1>((*facts)[i])) ++end;
    if (end == i + 1 && !std::get<2>((*facts)[i]).empty()) (*facts)[kept++] = (*facts)[i];
    i = end;
  }
  facts->resize(kept);
}

// All facts but the unknown fields; `address` says how an address counts.
template <typename Address>
std::vector<Fact> KnownFacts(const Fields& fields, Address address) {
  std::vector<Fact> facts;
  facts.reserve(16);
  const auto add = [&facts](Field field, std::string_view text) {
    if (!text.empty()) facts.emplace_back(static_cast<int>(field), "", text);
  };
  for (Field field : {Field::kFrom, Field::kTo}) add(field, address(fields[field]));
  for (Field field : {Field::kKeyword, Field::kOperatorId, Field::kTimestamp, Field::kSubject})
    add(field, fields[field]);
  for (std::string_view file : fields.files()) add(Field::kContent, file);
  for (std::string_view number : fields.copy_to()) add(Field::kCopyTo, address(number));
  return facts;
}

Fingerprint Hash(uint8_t version, std::vector<Fact> facts) {
  std::sort(facts.begin(), facts.end());
  static thread_local std::string bytes;
  bytes.clear();
  for (const auto& [number, name, text] : facts) {
    bytes.push_back(static_cast<char>(number));
    AppendSized(name, &bytes);
    AppendSized(text, &bytes);
  }
  const XXH128_hash_t hash = XXH3_128bits(bytes.data(), bytes.size());
  XXH128_canonical_t canonical;
  XXH128_canonicalFromHash(&canonical, hash);
  Fingerprint fingerprint{.version = version};
  static_assert(sizeof(canonical.digest) == sizeof(fingerprint.digest));
  std::memcpy(fingerprint.digest.data(), canonical.digest, sizeof(canonical.digest));
  return fingerprint;
}

}  // namespace

Fingerprints FingerprintsOf(const Fields& fields, const std::vector<ExtraText>& extras) {
  std::list<std::string> respelled;
  auto facts = KnownFacts(fields, [&respelled](std::string_view text) -> std::string_view {
    return IsDigits(text) ? text : respelled.emplace_back(AddressKey(text));
  });
  for (const auto& [name, text] : extras) facts.emplace_back(kExtra, name, text);
  Fingerprints fingerprints{.current = Hash(Fingerprint::kVersion, std::move(facts))};
  fingerprints.earlier = fingerprints.current;
  fingerprints.earlier.version = 1;
  if (respelled.empty() && extras.empty()) return fingerprints;

  facts = KnownFacts(fields, [](std::string_view text) { return text; });
  AppendScalarExtras(fields.extras(), &facts);
  fingerprints.earlier = Hash(1, std::move(facts));
  return fingerprints;
}

}  // namespace mmsmo::postback
