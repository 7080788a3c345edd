// A server's side of TLS over one socket that does not block.

#pragma once

#include <cstddef>
#include <memory>

#include "gateway/tls/certificates.h"
#include "gateway/tls/openssl.h"
#include "gateway/tls/peer_certificate.h"

namespace mmsmo::tls {

// For one thread. SIGPIPE must be ignored in the process.
class Connection {
 public:
  enum class Outcome {
    kDone,        // some bytes, or the handshake
    kWantsRead,   // nothing before the socket can be read
    kWantsWrite,  // nothing before the socket can be written
    kEnded,       // the client has closed, or broken off
    kFailed,      // what came is no TLS, or was refused; the client has been told
    kPlainHttp,   // likewise, and it was HTTP
  };
  struct Result {
    Outcome outcome = Outcome::kDone;
    size_t bytes = 0;
  };

  // `socket` and `certificates` must outlive it.
  Connection(Certificates* certificates, int socket);
  ~Connection();

  // Until it is done, before anything else.
  Outcome Handshake();
  bool established() const { return established_; }

  // At most `size`.
  Result Read(void* to, size_t size);
  // As much as the socket takes. What it did not take must be given again.
  Result Write(const void* from, size_t size);
  // Whether what was received may hold more than was read so far.
  bool HasReceived() const { return may_have_more_ && SSL_has_pending(ssl_.get()) == 1; }
  // Says that nothing more will be written, if the socket takes that at once.
  void CloseNotify();

  // The client's certificate, once the handshake is done; null where it has none.
  const std::shared_ptr<const PeerCertificate>& peer() const { return peer_; }
  // The snapshot that the handshake was made with.
  const std::shared_ptr<const Snapshot>& snapshot() const { return snapshot_; }
  // Whether the client's certificate is good by `snapshot`, too.
  bool VerifiesBy(const Snapshot& snapshot) const;

 private:
  Result Interpret(int result, size_t bytes);
  Outcome Fail();

  Certificates* const certificates_;
  const std::shared_ptr<const Snapshot> snapshot_;
  const SslPtr ssl_;
  bool established_ = false;
  bool counted_ = false;
  bool may_have_more_ = false;
  bool broken_ = false;
  std::shared_ptr<const PeerCertificate> peer_;
};

}  // namespace mmsmo::tls
