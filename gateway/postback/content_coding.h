// The codings of a Content-Encoding field (RFC 9110, section 8.4).

#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace mmsmo::postback {

enum class ContentCoding {
  kNone,     // nothing, identity, or utf-8, which some senders take for one
  kGzip,     // also as x-gzip
  kDeflate,  // the zlib format
  kOther,    // also several
};
ContentCoding ParseContentEncoding(std::string_view content_encoding);

enum class Inflated {
  kDone,
  kTooLarge,  // over the limit; no more than that was inflated
  kBroken,    // no such stream, one that is cut, or one that something follows
};

// Inflates a body that is kGzip or kDeflate into `out`, at most `max_bytes`.
Inflated Inflate(std::string_view body, ContentCoding coding, size_t max_bytes, std::string* out);

}  // namespace mmsmo::postback
