// The files that a listener's TLS comes from.

#pragma once

#include <string>

namespace mmsmo::tls {

// Paths of PEM files; all empty: no TLS.
struct Files {
  std::string cert;       // the listener's certificate, and after it those that signed it
  std::string key;        // its private key, not encrypted
  std::string client_ca;  // whom clients' certificates must be signed by; empty: none is asked for

  bool enabled() const { return !cert.empty(); }
  bool any() const { return !cert.empty() || !key.empty() || !client_ca.empty(); }
};

}  // namespace mmsmo::tls
