#include "gateway/postback/content_coding.h"

#include <zlib.h>

#include <algorithm>

#include "gateway/postback/ascii.h"

namespace mmsmo::postback {
namespace {

ContentCoding CodingNamed(std::string_view name) {
  const auto is = [name](std::string_view wanted) { return EqualsIgnoringCase(name, wanted); };
  if (name.empty() || is("identity") || is("utf-8")) return ContentCoding::kNone;
  if (is("gzip") || is("x-gzip")) return ContentCoding::kGzip;
  if (is("deflate")) return ContentCoding::kDeflate;
  return ContentCoding::kOther;
}

// What zlib calls 15 is the largest window; 16 more ask for gzip's format instead of its own.
int WindowBits(ContentCoding coding) {
  return coding == ContentCoding::kGzip ? MAX_WBITS + 16 : MAX_WBITS;
}

}  // namespace

ContentCoding ParseContentEncoding(std::string_view content_encoding) {
  ContentCoding coding = ContentCoding::kNone;
  while (!content_encoding.empty()) {
    const std::string_view name = content_encoding.substr(0, content_encoding.find(','));
    content_encoding.remove_prefix(std::min(name.size() + 1, content_encoding.size()));
    const ContentCoding next = CodingNamed(Trim(name));
    if (next == ContentCoding::kNone) continue;
    if (coding != ContentCoding::kNone) return ContentCoding::kOther;
    coding = next;
  }
  return coding;
}

Inflated Inflate(std::string_view body, ContentCoding coding, size_t max_bytes, std::string* out) {
  constexpr size_t kFirstBytes = 4 << 10;
  out->clear();
  z_stream stream{};
  if (inflateInit2(&stream, WindowBits(coding)) != Z_OK) return Inflated::kBroken;
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(body.data()));
  stream.avail_in = static_cast<uInt>(body.size());
  int status = Z_OK;
  // One byte more than may be tells a body that fits from one that does not.
  while (status == Z_OK && stream.total_out <= max_bytes) {
    out->resize(std::min(max_bytes + 1, std::max(kFirstBytes, 2 * out->size())));
    stream.next_out = reinterpret_cast<Bytef*>(out->data() + stream.total_out);
    stream.avail_out = static_cast<uInt>(out->size() - stream.total_out);
    status = inflate(&stream, Z_NO_FLUSH);
  }
  out->resize(stream.total_out);
  const bool whole = status == Z_STREAM_END && stream.avail_in == 0;
  inflateEnd(&stream);
  if (out->size() > max_bytes) return Inflated::kTooLarge;
  return whole ? Inflated::kDone : Inflated::kBroken;
}

}  // namespace mmsmo::postback
