// OpenSSL's objects, owned.

#pragma once

#include <openssl/bio.h>
#include <openssl/evp.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>

#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace mmsmo::tls {

template <auto Free>
struct Freed {
  template <typename T>
  void operator()(T* object) const {
    Free(object);
  }
};
using BioPtr = std::unique_ptr<BIO, Freed<BIO_free>>;
using CertificatePtr = std::unique_ptr<X509, Freed<X509_free>>;
using KeyPtr = std::unique_ptr<EVP_PKEY, Freed<EVP_PKEY_free>>;
using ContextPtr = std::unique_ptr<SSL_CTX, Freed<SSL_CTX_free>>;
using SslPtr = std::unique_ptr<SSL, Freed<SSL_free>>;

// Reads from `text`, which must outlive it.
BioPtr BioOver(std::string_view text);

// The certificates of a PEM text, in its order; none where one of them cannot be read.
std::vector<CertificatePtr> ReadCertificates(std::string_view pem);

// What this thread's last operation failed with, in OpenSSL's words, and forgets it.
std::string TakeError();

}  // namespace mmsmo::tls
