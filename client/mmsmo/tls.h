// Encryption to a gateway, and what to do where it fails.

#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "grpcpp/security/credentials.h"

namespace mmsmo {

// Paths of PEM files; each may be empty.
struct TlsOptions {
  std::string ca;  // whom the gateway's certificate must be signed by; else: whom the system trusts
  std::string cert;  // this client's certificate, and after it those that signed it
  std::string key;   // its private key; with `cert`, or not at all
};

// The files' contents.
struct TlsTexts {
  std::string ca;
  std::string cert;
  std::string key;
};
// InvalidArgument, naming the option and the file, for one that cannot be read or is no PEM, and
// for a certificate or a key without the other.
absl::StatusOr<TlsTexts> ReadTls(const TlsOptions& options);

// For SubscriberOptions::credentials; the files are read once. Fails as ReadTls.
//
//   auto credentials = mmsmo::TlsCredentials({.ca = "ca.pem"});
//   if (!credentials.ok()) return credentials.status();
//   mmsmo::Subscriber subscriber({.target = "gateway:9090", .credentials = *credentials});
absl::StatusOr<std::shared_ptr<grpc::ChannelCredentials>> TlsCredentials(const TlsOptions& options);

// What to look at where a message of gRPC, or of OpenSSL, says that a handshake failed: begins with
// "; ", empty for any other message.
std::string TlsRemedy(std::string_view message);

}  // namespace mmsmo
