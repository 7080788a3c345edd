// From the bytes of a postback to an MmsMo: the whole judgement of one POST, as a pure function.
//
//   v1::MmsMo message;
//   auto judged = postback::Judge({.body = body, .content_type = "text/xml"}, &message);
//   if (judged.verdict == postback::Verdict::kAccepted) Publish(message);
//
// The rules, and the order in which they are applied, are in docs/postbacks.md.

#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "gateway/postback/reason.h"
#include "mmsmo/v1/mms_mo.pb.h"

namespace mmsmo::postback {

// The largest body that can be asked for.
inline constexpr size_t kMostBodyBytes = 1 << 20;

// One POST as received. The size limit was applied to that by whoever read the body.
struct Postback {
  std::string_view body;
  std::string_view content_type;      // the field's value; empty where there is none
  std::string_view content_encoding;  // likewise
  size_t max_bytes = kMostBodyBytes;  // of the body once it is inflated
};

enum class Verdict {
  kAccepted,     // an MMS MO
  kQuarantined,  // well-formed, but not a usable MMS MO
  kRejected,     // not decodable
};

// A hash of the facts as sent, trimmed: equal for the same facts in either format, whatever their
// order. Never over warnings, derived fields or the format.
struct Fingerprint {
  static constexpr uint8_t kVersion =
      2;  // changes with the rule that says which facts are hashed, and how
  uint8_t version = kVersion;
  std::array<uint8_t, 16> digest{};

  friend bool operator==(const Fingerprint&, const Fingerprint&) = default;
};

struct Judgement {
  Verdict verdict = Verdict::kAccepted;
  Reason reason = Reason::kNone;  // kNone exactly when accepted
  // One sentence for a person: what is wrong and where, with line and column of a syntax error
  // (from 1, in the body without its coding). Never a value of the postback: those are people's
  // data. Empty when accepted.
  std::string detail;
  // The postback's tracking id where one could be read; always set when accepted.
  std::string tracking_id;
  // Only when accepted. The earlier one is what version 1 would have made, of which events may
  // still be stored.
  Fingerprint fingerprint;
  Fingerprint earlier_fingerprint;
};

// Judges `postback`. `message` must be empty; it is filled only when the verdict is kAccepted, and
// all its strings are then valid UTF-8. Thread-safe; takes time linear in the body's size and no
// more than a few times its memory.
Judgement Judge(const Postback& postback, v1::MmsMo* message);

}  // namespace mmsmo::postback
