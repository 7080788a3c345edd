#include "gateway/access/proxies.h"

#include <string>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_split.h"
#include "gateway/base/status.h"

namespace mmsmo::access {
namespace {

std::string_view Trim(std::string_view text) {
  return View(absl::StripAsciiWhitespace({text.data(), text.size()}));
}

// What stands between separators outside of quotes. A quote that does not end may be a client's, to
// swallow what a proxy adds: then there is nothing.
std::vector<std::string_view> Split(std::string_view text, char separator) {
  std::vector<std::string_view> parts;
  bool quoted = false;
  size_t begin = 0;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '\\' && quoted) {
      ++i;
    } else if (text[i] == '"') {
      quoted = !quoted;
    } else if (text[i] == separator && !quoted) {
      parts.push_back(Trim(text.substr(begin, i - begin)));
      begin = i + 1;
    }
  }
  parts.push_back(Trim(text.substr(begin)));
  if (quoted) parts.clear();
  return parts;
}

// An address, behind which a port may stand.
std::optional<Address> ParseNode(std::string_view node) {
  if (auto address = ParseAddress(node)) return address;
  const size_t colon = node.rfind(':');
  if (colon == std::string_view::npos) return std::nullopt;
  const std::string_view host = node.substr(0, colon);
  const bool has_port = node.find_first_not_of("0123456789", colon + 1) == std::string_view::npos;
  // Without brackets it would be another address of IPv6.
  const bool is_host = host.starts_with('[') || host.find(':') == std::string_view::npos;
  return has_port && is_host ? ParseAddress(host) : std::nullopt;
}

// Of an element of Forwarded (RFC 7239, 4).
std::optional<Address> ParseForwarded(std::string_view element) {
  for (std::string_view pair : Split(element, ';')) {
    if (!absl::StartsWithIgnoreCase({pair.data(), pair.size()}, "for=")) continue;
    pair = Trim(pair.substr(4));
    if (pair.size() >= 2 && pair.starts_with('"') && pair.ends_with('"'))
      pair = pair.substr(1, pair.size() - 2);
    return ParseNode(pair);
  }
  return std::nullopt;
}

}  // namespace

bool TrustedProxies::Trust(const std::optional<Address>& peer) const {
  return peer ? IsIn(ranges, *peer) : unix_sockets;
}

absl::StatusOr<TrustedProxies> ParseTrustedProxies(std::string_view list) {
  TrustedProxies proxies;
  if (Trim(list).empty()) return proxies;
  for (const absl::string_view part :
       absl::StrSplit(absl::string_view(list.data(), list.size()), ',')) {
    const std::string_view one = Trim(View(part));
    if (one == "unix") {
      proxies.unix_sockets = true;
      continue;
    }
    const auto range = AddressRange::Parse(one);
    if (!range.ok()) return range.status();
    proxies.ranges.push_back(*range);
  }
  return proxies;
}

std::string_view NameOf(TrustedProxies::Field field) {
  switch (field) {
    case TrustedProxies::Field::kNone:
      return "";
    case TrustedProxies::Field::kForwarded:
      return "forwarded";
    case TrustedProxies::Field::kXForwardedFor:
      return "x-forwarded-for";
  }
  return "";
}

std::optional<Address> ClientOf(const TrustedProxies& proxies, const std::optional<Address>& peer,
                                std::string_view value) {
  if (Trim(value).empty() || !proxies.Trust(peer)) return peer;
  std::vector<std::string_view> elements = Split(value, ',');
  std::optional<Address> client;
  do {
    if (elements.empty()) return client;
    client = proxies.field == TrustedProxies::Field::kForwarded ? ParseForwarded(elements.back())
                                                                : ParseNode(elements.back());
    elements.pop_back();
  } while (client && proxies.Trust(client));
  return client;
}

}  // namespace mmsmo::access
