#include "gateway/http/proxy_header.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdint>
#include <vector>

#include "absl/strings/str_split.h"

namespace mmsmo::http {
namespace {

using access::Address;
using Kind = ProxyHeader::Kind;
using namespace std::string_view_literals;

constexpr std::string_view kFirstOfText = "PROXY "sv;
constexpr size_t kMaxTextBytes = 107;  // with its end of line
constexpr std::string_view kFirstOfBinary = "\r\n\r\n\0\r\nQUIT\n"sv;
constexpr size_t kFixedBytes = 16;
constexpr size_t kV4Bytes = 12;  // two addresses and two ports
constexpr size_t kV6Bytes = 36;
constexpr size_t kUnixBytes = 216;

constexpr ProxyHeader kMalformed{.kind = Kind::kMalformed};

bool IsPort(std::string_view text) {
  uint16_t port = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), port);
  return error == std::errc() && end == text.data() + text.size() &&
         (text.size() == 1 || text.front() != '0');
}

std::optional<Address> ParseOfFamily(std::string_view text, bool v6) {
  if ((text.find(':') != std::string_view::npos) != v6 || text.starts_with('['))
    return std::nullopt;
  return access::ParseAddress(text);
}

// Of a line without its end.
ProxyHeader ReadLine(std::string_view line) {
  const size_t bytes = line.size() + 2;
  const std::vector<absl::string_view> words =
      absl::StrSplit(absl::string_view(line.data(), line.size()), ' ');
  const auto word = [&](size_t i) { return std::string_view(words[i].data(), words[i].size()); };
  if (word(1) == "UNKNOWN") return {.kind = Kind::kOfPeer, .bytes = bytes};
  const bool v6 = word(1) == "TCP6";
  if (words.size() != 6 || (!v6 && word(1) != "TCP4")) return kMalformed;
  const auto client = ParseOfFamily(word(2), v6);
  if (!client || !ParseOfFamily(word(3), v6) || !IsPort(word(4)) || !IsPort(word(5)))
    return kMalformed;
  return {.kind = Kind::kOfClient, .bytes = bytes, .client = client};
}

ProxyHeader ReadText(std::string_view bytes) {
  const std::string_view first = bytes.substr(0, kMaxTextBytes);
  const size_t end = first.find("\r\n");
  if (end != std::string_view::npos) return ReadLine(first.substr(0, end));
  return first.size() < kMaxTextBytes ? ProxyHeader() : kMalformed;
}

Address V4(std::string_view bytes) {
  Address address;
  address.bytes[10] = address.bytes[11] = 0xff;
  std::copy_n(bytes.begin(), 4, address.bytes.begin() + 12);
  return address;
}

Address V6(std::string_view bytes) {
  Address address;
  std::copy_n(bytes.begin(), address.bytes.size(), address.bytes.begin());
  return address;
}

// What stands behind the fixed part; `family` is of the addresses and of the transport.
ProxyHeader ReadAddresses(uint8_t family, std::string_view addresses) {
  const size_t bytes = kFixedBytes + addresses.size();
  switch (family) {
    case 0x00:  // it does not know
      return {.kind = Kind::kOfPeer, .bytes = bytes};
    case 0x11:
      if (addresses.size() < kV4Bytes) return kMalformed;
      return {.kind = Kind::kOfClient, .bytes = bytes, .client = V4(addresses)};
    case 0x21:
      if (addresses.size() < kV6Bytes) return kMalformed;
      return {.kind = Kind::kOfClient, .bytes = bytes, .client = V6(addresses)};
    case 0x31:  // of a unix socket, whose path is no address
      if (addresses.size() < kUnixBytes) return kMalformed;
      return {.kind = Kind::kOfPeer, .bytes = bytes};
    default:  // datagrams among them
      return kMalformed;
  }
}

ProxyHeader ReadBinary(std::string_view bytes) {
  const auto byte = [&](size_t i) { return static_cast<uint8_t>(bytes[i]); };
  constexpr uint8_t kLocal = 0x20, kProxy = 0x21;  // of version 2
  constexpr size_t kCommandAt = 12, kFamilyAt = 13, kLengthAt = 14;
  if (bytes.size() > kCommandAt && byte(kCommandAt) != kLocal && byte(kCommandAt) != kProxy)
    return kMalformed;
  if (bytes.size() < kFixedBytes) return {};
  const size_t length = size_t{byte(kLengthAt)} << 8 | byte(kLengthAt + 1);
  if (kFixedBytes + length > kMaxProxyHeaderBytes) return kMalformed;
  if (bytes.size() < kFixedBytes + length) return {};
  if (byte(kCommandAt) == kLocal) return {.kind = Kind::kOfPeer, .bytes = kFixedBytes + length};
  return ReadAddresses(byte(kFamilyAt), bytes.substr(kFixedBytes, length));
}

// As far as there are any.
bool BeginsWith(std::string_view bytes, std::string_view first) {
  const size_t size = std::min(bytes.size(), first.size());
  return bytes.substr(0, size) == first.substr(0, size);
}

}  // namespace

ProxyHeader ReadProxyHeader(std::string_view bytes) {
  if (bytes.empty()) return {};
  if (BeginsWith(bytes, kFirstOfText)) return ReadText(bytes);
  if (BeginsWith(bytes, kFirstOfBinary)) return ReadBinary(bytes);
  return kMalformed;
}

}  // namespace mmsmo::http
