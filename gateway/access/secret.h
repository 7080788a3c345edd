// Secrets: where they come from, and how what a client sends is compared with them.

#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "gateway/base/metrics.h"

namespace mmsmo::access {

// SHA-256 of a secret.
using Digest = std::array<uint8_t, 32>;
Digest DigestOf(std::string_view secret);
// Of 64 hexadecimal digits; InvalidArgument for anything else, without repeating it.
absl::StatusOr<Digest> ParseDigest(std::string_view hex);

// Whether `given` is one of them. The time that it takes depends on how many there are and how long
// `given` is, and on nothing else of them: where the lengths differ, `given` is compared with
// itself.
bool IsOneOf(const std::vector<std::string>& secrets, std::string_view given);

// The credentials of that scheme in an Authorization field's value (RFC 9110, 11.4), whose scheme
// may be in any case; nothing where it is of another.
std::optional<std::string_view> CredentialsOf(std::string_view value, std::string_view scheme);

// What became of files of secrets that had changed.
struct ReloadCounters {
  // `metrics` must outlive it.
  explicit ReloadCounters(Metrics& metrics);

  prometheus::Counter& changed;  // they are in force
  prometheus::Counter& kept;     // they are broken: those before are
};

// Where the secrets of one purpose are: each file and each variable has one, and all are valid, so
// that a new one can be given out before the old one goes.
struct SecretSources {
  std::vector<std::string> files;
  std::vector<std::string> variables;  // of the environment

  bool empty() const { return files.empty() && variables.empty(); }
  bool operator==(const SecretSources&) const = default;
};

// Reads secrets again and again. For one thread at a time.
class SecretReader {
 public:
  // What they say now, in the order of the sources, without the newline that may end each. An error
  // names the file or the variable, never what it holds: FailedPrecondition for what cannot be read
  // or is not set, InvalidArgument for what is empty or of several lines.
  absl::StatusOr<std::vector<std::string>> Read(const SecretSources& sources);

  // The files that others than their owner and its group may read, of those that were read: told
  // once of each.
  std::vector<std::string> TakeWorldReadable();

 private:
  std::map<std::string, bool> world_readable_;  // by file; whether it was told
};

}  // namespace mmsmo::access
