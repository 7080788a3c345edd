// When two addresses are one.

#pragma once

#include <string>

#include "gateway/base/phone_number.h"
#include "mmsmo/v1/mms_mo.pb.h"

namespace mmsmo::broker {

// Equal for one person's addresses: the digits of the E.164 form, where it is certain, or of the
// number as sent; what is no number stays as it is.
inline std::string PersonKey(const v1::Address& address) {
  return AddressKey(address.e164().empty() ? address.value() : address.e164());
}

}  // namespace mmsmo::broker
