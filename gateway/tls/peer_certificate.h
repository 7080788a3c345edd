// What a client's certificate says of it.

#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "gateway/tls/openssl.h"

namespace mmsmo::tls {

// Of one that was verified. Texts have no NUL; a name that has one is left out, since it would be
// read as what stands before it.
struct PeerCertificate {
  // The subject's alternative names; addresses, which are no texts, are not among them.
  std::vector<std::string> dns;
  std::vector<std::string> uris;
  std::vector<std::string> emails;
  std::string common_name;  // empty where there is not exactly one
  std::string issuer;       // as RFC 2253 writes it: "CN=ca,O=Example"
  // SHA-256 of it and of those that came with it.
  std::array<uint8_t, 32> digest = {};
};

PeerCertificate DescribePeer(X509* certificate, STACK_OF(X509) * chain);

}  // namespace mmsmo::tls
