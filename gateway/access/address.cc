#include "gateway/access/address.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <algorithm>
#include <charconv>
#include <cstring>

#include "gateway/base/status.h"

namespace mmsmo::access {
namespace {

constexpr int kBits = 128;
constexpr int kBitsBeforeV4 = 96;
constexpr int kPartyBits = 64;
constexpr std::array<uint8_t, 12> kV4Prefix = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

// What is left of an address whose other bits are 0.
Address FirstBits(Address address, int bits) {
  for (int i = 0; i < kBits / 8; ++i) {
    const int of_byte = std::clamp(bits - 8 * i, 0, 8);
    address.bytes[static_cast<size_t>(i)] &= static_cast<uint8_t>(0xff00 >> of_byte);
  }
  return address;
}

}  // namespace

bool Address::is_v4() const {
  return std::equal(kV4Prefix.begin(), kV4Prefix.end(), bytes.begin());
}

std::optional<Address> ParseAddress(std::string_view text) {
  if (text.size() > 2 && text.starts_with('[') && text.ends_with(']'))
    text = text.substr(1, text.size() - 2);
  const std::string terminated(text);
  if (terminated.find('\0') != std::string::npos) return std::nullopt;
  Address address;
  if (inet_pton(AF_INET6, terminated.c_str(), address.bytes.data()) == 1) return address;
  std::copy(kV4Prefix.begin(), kV4Prefix.end(), address.bytes.begin());
  if (inet_pton(AF_INET, terminated.c_str(), address.bytes.data() + kV4Prefix.size()) == 1)
    return address;
  return std::nullopt;
}

std::optional<Address> AddressOf(const sockaddr& socket_address) {
  Address address;
  if (socket_address.sa_family == AF_INET6) {
    sockaddr_in6 v6;
    std::memcpy(&v6, &socket_address, sizeof v6);
    std::memcpy(address.bytes.data(), &v6.sin6_addr, address.bytes.size());
    return address;
  }
  if (socket_address.sa_family != AF_INET) return std::nullopt;
  sockaddr_in v4;
  std::memcpy(&v4, &socket_address, sizeof v4);
  std::copy(kV4Prefix.begin(), kV4Prefix.end(), address.bytes.begin());
  std::memcpy(address.bytes.data() + kV4Prefix.size(), &v4.sin_addr, sizeof v4.sin_addr);
  return address;
}

std::string ToString(const Address& address) {
  std::array<char, INET6_ADDRSTRLEN> text{};
  if (address.is_v4()) {
    inet_ntop(AF_INET, address.bytes.data() + kV4Prefix.size(), text.data(), text.size());
  } else {
    inet_ntop(AF_INET6, address.bytes.data(), text.data(), text.size());
  }
  return text.data();
}

Address PartyOf(Address address) {
  return address.is_v4() ? address : FirstBits(address, kPartyBits);
}

absl::StatusOr<AddressRange> AddressRange::Parse(std::string_view text) {
  AddressRange range;
  const size_t slash = text.find('/');
  const auto address = ParseAddress(text.substr(0, slash));
  if (!address)
    return InvalidArgument("'{}' is neither an address nor a range such as 192.0.2.0/24", text);
  range.address_ = *address;
  if (slash == std::string_view::npos) return range;
  const std::string_view digits = text.substr(slash + 1);
  const bool dotted = text.find(':') == std::string_view::npos;
  const int before = dotted ? kBitsBeforeV4 : 0;
  int bits = -1;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), bits);
  if (error != std::errc() || end != digits.data() + digits.size() || bits < 0 ||
      bits > kBits - before) {
    return InvalidArgument("'{}': the prefix must be of 0 to {} bits", text, kBits - before);
  }
  range.prefix_ = before + bits;
  if (FirstBits(*address, range.prefix_) != *address)
    return InvalidArgument("'{}': the address has bits set beyond its prefix", text);
  return range;
}

bool AddressRange::Contains(const Address& address) const {
  const auto whole = static_cast<size_t>(prefix_ / 8);
  const int rest = prefix_ % 8;
  if (std::memcmp(address.bytes.data(), address_.bytes.data(), whole) != 0) return false;
  return rest == 0 || (address.bytes[whole] ^ address_.bytes[whole]) >> (8 - rest) == 0;
}

bool IsIn(const std::vector<AddressRange>& ranges, const Address& address) {
  return std::any_of(ranges.begin(), ranges.end(),
                     [&](const AddressRange& range) { return range.Contains(address); });
}

}  // namespace mmsmo::access
