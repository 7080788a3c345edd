#include "gateway/tls/snapshot.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509_vfy.h>
#include <openssl/x509v3.h>

#include <algorithm>
#include <ctime>
#include <utility>

#include "gateway/base/status.h"

namespace mmsmo::tls {
namespace {

// Forward secrecy and authenticated encryption only; TLS 1.3 has nothing else.
constexpr const char* kCiphers = "ECDHE+AESGCM:ECDHE+CHACHA20";
constexpr long kSessionSeconds = 3600;
constexpr std::string_view kHttpOffer = "\x08http/1.1";  // as ALPN has it

// A client that speaks something else, such as HTTP/2 alone, is told so (RFC 7301, 3.2).
int ChooseProtocol(SSL*, const unsigned char** chosen, unsigned char* size,
                   const unsigned char* offered, unsigned int offered_size, void*) {
  unsigned char* found = nullptr;
  const auto* const ours = reinterpret_cast<const unsigned char*>(kHttpOffer.data());
  if (SSL_select_next_proto(&found, size, ours, static_cast<unsigned int>(kHttpOffer.size()),
                            offered, offered_size) != OPENSSL_NPN_NEGOTIATED)
    return SSL_TLSEXT_ERR_ALERT_FATAL;
  *chosen = found;
  return SSL_TLSEXT_ERR_OK;
}

// OpenSSL would ask on the terminal.
int NoPassphrase(char*, int, int, void*) { return -1; }

absl::StatusOr<KeyPtr> ReadKey(std::string_view pem) {
  ERR_clear_error();
  KeyPtr key(PEM_read_bio_PrivateKey(BioOver(pem).get(), nullptr, NoPassphrase, nullptr));
  if (key) return key;
  const unsigned long error = ERR_peek_error();
  const bool encrypted =
      ERR_GET_REASON(error) == PEM_R_BAD_PASSWORD_READ || pem.find("ENCRYPTED") != pem.npos;
  ERR_clear_error();
  if (encrypted) return InvalidArgument("the private key is encrypted; give it without passphrase");
  return InvalidArgument("there is no private key in PEM in it that can be read");
}

Snapshot::Time TimeOf(const ASN1_TIME* time) {
  std::tm utc{};
  if (ASN1_TIME_to_tm(time, &utc) != 1) return Snapshot::Time::max();
  return std::chrono::system_clock::from_time_t(timegm(&utc));
}

ContextPtr NewContext() {
  ContextPtr context(SSL_CTX_new(TLS_server_method()));
  SSL_CTX_set_min_proto_version(context.get(), TLS1_2_VERSION);
  SSL_CTX_set_cipher_list(context.get(), kCiphers);
  SSL_CTX_set_options(context.get(), SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION |
                                         SSL_OP_CIPHER_SERVER_PREFERENCE |
                                         SSL_OP_PRIORITIZE_CHACHA);
  // A connection that waits has no buffers, and one read of the socket takes all that is there.
  SSL_CTX_set_mode(context.get(), SSL_MODE_ENABLE_PARTIAL_WRITE |
                                      SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
                                      SSL_MODE_RELEASE_BUFFERS);
  SSL_CTX_set_read_ahead(context.get(), 1);
  // Sessions are kept by their clients, under keys of this context: a new one forgets them all.
  SSL_CTX_set_session_cache_mode(context.get(), SSL_SESS_CACHE_OFF);
  SSL_CTX_set_timeout(context.get(), kSessionSeconds);
  SSL_CTX_set_num_tickets(context.get(), 1);
  SSL_CTX_set_session_id_context(context.get(), reinterpret_cast<const unsigned char*>("mmsmo"), 5);
  SSL_CTX_set_alpn_select_cb(context.get(), ChooseProtocol, nullptr);
  return context;
}

absl::Status UseCertificate(SSL_CTX* context, const std::vector<CertificatePtr>& chain) {
  ERR_clear_error();
  bool used = SSL_CTX_use_certificate(context, chain.front().get()) == 1;
  for (size_t i = 1; used && i < chain.size(); ++i)
    used = SSL_CTX_add1_chain_cert(context, chain[i].get()) == 1;
  if (used) return absl::OkStatus();
  return InvalidArgument("it cannot be used: {}", TakeError());
}

absl::Status UseKey(SSL_CTX* context, EVP_PKEY* key) {
  ERR_clear_error();
  if (SSL_CTX_use_PrivateKey(context, key) == 1 && SSL_CTX_check_private_key(context) == 1)
    return absl::OkStatus();
  const unsigned long error = ERR_peek_error();
  if (ERR_GET_LIB(error) == ERR_LIB_X509) {
    ERR_clear_error();
    return InvalidArgument("it is not the key of the certificate");
  }
  return InvalidArgument("it cannot be used: {}", TakeError());
}

// Asks for certificates, and takes those that these have signed. One without is let in: who must
// have one is not decided here.
void TrustClients(SSL_CTX* context, const std::vector<CertificatePtr>& authorities) {
  X509_STORE* const store = SSL_CTX_get_cert_store(context);
  X509_STORE_set_flags(store, X509_V_FLAG_PARTIAL_CHAIN | X509_V_FLAG_TRUSTED_FIRST);
  for (const CertificatePtr& authority : authorities) {
    X509_STORE_add_cert(store, authority.get());
    SSL_CTX_add_client_CA(context, authority.get());
  }
  SSL_CTX_set_verify(context, SSL_VERIFY_PEER, nullptr);
  // A session that is resumed is not verified again.
  SSL_CTX_set_num_tickets(context, 0);
  SSL_CTX_set_options(context, SSL_OP_NO_TICKET);
}

}  // namespace

absl::StatusOr<std::shared_ptr<const Snapshot>> Snapshot::Create(Texts texts, const Files& files,
                                                                 std::string_view prefix) {
  const auto wrong = [prefix](std::string_view setting, const std::string& file,
                              std::string_view why) {
    return InvalidArgument("{}{}: '{}': {}", prefix, setting, file, why);
  };
  constexpr std::string_view kNoCertificate =
      "there is no certificate in PEM in it, or one that cannot be read";
  std::shared_ptr<Snapshot> snapshot(new Snapshot(std::move(texts)));
  snapshot->context_ = NewContext();
  SSL_CTX* const context = snapshot->context_.get();

  const std::vector<CertificatePtr> chain = ReadCertificates(snapshot->texts_.cert);
  if (chain.empty()) return wrong("cert", files.cert, kNoCertificate);
  if (auto status = UseCertificate(context, chain); !status.ok())
    return wrong("cert", files.cert, MessageOf(status));
  for (const CertificatePtr& one : chain) {
    snapshot->not_before_ = std::max(snapshot->not_before_, TimeOf(X509_get0_notBefore(one.get())));
    snapshot->not_after_ = std::min(snapshot->not_after_, TimeOf(X509_get0_notAfter(one.get())));
  }

  const absl::StatusOr<KeyPtr> key = ReadKey(snapshot->texts_.key);
  if (!key.ok()) return wrong("key", files.key, MessageOf(key.status()));
  if (auto status = UseKey(context, key->get()); !status.ok())
    return wrong("key", files.key, MessageOf(status));

  if (!files.client_ca.empty()) {
    const std::vector<CertificatePtr> authorities = ReadCertificates(snapshot->texts_.client_ca);
    if (authorities.empty()) return wrong("client-ca", files.client_ca, kNoCertificate);
    TrustClients(context, authorities);
  }
  ERR_clear_error();
  return std::shared_ptr<const Snapshot>(std::move(snapshot));
}

bool Snapshot::Verifies(X509* certificate, STACK_OF(X509) * chain) const {
  if (!asks_for_certificate()) return false;
  const std::unique_ptr<X509_STORE_CTX, Freed<X509_STORE_CTX_free>> check(X509_STORE_CTX_new());
  if (X509_STORE_CTX_init(check.get(), SSL_CTX_get_cert_store(context_.get()), certificate,
                          chain) != 1)
    return false;
  X509_STORE_CTX_set_default(check.get(), "ssl_client");
  const bool verifies = X509_verify_cert(check.get()) == 1;
  ERR_clear_error();
  return verifies;
}

bool Snapshot::Verifies(std::string_view certificate, std::string_view chain) const {
  const std::vector<CertificatePtr> leaf = ReadCertificates(certificate);
  if (leaf.empty()) return false;
  const std::vector<CertificatePtr> between = ReadCertificates(chain);
  STACK_OF(X509)* const stack = sk_X509_new_null();
  for (const CertificatePtr& one : between) sk_X509_push(stack, one.get());
  const bool verifies = Verifies(leaf.front().get(), stack);
  sk_X509_free(stack);
  return verifies;
}

}  // namespace mmsmo::tls
