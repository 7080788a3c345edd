#include "gateway/tls/connection.h"

#include <openssl/err.h>

namespace mmsmo::tls {

Connection::Connection(Certificates* certificates, int socket)
    : certificates_(certificates),
      snapshot_(certificates->snapshot()),
      ssl_(SSL_new(snapshot_->context())) {
  SSL_set_fd(ssl_.get(), socket);
  SSL_set_accept_state(ssl_.get());
  certificates_->handshakes().under_way.Increment();
}

Connection::~Connection() {
  if (established_) return;
  certificates_->handshakes().under_way.Decrement();
  if (!counted_) certificates_->handshakes().broken_off.Increment();
}

Connection::Outcome Connection::Handshake() {
  ERR_clear_error();
  const int result = SSL_do_handshake(ssl_.get());
  if (result != 1) {
    const Outcome outcome = Interpret(result, 0).outcome;
    return outcome == Outcome::kFailed ? Fail() : outcome;
  }
  established_ = true;
  may_have_more_ = true;
  certificates_->handshakes().under_way.Decrement();
  certificates_->handshakes().done.Increment();
  if (X509* const certificate = SSL_get0_peer_certificate(ssl_.get())) {
    peer_ = std::make_shared<const PeerCertificate>(
        DescribePeer(certificate, SSL_get_peer_cert_chain(ssl_.get())));
  }
  return Outcome::kDone;
}

// Counts why; the errors are those of the handshake.
Connection::Outcome Connection::Fail() {
  Handshakes& handshakes = certificates_->handshakes();
  counted_ = true;
  const unsigned long error = ERR_peek_last_error();
  const int reason = ERR_GET_LIB(error) == ERR_LIB_SSL ? ERR_GET_REASON(error) : 0;
  ERR_clear_error();
  if (SSL_get_verify_result(ssl_.get()) != X509_V_OK) {
    handshakes.certificate.Increment();
    return Outcome::kFailed;
  }
  switch (reason) {
    case SSL_R_HTTP_REQUEST:
    case SSL_R_HTTPS_PROXY_REQUEST:
      handshakes.plain_http.Increment();
      return Outcome::kPlainHttp;
    case SSL_R_UNSUPPORTED_PROTOCOL:
    case SSL_R_NO_SHARED_CIPHER:
    case SSL_R_NO_APPLICATION_PROTOCOL:
      handshakes.nothing_shared.Increment();
      break;
    default:
      handshakes.other.Increment();
  }
  return Outcome::kFailed;
}

Connection::Result Connection::Read(void* to, size_t size) {
  ERR_clear_error();
  size_t bytes = 0;
  const int result = SSL_read_ex(ssl_.get(), to, size, &bytes);
  may_have_more_ = result == 1;
  return Interpret(result, bytes);
}

Connection::Result Connection::Write(const void* from, size_t size) {
  size_t written = 0;
  while (written < size) {  // a record at a time
    ERR_clear_error();
    size_t bytes = 0;
    const int result =
        SSL_write_ex(ssl_.get(), static_cast<const char*>(from) + written, size - written, &bytes);
    if (result != 1) return Interpret(result, written);
    written += bytes;
  }
  return {.outcome = Outcome::kDone, .bytes = written};
}

Connection::Result Connection::Interpret(int result, size_t bytes) {
  if (result == 1) return {.outcome = Outcome::kDone, .bytes = bytes};
  switch (SSL_get_error(ssl_.get(), result)) {
    case SSL_ERROR_WANT_READ:
      return {.outcome = Outcome::kWantsRead, .bytes = bytes};
    case SSL_ERROR_WANT_WRITE:
      return {.outcome = Outcome::kWantsWrite, .bytes = bytes};
    case SSL_ERROR_ZERO_RETURN:
      return {.outcome = Outcome::kEnded, .bytes = bytes};
    case SSL_ERROR_SYSCALL:
      broken_ = true;
      return {.outcome = Outcome::kEnded, .bytes = bytes};
    default:
      broken_ = true;
      if (ERR_GET_REASON(ERR_peek_error()) == SSL_R_UNEXPECTED_EOF_WHILE_READING)
        return {.outcome = Outcome::kEnded, .bytes = bytes};
      return {.outcome = Outcome::kFailed, .bytes = bytes};
  }
}

void Connection::CloseNotify() {
  if (!established_ || broken_) return;
  ERR_clear_error();
  SSL_shutdown(ssl_.get());
  ERR_clear_error();
}

bool Connection::VerifiesBy(const Snapshot& snapshot) const {
  X509* const certificate = SSL_get0_peer_certificate(ssl_.get());
  return certificate != nullptr &&
         snapshot.Verifies(certificate, SSL_get_peer_cert_chain(ssl_.get()));
}

}  // namespace mmsmo::tls
