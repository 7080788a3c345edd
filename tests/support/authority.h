#pragma once

#include <openssl/ec.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include <cstdlib>
#include <string>

#include "gateway/tls/openssl.h"

namespace mmsmo {

// A certificate with its key, in PEM.
struct Identity {
  std::string cert;
  std::string key;
};

// Signs certificates for a test, with ECDSA P-256.
class Authority {
 public:
  struct Wish {
    std::string common_name = "localhost";
    std::string names = "DNS:localhost,IP:127.0.0.1";  // as OpenSSL's configuration has them
    long begins_in = -3600;                            // seconds from now
    long ends_in = 86'400;
  };

  explicit Authority(const std::string& name = "authority")
      : key_(EVP_EC_gen("P-256")),
        cert_(Sign({.common_name = name, .names = ""}, key_.get(), nullptr)) {}

  std::string cert() const { return PemOf(cert_.get()); }
  Identity Issue(const Wish& wish) const {
    const tls::KeyPtr key(EVP_EC_gen("P-256"));
    return {PemOf(Sign(wish, key.get(), cert_.get()).get()), PemOf(key.get())};
  }
  Identity Issue() const { return Issue(Wish()); }

 private:
  // Of itself without an issuer.
  tls::CertificatePtr Sign(const Wish& wish, EVP_PKEY* subject_key, X509* issuer) const {
    tls::CertificatePtr cert(X509_new());
    X509_set_version(cert.get(), 2);
    static long serial = 0;
    ASN1_INTEGER_set(X509_get_serialNumber(cert.get()), ++serial);
    X509_gmtime_adj(X509_getm_notBefore(cert.get()), wish.begins_in);
    X509_gmtime_adj(X509_getm_notAfter(cert.get()), wish.ends_in);
    X509_set_pubkey(cert.get(), subject_key);
    X509_NAME* const name = X509_get_subject_name(cert.get());
    X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_UTF8,
                               reinterpret_cast<const unsigned char*>(wish.common_name.c_str()), -1,
                               -1, 0);
    X509_set_issuer_name(cert.get(), issuer != nullptr ? X509_get_subject_name(issuer) : name);
    Extend(cert.get(), NID_basic_constraints,
           issuer != nullptr ? "critical,CA:FALSE" : "critical,CA:TRUE");
    if (!wish.names.empty()) Extend(cert.get(), NID_subject_alt_name, wish.names);
    if (X509_sign(cert.get(), key_.get(), EVP_sha256()) == 0) std::abort();
    return cert;
  }
  static void Extend(X509* cert, int nid, const std::string& value) {
    X509_EXTENSION* const extension = X509V3_EXT_conf_nid(nullptr, nullptr, nid, value.c_str());
    if (extension == nullptr) std::abort();
    X509_add_ext(cert, extension, -1);
    X509_EXTENSION_free(extension);
  }
  static std::string TextOf(BIO* bio) {
    const char* text = nullptr;
    const long size = BIO_get_mem_data(bio, &text);
    return {text, static_cast<size_t>(size)};
  }
  static std::string PemOf(X509* cert) {
    const tls::BioPtr bio(BIO_new(BIO_s_mem()));
    PEM_write_bio_X509(bio.get(), cert);
    return TextOf(bio.get());
  }
  static std::string PemOf(EVP_PKEY* key) {
    const tls::BioPtr bio(BIO_new(BIO_s_mem()));
    PEM_write_bio_PrivateKey(bio.get(), key, nullptr, nullptr, 0, nullptr, nullptr);
    return TextOf(bio.get());
  }

  const tls::KeyPtr key_;
  const tls::CertificatePtr cert_;
};

}  // namespace mmsmo
