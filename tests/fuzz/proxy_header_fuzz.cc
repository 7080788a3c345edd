// The first bytes of a connection as a proxy's word for whose it is.

#include "gateway/http/proxy_header.h"
#include "tests/fuzz/fuzz.h"

namespace mmsmo::fuzz {
namespace {

using http::ProxyHeader;
using http::ReadProxyHeader;
using Kind = ProxyHeader::Kind;

void Fuzz(const uint8_t* data, size_t size) {
  const std::string_view bytes = View(data, size);
  const ProxyHeader header = ReadProxyHeader(bytes);
  Require(header.client.has_value() == (header.kind == Kind::kOfClient), "a client is an address");
  if (header.kind == Kind::kIncomplete) {
    Require(size < http::kMaxProxyHeaderBytes, "it does not wait for ever");
  }
  if (header.kind == Kind::kIncomplete || header.kind == Kind::kMalformed) return;
  Require(header.bytes > 0 && header.bytes <= size && header.bytes <= http::kMaxProxyHeaderBytes,
          "a header is of what has arrived");
  const ProxyHeader alone = ReadProxyHeader(bytes.substr(0, header.bytes));
  Require(alone.kind == header.kind && alone.client == header.client,
          "what stands behind it says nothing");
  for (size_t first = 0; first < header.bytes; ++first) {
    Require(ReadProxyHeader(bytes.substr(0, first)).kind == Kind::kIncomplete,
            "how it is cut says nothing");
  }
}

}  // namespace
}  // namespace mmsmo::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  mmsmo::fuzz::Fuzz(data, size);
  return 0;
}
