#pragma once

#include <openssl/ssl.h>

#include <string>

#include "gateway/tls/openssl.h"
#include "tests/support/authority.h"

namespace mmsmo {

// A client's side of TLS over a socket that is connected; it blocks unless the socket does not.
class TlsClient {
 public:
  struct Options {
    std::string ca;     // PEM; empty: whoever answers is believed
    Identity identity;  // empty: none
    int max_version = 0;
    std::string protocol;  // offered by ALPN
  };

  TlsClient(int socket, const Options& options) : context_(SSL_CTX_new(TLS_client_method())) {
    if (options.max_version != 0)
      SSL_CTX_set_max_proto_version(context_.get(), options.max_version);
    if (!options.identity.cert.empty()) {
      SSL_CTX_use_certificate(context_.get(),
                              tls::ReadCertificates(options.identity.cert).front().get());
      const tls::KeyPtr key(PEM_read_bio_PrivateKey(tls::BioOver(options.identity.key).get(),
                                                    nullptr, nullptr, nullptr));
      SSL_CTX_use_PrivateKey(context_.get(), key.get());
    }
    if (!options.ca.empty()) {
      X509_STORE_add_cert(SSL_CTX_get_cert_store(context_.get()),
                          tls::ReadCertificates(options.ca).front().get());
      SSL_CTX_set_verify(context_.get(), SSL_VERIFY_PEER, nullptr);
    }
    ssl_.reset(SSL_new(context_.get()));
    if (!options.protocol.empty()) {
      const std::string offer =
          static_cast<char>(options.protocol.size()) + options.protocol;  // as ALPN has it
      SSL_set_alpn_protos(ssl_.get(), reinterpret_cast<const unsigned char*>(offer.data()),
                          static_cast<unsigned>(offer.size()));
    }
    SSL_set_fd(ssl_.get(), socket);
    SSL_set_connect_state(ssl_.get());
  }

  bool Handshake() { return SSL_do_handshake(ssl_.get()) == 1; }
  bool Send(const std::string& bytes) {
    return SSL_write(ssl_.get(), bytes.data(), static_cast<int>(bytes.size())) ==
           static_cast<int>(bytes.size());
  }
  // What there is; empty at the end.
  std::string Receive() {
    char bytes[16 << 10];
    const int count = SSL_read(ssl_.get(), bytes, sizeof bytes);
    return count > 0 ? std::string(bytes, static_cast<size_t>(count)) : "";
  }
  SSL* ssl() { return ssl_.get(); }

 private:
  tls::ContextPtr context_;
  tls::SslPtr ssl_;
};

}  // namespace mmsmo
