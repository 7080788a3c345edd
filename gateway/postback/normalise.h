// From Fields to MmsMo: the rules that hold for every format.

#pragma once

#include <string>
#include <vector>

#include "gateway/postback/extra.h"
#include "gateway/postback/fields.h"
#include "gateway/postback/reason.h"
#include "mmsmo/v1/mms_mo.pb.h"

namespace mmsmo::postback {

struct Finding {
  Reason reason = Reason::kNone;
  std::string detail;
};

// Why the postback is not a usable MMS MO; the first that applies of the order in
// docs/postbacks.md. kNone where it is one.
Finding Examine(const Fields& fields);

// Only for fields that Examine found usable; `extras` are theirs.
void FillMessage(const Fields& fields, const std::vector<ExtraText>& extras, v1::MmsMo* message);

}  // namespace mmsmo::postback
