// Proxies in front, and for whom they ask.

#pragma once

#include <optional>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "gateway/access/address.h"

namespace mmsmo::access {

// The proxies whose word is taken for a client's address.
struct TrustedProxies {
  std::vector<AddressRange> ranges;
  bool unix_sockets = false;  // whoever connects over one
  enum class Field { kNone, kForwarded, kXForwardedFor } field = Field::kNone;

  bool Trust(const std::optional<Address>& peer) const;
};

// Of a list with commas of addresses, ranges and the word "unix"; InvalidArgument names what is
// none.
absl::StatusOr<TrustedProxies> ParseTrustedProxies(std::string_view list);

// The name of the field that counts; empty for none.
std::string_view NameOf(TrustedProxies::Field field);

// Who asks, of a request that came from `peer`: what a trusted proxy says in its field, of which
// `value` is all lines, joined by commas. The rightmost address that is not trusted counts, since
// a client can write what it likes to the left of it (RFC 7239, 8.1). Nothing where that is
// unknown.
std::optional<Address> ClientOf(const TrustedProxies& proxies, const std::optional<Address>& peer,
                                std::string_view value);

}  // namespace mmsmo::access
