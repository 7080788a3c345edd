// Addresses of the internet, and ranges of them.

#pragma once

#include <array>
#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"

struct sockaddr;

namespace mmsmo::access {

// Of IPv6; an IPv4 address is the IPv6 address that it maps to (RFC 4291, 2.5.5.2), however it
// came.
struct Address {
  std::array<uint8_t, 16> bytes{};

  bool is_v4() const;
  auto operator<=>(const Address&) const = default;
};

// Nothing for what is none. An IPv6 address may stand in brackets.
std::optional<Address> ParseAddress(std::string_view text);
// Nothing where it is neither of IPv4 nor of IPv6.
std::optional<Address> AddressOf(const sockaddr& socket_address);
// As RFC 5952 writes it; of IPv4 with dots.
std::string ToString(const Address& address);

// What one party has of addresses: one of IPv4, a /64 of IPv6.
Address PartyOf(Address address);

class AddressRange {
 public:
  // Of an address, or of "192.0.2.0/24" or "2001:db8::/32"; InvalidArgument for anything else, and
  // for an address that has bits set beyond its prefix.
  static absl::StatusOr<AddressRange> Parse(std::string_view text);

  bool Contains(const Address& address) const;

 private:
  Address address_;
  int prefix_ = 128;  // bits, of the IPv6 address
};

bool IsIn(const std::vector<AddressRange>& ranges, const Address& address);

}  // namespace mmsmo::access
