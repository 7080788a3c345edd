// What a proxy says of a connection before its first byte: the PROXY protocol of HAProxy, versions
// 1 and 2 (https://www.haproxy.org/download/2.8/doc/proxy-protocol.txt).

#pragma once

#include <cstddef>
#include <optional>
#include <string_view>

#include "gateway/access/address.h"

namespace mmsmo::http {

struct ProxyHeader {
  enum class Kind {
    kIncomplete,  // more bytes are needed
    kMalformed,
    kOfPeer,    // the proxy's own connection, or one of which it does not know
    kOfClient,  // `client` has connected to the proxy
  };
  Kind kind = Kind::kIncomplete;
  size_t bytes = 0;  // how many the header has, of the last two kinds
  std::optional<access::Address> client;
};

// A header that is longer is malformed: addresses, and some hundred bytes of what else a proxy
// says, which nobody reads.
constexpr size_t kMaxProxyHeaderBytes = 536;

// Of the first bytes of a connection, behind which others may stand.
ProxyHeader ReadProxyHeader(std::string_view bytes);

}  // namespace mmsmo::http
