#include "gateway/tls/openssl.h"

#include <openssl/err.h>
#include <openssl/pem.h>

#include <utility>

namespace mmsmo::tls {

BioPtr BioOver(std::string_view text) {
  return BioPtr(BIO_new_mem_buf(text.data(), static_cast<int>(text.size())));
}

std::vector<CertificatePtr> ReadCertificates(std::string_view pem) {
  ERR_clear_error();
  const BioPtr bio = BioOver(pem);
  std::vector<CertificatePtr> certificates;
  while (X509* const one = PEM_read_bio_X509(bio.get(), nullptr, nullptr, nullptr))
    certificates.emplace_back(one);
  const unsigned long error = ERR_peek_last_error();
  const bool at_end =
      ERR_GET_LIB(error) == ERR_LIB_PEM && ERR_GET_REASON(error) == PEM_R_NO_START_LINE;
  if (!at_end) certificates.clear();
  ERR_clear_error();
  return certificates;
}

std::string TakeError() {
  const unsigned long error = ERR_peek_error();
  ERR_clear_error();
  const char* const reason = ERR_reason_error_string(error);
  return reason != nullptr ? reason : "OpenSSL does not say why";
}

}  // namespace mmsmo::tls
