// What holds of every judgement of a postback, whatever its bytes.

#pragma once

#include "gateway/postback/fields.h"
#include "gateway/postback/postback.h"

namespace mmsmo::fuzz {

struct Judged {
  postback::Judgement judgement;
  v1::MmsMo message;
};

// Judges `postback` and requires all of that.
Judged Judge(const postback::Postback& postback);

// Requires that the structures that `fields` keeps are in themselves XML or JSON.
void RequireWellFormedExtras(const postback::Fields& fields);

// Equal for equal messages, unlike what SerializeAsString gives for maps.
std::string Serialise(const v1::MmsMo& message);

}  // namespace mmsmo::fuzz
