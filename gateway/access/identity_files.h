// The identities that are declared, and the files that their tokens stand in, which change while
// the gateway runs.

#pragma once

#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "gateway/access/identity.h"
#include "gateway/access/secret.h"
#include "gateway/base/metrics.h"
#include "mutex.h"

namespace mmsmo::access {

//   auto files = IdentityFiles::Open(settings, metrics);
//   server->SetIdentities(files->identities());
//   // every few seconds:
//   if (auto changed = files->Look()) server->SetIdentities(changed);
//
// Thread-safe. Logs what is wrong with a file, once for each change of that.
class IdentityFiles {
 public:
  // FailedPrecondition where a token cannot be read, InvalidArgument for settings that are wrong;
  // both name the identity. `metrics` must outlive it.
  static absl::StatusOr<std::unique_ptr<IdentityFiles>> Open(std::vector<IdentitySettings> settings,
                                                             Metrics& metrics);

  std::shared_ptr<const Identities> identities() const;

  // Reads the files again. The identities where they are others than before, else null. An identity
  // keeps the tokens that it had where one of its files is broken, or holds another's token.
  std::shared_ptr<const Identities> Look();

  // Other settings and what their files say: all of it, or nothing, with Open's errors. Replaces
  // identities() also where everything is as it was.
  absl::Status Replace(std::vector<IdentitySettings> settings);

 private:
  using Tokens = std::vector<Digest>;

  // What was read last for an identity.
  struct Source {
    IdentitySettings settings;
    Tokens tokens;       // in force
    std::string broken;  // why those that are there now are not; empty: they are
  };

  explicit IdentityFiles(Metrics& metrics);

  absl::StatusOr<Tokens> ReadTokens(const IdentitySettings& settings)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void Break(Source& source, const absl::Status& why) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  static absl::StatusOr<std::shared_ptr<const Identities>> Make(const std::vector<Source>& sources);

  ReloadCounters reloads_;

  mutable Mutex mu_;
  SecretReader reader_ ABSL_GUARDED_BY(mu_);
  std::vector<Source> sources_ ABSL_GUARDED_BY(mu_);
  std::shared_ptr<const Identities> identities_ ABSL_GUARDED_BY(mu_);
};

}  // namespace mmsmo::access
