#include "gateway/postback/numbering_plan.h"

#include <phonenumbers/phonenumberutil.h>

namespace mmsmo::postback {

using i18n::phonenumbers::PhoneNumber;
using i18n::phonenumbers::PhoneNumberUtil;

std::string ValidE164(std::string_view digits) {
  const PhoneNumberUtil& plans = *PhoneNumberUtil::GetInstance();
  PhoneNumber number;
  std::string e164;
  if (plans.Parse("+" + std::string(digits), "ZZ", &number) == PhoneNumberUtil::NO_PARSING_ERROR &&
      plans.IsValidNumber(number)) {
    plans.Format(number, PhoneNumberUtil::E164, &e164);
  }
  return e164;
}

}  // namespace mmsmo::postback
