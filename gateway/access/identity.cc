#include "gateway/access/identity.h"

#include <algorithm>
#include <limits>
#include <utility>

#include "absl/strings/ascii.h"
#include "gateway/access/pattern.h"
#include "gateway/base/status.h"

namespace mmsmo::access {
namespace {

constexpr size_t kMaxName = 63;
constexpr double kMaxRate = 1e9;

bool IsName(std::string_view name) {
  constexpr std::string_view kBesideLettersAndDigits = "-_.";
  return !name.empty() && name.size() <= kMaxName &&
         std::all_of(name.begin(), name.end(), [&](char c) {
           return absl::ascii_isalnum(c) ||
                  kBesideLettersAndDigits.find(c) != std::string_view::npos;
         });
}

absl::Status CheckEach(std::string_view key, const std::vector<std::string>& values) {
  if (values.empty())
    return InvalidArgument("{}: an empty list allows nothing; leave it out, which allows all", key);
  for (const std::string& value : values) {
    if (value.empty()) return InvalidArgument("{}: an empty text is no name", key);
  }
  return absl::OkStatus();
}

absl::StatusOr<Permissions> ReadPermissions(const std::vector<std::string>& names) {
  if (names.empty()) return InvalidArgument("allow: it must name some of {}", kPermissionNames);
  Permissions permissions;
  for (const std::string& name : names) {
    const auto permission = ParsePermission(name);
    if (!permission)
      return InvalidArgument("allow: '{}' is no permission; there are {}", name, kPermissionNames);
    permissions.Add(*permission);
  }
  return permissions;
}

// The part of a SAN after a star that is not a label of its own is never matched.
absl::Status CheckSan(const std::string& san) {
  std::string_view rest = san;
  while (true) {
    const size_t dot = rest.find('.');
    const std::string_view label = rest.substr(0, dot);
    if (label != "*" && label.find('*') != std::string_view::npos)
      return InvalidArgument("san: '{}': a * stands for one label, between dots", san);
    if (dot == std::string_view::npos) return absl::OkStatus();
    rest.remove_prefix(dot + 1);
  }
}

absl::Status CheckCredentials(const IdentitySettings& settings) {
  for (const std::string& san : settings.sans) {
    if (san.empty()) return InvalidArgument("san: an empty text is no name");
    if (auto status = CheckSan(san); !status.ok()) return status;
  }
  for (const int64_t uid : settings.uids) {
    // The largest is what the system says where it knows none.
    if (uid < 0 || uid >= std::numeric_limits<uid_t>::max())
      return InvalidArgument("uid: {} is no user's number", uid);
  }
  if (settings.tokens.empty() && settings.token_sha256.empty() && settings.sans.empty() &&
      settings.uids.empty()) {
    return InvalidArgument(
        "it has no credential; give token-file, token-env, token-sha256, san or uid");
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<std::unique_ptr<Identity>> Identity::Create(const IdentitySettings& settings) {
  if (!IsName(settings.name))
    return InvalidArgument("name: it must have 1 to {} letters, digits, '-', '_' and '.'",
                           kMaxName);
  const auto permissions = ReadPermissions(settings.allow);
  if (!permissions.ok()) return permissions.status();
  if (auto status = CheckCredentials(settings); !status.ok()) return status;
  for (const auto& [key, list] : {std::pair("subscriptions", &settings.subscriptions),
                                  std::pair("endpoints", &settings.endpoints)}) {
    if (!*list) continue;
    if (auto status = CheckEach(key, **list); !status.ok()) return status;
    if (std::count(settings.allow.begin(), settings.allow.end(), "admin") > 0)
      return InvalidArgument("{}: it limits nobody who is allowed admin; leave one of them out",
                             key);
  }
  if (!(settings.rate >= 0 && settings.rate <= kMaxRate))
    return InvalidArgument("rate: {} is no number of calls a second", settings.rate);
  return std::unique_ptr<Identity>(new Identity(settings, *permissions));
}

int64_t Identity::TakeMicros(int64_t now_micros) const {
  const int64_t wait = rate_.TakeMicros(now_micros);
  if (wait == 0) calls_.fetch_add(1, std::memory_order_relaxed);
  return wait;
}

Verdict Identity::Allow(Permission permission, const Facts& facts) const {
  if (!permissions_.Contains(permission))
    return {Lack::kPermission, fmt::format("the permission '{}'", NameOf(permission))};
  return Limit(facts);
}

Verdict Identity::Limit(const Facts& facts) const {
  if (facts.subscription && !SeesSubscription(*facts.subscription)) {
    return {Lack::kSubscription, "a pattern that this subscription's name matches"};
  }
  if (!facts.endpoints || !settings_.endpoints) return {};
  if (facts.endpoints->empty())
    return {Lack::kEndpoint, "all endpoints, from which the filter lets events through"};
  for (const std::string& endpoint : *facts.endpoints) {
    if (!SeesEndpoint(endpoint))
      return {Lack::kEndpoint, fmt::format("the endpoint '{}'", endpoint)};
  }
  return {};
}

bool Identity::SeesSubscription(std::string_view name) const {
  if (!settings_.subscriptions) return true;
  return std::any_of(settings_.subscriptions->begin(), settings_.subscriptions->end(),
                     [&](const std::string& pattern) { return MatchesGlob(pattern, name); });
}

bool Identity::SeesEndpoint(std::string_view name) const {
  if (!settings_.endpoints) return true;
  return std::find(settings_.endpoints->begin(), settings_.endpoints->end(), name) !=
         settings_.endpoints->end();
}

absl::StatusOr<std::shared_ptr<const Identities>> Identities::Create(
    const std::vector<IdentitySettings>& settings, const std::vector<std::vector<Digest>>& tokens) {
  auto identities = std::make_shared<Identities>();
  for (size_t i = 0; i < settings.size(); ++i) {
    if (auto status = identities->Add(settings[i], tokens[i]); !status.ok()) {
      return InvalidArgument("identity '{}': {}", settings[i].name, MessageOf(status));
    }
  }
  return identities;
}

absl::Status Identities::Add(const IdentitySettings& settings, const std::vector<Digest>& tokens) {
  auto created = Identity::Create(settings);
  if (!created.ok()) return created.status();
  const Identity* const identity = created->get();
  for (const auto& other : identities_) {
    if (other->name() == identity->name()) return InvalidArgument("it is declared twice");
  }
  const auto shared = [](std::string_view key, std::string_view value, const Identity& other) {
    return InvalidArgument("{}: {} is a credential of identity '{}', too", key, value,
                           other.name());
  };
  const auto add_token = [&](std::string_view key, const Digest& token) -> absl::Status {
    const auto [it, is_new] = by_token_.emplace(token, identity);
    if (is_new || it->second == identity) return absl::OkStatus();
    return shared(key, "one of its tokens", *it->second);
  };
  for (const Digest& token : tokens) {
    if (auto status = add_token("token-file", token); !status.ok()) return status;
  }
  for (const std::string& hex : settings.token_sha256) {
    const auto digest = ParseDigest(hex);
    if (!digest.ok()) return InvalidArgument("token-sha256: {}", MessageOf(digest.status()));
    if (auto status = add_token("token-sha256", *digest); !status.ok()) return status;
  }
  for (const std::string& san : settings.sans) {
    const auto [it, is_new] = by_san_.emplace(absl::AsciiStrToLower(san), identity);
    if (!is_new && it->second != identity) return shared("san", san, *it->second);
  }
  for (const int64_t uid : settings.uids) {
    const auto [it, is_new] = by_uid_.emplace(static_cast<uid_t>(uid), identity);
    if (!is_new && it->second != identity) return shared("uid", fmt::to_string(uid), *it->second);
  }
  identities_.push_back(*std::move(created));
  return absl::OkStatus();
}

const Identity* Identities::ByToken(std::string_view token) const {
  return ByToken(DigestOf(token));
}

const Identity* Identities::ByToken(const Digest& token) const {
  const auto it = by_token_.find(token);
  return it == by_token_.end() ? nullptr : it->second;
}

const Identity* Identities::BySans(const std::vector<std::string>& names) const {
  for (const auto& identity : identities_) {
    for (const std::string& pattern : identity->settings().sans) {
      for (const std::string& name : names) {
        if (MatchesLabels(pattern, name)) return identity.get();
      }
    }
  }
  return nullptr;
}

const Identity* Identities::ByUid(uid_t uid) const {
  const auto it = by_uid_.find(uid);
  return it == by_uid_.end() ? nullptr : it->second;
}

}  // namespace mmsmo::access
