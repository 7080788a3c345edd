// A hash over the facts of a postback.

#pragma once

#include "gateway/postback/fields.h"
#include "gateway/postback/postback.h"

namespace mmsmo::postback {

// Over addresses, keyword, operator id, timestamp, subject, URLs, and the unknown fields that are
// given once with a scalar value.
Fingerprint FingerprintOf(const Fields& fields);

}  // namespace mmsmo::postback
