// An endpoint: a path that a provider POSTs to, and what a request must show to be let in there.

#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/statusor.h"
#include "gateway/access/address.h"
#include "gateway/access/secret.h"

namespace mmsmo::access {

struct BasicCheck {
  std::string user;
  SecretSources passwords;

  bool operator==(const BasicCheck&) const = default;
};

struct HeaderCheck {
  std::string field;
  SecretSources values;

  bool operator==(const HeaderCheck&) const = default;
};

// A signature of the body as it was received, or of "TIMESTAMP.BODY".
struct HmacCheck {
  std::string field;  // that has the signature
  SecretSources secrets;
  enum class Algorithm { kSha256, kSha512 } algorithm = Algorithm::kSha256;
  enum class Encoding { kHex, kBase64 } encoding = Encoding::kHex;
  std::string prefix;                  // that stands before the signature
  std::string timestamp_field;         // seconds since 1970; empty: nothing is signed but the body
  int64_t tolerance_millis = 300'000;  // that the timestamp may be off

  bool operator==(const HmacCheck&) const = default;
};

struct CertificateCheck {
  std::vector<std::string> sans;  // "*" is one label; one of them is enough
  std::string issuer;             // its distinguished name as RFC 2253 writes it; empty: any

  bool operator==(const CertificateCheck&) const = default;
};

// As declared in the configuration file. All checks that there are must pass.
struct EndpointSettings {
  std::string name;
  std::string path;
  uint64_t max_body_bytes = 0;  // 0: as of every other
  double rate = 0;              // postbacks a second; 0: no limit
  SecretSources path_secrets;   // of which one follows the path, as a segment of its own
  std::optional<BasicCheck> basic;
  SecretSources bearer_tokens;
  std::optional<HeaderCheck> header;
  std::optional<HmacCheck> hmac;
  std::optional<CertificateCheck> certificate;
  std::vector<std::string> allow_from;  // addresses and ranges

  // Whether everybody is let in.
  bool IsOpen() const;
  bool operator==(const EndpointSettings&) const = default;
};

enum class Check { kPath, kAddress, kCertificate, kBasic, kBearer, kHeader, kHmac };
// "path", "address", "certificate", "basic", "bearer", "header" or "hmac".
std::string_view Name(Check check);

// Of the certificate that a client has shown and that was verified.
struct Certificate {
  std::vector<std::string> sans;
  std::string issuer;
};

// Who sends a request.
struct Peer {
  std::optional<Address> address;  // unknown of a unix socket
  std::shared_ptr<const Certificate> certificate;
};

// The value of a field of the request's header; nothing where it does not stand there exactly once.
using FieldOf = absl::FunctionRef<std::optional<std::string_view>(std::string_view name)>;

// What a signature is checked with once the body is there.
struct Signature {
  std::string value;
  std::string timestamp;
};

// Constant.
class Endpoint {
 public:
  // Reads the secrets. InvalidArgument and FailedPrecondition name the key that is wrong.
  static absl::StatusOr<std::shared_ptr<const Endpoint>> Make(EndpointSettings settings,
                                                              SecretReader* reader);

  const EndpointSettings& settings() const { return settings_; }
  // What whoever passed has shown, in the words of Event.verified_by. Empty: nobody is checked.
  const std::vector<std::string>& verified_by() const { return verified_by_; }

  // Whether both let in who has the same secrets.
  bool HasSecretsOf(const Endpoint& other) const;
  // Whether `segment` is one of its path's secrets.
  bool IsPathSecret(std::string_view segment) const;
  // The check that a request fails of those that need no body; nothing where it passes them.
  std::optional<Check> CheckHeader(const Peer& peer, FieldOf field) const;
  // Of a request that has passed those.
  Signature SignatureOf(FieldOf field) const;
  // The check that its body fails. `now_millis` since 1970.
  std::optional<Check> CheckBody(const Signature& signature, std::string_view body,
                                 int64_t now_millis) const;

  // The value of WWW-Authenticate in an answer 401.
  std::string Challenge() const;

 private:
  explicit Endpoint(EndpointSettings settings) : settings_(std::move(settings)) {}
  absl::Status ReadSecrets(SecretReader* reader);

  const EndpointSettings settings_;
  std::vector<AddressRange> allow_from_;
  std::vector<std::string> path_secrets_;
  std::vector<std::string> basic_;  // "user:password"
  std::vector<std::string> bearer_;
  std::vector<std::string> header_;
  std::vector<std::string> hmac_;
  std::vector<std::string> verified_by_;
};

// What a request's path can be (RFC 9112, 3.2.1): InvalidArgument says what is wrong.
absl::Status CheckPath(std::string_view path);

}  // namespace mmsmo::access
