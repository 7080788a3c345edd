#include "gateway/tls/peer_certificate.h"

#include <openssl/x509v3.h>

namespace mmsmo::tls {
namespace {

// Appends it unless it has a NUL.
void Add(const ASN1_STRING* text, std::vector<std::string>* names) {
  const std::string name(reinterpret_cast<const char*>(ASN1_STRING_get0_data(text)),
                         static_cast<size_t>(ASN1_STRING_length(text)));
  if (name.find('\0') == std::string::npos) names->push_back(name);
}

void AddNames(X509* certificate, PeerCertificate* peer) {
  const std::unique_ptr<GENERAL_NAMES, Freed<GENERAL_NAMES_free>> names(static_cast<GENERAL_NAMES*>(
      X509_get_ext_d2i(certificate, NID_subject_alt_name, nullptr, nullptr)));
  if (!names) return;
  for (int i = 0; i < sk_GENERAL_NAME_num(names.get()); ++i) {
    const GENERAL_NAME* const name = sk_GENERAL_NAME_value(names.get(), i);
    if (name->type == GEN_DNS) Add(name->d.dNSName, &peer->dns);
    if (name->type == GEN_URI) Add(name->d.uniformResourceIdentifier, &peer->uris);
    if (name->type == GEN_EMAIL) Add(name->d.rfc822Name, &peer->emails);
  }
}

std::string CommonName(X509* certificate) {
  X509_NAME* const subject = X509_get_subject_name(certificate);
  const int first = X509_NAME_get_index_by_NID(subject, NID_commonName, -1);
  if (first < 0 || X509_NAME_get_index_by_NID(subject, NID_commonName, first) >= 0) return "";
  unsigned char* utf8 = nullptr;
  const int size =
      ASN1_STRING_to_UTF8(&utf8, X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, first)));
  if (size < 0) return "";
  std::string name(reinterpret_cast<const char*>(utf8), static_cast<size_t>(size));
  OPENSSL_free(utf8);
  return name.find('\0') == std::string::npos ? name : "";
}

std::string Rfc2253(const X509_NAME* name) {
  const BioPtr bio(BIO_new(BIO_s_mem()));
  X509_NAME_print_ex(bio.get(), name, 0, XN_FLAG_RFC2253 & ~ASN1_STRFLGS_ESC_MSB);
  const char* text = nullptr;
  const long size = BIO_get_mem_data(bio.get(), &text);
  return size > 0 ? std::string(text, static_cast<size_t>(size)) : "";
}

void Digest(EVP_MD_CTX* digest, X509* certificate) {
  unsigned char* der = nullptr;
  const int size = i2d_X509(certificate, &der);
  if (size <= 0) return;
  EVP_DigestUpdate(digest, der, static_cast<size_t>(size));
  OPENSSL_free(der);
}

}  // namespace

PeerCertificate DescribePeer(X509* certificate, STACK_OF(X509) * chain) {
  PeerCertificate peer;
  AddNames(certificate, &peer);
  peer.common_name = CommonName(certificate);
  peer.issuer = Rfc2253(X509_get_issuer_name(certificate));
  const std::unique_ptr<EVP_MD_CTX, Freed<EVP_MD_CTX_free>> digest(EVP_MD_CTX_new());
  EVP_DigestInit_ex(digest.get(), EVP_sha256(), nullptr);
  Digest(digest.get(), certificate);
  for (int i = 0; i < sk_X509_num(chain); ++i) Digest(digest.get(), sk_X509_value(chain, i));
  EVP_DigestFinal_ex(digest.get(), peer.digest.data(), nullptr);
  return peer;
}

}  // namespace mmsmo::tls
