// The certificates that clients have shown to gRPC, which looks at them in the handshake only, and
// whether they are good still.

#pragma once

#include <grpcpp/security/auth_context.h>

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "gateway/base/clock.h"
#include "gateway/tls/certificates.h"
#include "mutex.h"

namespace mmsmo::rpc {

// Thread-safe.
class ClientCertificates {
 public:
  // One that was verified once.
  class Shown {
   public:
    // The subject's alternative names.
    const std::vector<std::string>& names() const { return names_; }

   private:
    friend class ClientCertificates;
    std::vector<std::string> names_;
    std::string certificate_;  // PEM, as the next
    std::string chain_;
    // Guarded by the mutex of the one that made it: whether it was good, by which version of the
    // listener's files, and until when that counts.
    bool good_ = false;
    uint64_t version_ = 0;
    int64_t until_micros_ = 0;
  };

  // Both must outlive it; null: a listener without TLS.
  ClientCertificates(const tls::Certificates* certificates, const Clock& clock)
      : certificates_(certificates), clock_(clock) {}

  // Null where a connection has none.
  std::shared_ptr<Shown> Of(const grpc::AuthContext& connection);
  // Whether its client would be let in now: its authority may be gone, or its time be up. Looks
  // again after every change of the authorities, else once in some seconds, which takes a tenth of
  // a millisecond.
  bool IsGood(Shown& shown);

 private:
  const tls::Certificates* const certificates_;
  const Clock& clock_;
  Mutex mu_;
  absl::flat_hash_map<std::string, std::shared_ptr<Shown>> shown_ ABSL_GUARDED_BY(mu_);
};

}  // namespace mmsmo::rpc
