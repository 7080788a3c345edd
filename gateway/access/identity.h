// Who calls, and what they may do: identities as they are declared, and verdicts about their calls.

#pragma once

#include <sys/types.h>

#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "gateway/access/permission.h"
#include "gateway/access/rate_limit.h"
#include "gateway/access/secret.h"

namespace mmsmo::access {

// A wish for a longer secret is logged below so many bytes of a token.
inline constexpr size_t kShortToken = 16;

// One as it is declared. Each of its credentials is enough.
struct IdentitySettings {
  std::string name;
  SecretSources tokens;
  std::vector<std::string> token_sha256;  // of tokens that are kept elsewhere, in hexadecimal
  std::vector<std::string> sans;          // of client certificates, as MatchesLabels has them
  std::vector<int64_t> uids;              // of the other ends of unix sockets
  std::vector<std::string> allow;         // names of permissions
  // What consume and manage are limited to, as MatchesGlob has it; none: all.
  std::optional<std::vector<std::string>> subscriptions;
  // The names that events and postbacks must have for all but admin; none: all.
  std::optional<std::vector<std::string>> endpoints;
  double rate = 0;  // of calls a second; 0: no limit

  bool operator==(const IdentitySettings&) const = default;
};

// What a call is about, as far as it is limited.
struct Facts {
  // The subscription's name; none where it is about none.
  std::optional<std::string_view> subscription;
  // Those that it lets events through from, where it has a filter; empty: from all.
  std::optional<std::vector<std::string>> endpoints;
};

// What a call lacks.
enum class Lack : uint8_t { kNothing, kPermission, kSubscription, kEndpoint };

struct Verdict {
  Lack lack = Lack::kNothing;
  std::string why;  // which permission, or what of the facts

  bool ok() const { return lack == Lack::kNothing; }
};

// Constant, but for its count of calls.
class Identity {
 public:
  // InvalidArgument names the key and the value that is wrong.
  static absl::StatusOr<std::unique_ptr<Identity>> Create(const IdentitySettings& settings);

  const std::string& name() const { return settings_.name; }
  const IdentitySettings& settings() const { return settings_; }
  // As RateLimit::TakeMicros, of its rate; counts the calls that it lets through.
  int64_t TakeMicros(int64_t now_micros) const;
  uint64_t calls() const { return calls_.load(std::memory_order_relaxed); }

  Verdict Allow(Permission permission, const Facts& facts) const;
  // Whether they lie within its limits.
  Verdict Limit(const Facts& facts) const;
  // Whether it may be told of a subscription of that name, or of that endpoint.
  bool SeesSubscription(std::string_view name) const;
  bool SeesEndpoint(std::string_view name) const;
  // What it is limited to; null: to none.
  const std::vector<std::string>* endpoints() const {
    return settings_.endpoints ? &*settings_.endpoints : nullptr;
  }

 private:
  Identity(const IdentitySettings& settings, Permissions permissions)
      : settings_(settings), permissions_(permissions), rate_(settings.rate) {}

  const IdentitySettings settings_;
  const Permissions permissions_;
  mutable RateLimit rate_;
  mutable std::atomic<uint64_t> calls_{0};
};

// All of them, with the secrets as they were read. Constant: what changes is replaced as a whole.
class Identities {
 public:
  // Of each its settings and the digests of the tokens that its sources have. InvalidArgument names
  // identity, key and value: what is wrong, or what two of them share.
  static absl::StatusOr<std::shared_ptr<const Identities>> Create(
      const std::vector<IdentitySettings>& settings,
      const std::vector<std::vector<Digest>>& tokens);

  // Without any, everybody may do everything.
  bool empty() const { return identities_.empty(); }
  const std::vector<std::unique_ptr<Identity>>& all() const { return identities_; }

  // Null where there is none. A token is looked up by its digest, so that the time that takes says
  // nothing about any other.
  const Identity* ByToken(std::string_view token) const;
  const Identity* ByToken(const Digest& token) const;
  // The first that is declared with a pattern for one of the names.
  const Identity* BySans(const std::vector<std::string>& names) const;
  const Identity* ByUid(uid_t uid) const;

 private:
  absl::Status Add(const IdentitySettings& settings, const std::vector<Digest>& tokens);

  std::vector<std::unique_ptr<Identity>> identities_;
  absl::flat_hash_map<Digest, const Identity*> by_token_;
  absl::flat_hash_map<std::string, const Identity*> by_san_;  // by pattern, to find those shared
  absl::flat_hash_map<uid_t, const Identity*> by_uid_;
};

}  // namespace mmsmo::access
