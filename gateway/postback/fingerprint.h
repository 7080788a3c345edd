// A hash over the facts of a postback.

#pragma once

#include <vector>

#include "gateway/postback/extra.h"
#include "gateway/postback/fields.h"
#include "gateway/postback/postback.h"

namespace mmsmo::postback {

struct Fingerprints {
  // Over addresses, keyword, operator id, timestamp, subject, URLs and the unknown fields. A number
  // counts by its digits, as AddressKey has it.
  Fingerprint current;
  // What version 1 made of it: addresses counted by their text, of the unknown fields only those
  // that are given once with a scalar value, and none of what stands beside files and numbers.
  Fingerprint earlier;
};

// `extras` are those of `fields`.
Fingerprints FingerprintsOf(const Fields& fields, const std::vector<ExtraText>& extras);

}  // namespace mmsmo::postback
