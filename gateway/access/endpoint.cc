#include "gateway/access/endpoint.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

#include <algorithm>
#include <cctype>
#include <charconv>
#include <utility>

#include "absl/strings/escaping.h"
#include "gateway/access/pattern.h"
#include "gateway/base/status.h"

namespace mmsmo::access {
namespace {

constexpr size_t kMaxNameBytes = 128;

bool IsHexDigit(char c) { return std::isxdigit(static_cast<unsigned char>(c)) != 0; }
bool IsAlnum(char c) { return std::isalnum(static_cast<unsigned char>(c)) != 0; }

// A token of RFC 9110, 5.6.2.
bool IsFieldName(std::string_view name) {
  constexpr std::string_view kBeside = "!#$%&'*+-.^_`|~";
  return !name.empty() && std::all_of(name.begin(), name.end(), [&](char c) {
    return IsAlnum(c) || kBeside.find(c) != std::string_view::npos;
  });
}

bool IsName(std::string_view name) {
  return name.size() <= kMaxNameBytes &&
         std::none_of(name.begin(), name.end(),
                      [](unsigned char c) { return c < 0x20 || c == 0x7f; });
}

std::optional<std::string_view> AuthorizationOf(FieldOf field, std::string_view scheme) {
  const std::optional<std::string_view> value = field("Authorization");
  return value ? CredentialsOf(*value, scheme) : std::nullopt;
}

bool PassesBasic(const std::vector<std::string>& secrets, FieldOf field) {
  const auto credentials = AuthorizationOf(field, "Basic");
  std::string decoded;
  return credentials &&
         absl::Base64Unescape({credentials->data(), credentials->size()}, &decoded) &&
         IsOneOf(secrets, decoded);
}

std::string Hmac(HmacCheck::Algorithm algorithm, std::string_view secret, std::string_view text) {
  unsigned char mac[EVP_MAX_MD_SIZE];
  unsigned int size = 0;
  HMAC(algorithm == HmacCheck::Algorithm::kSha512 ? EVP_sha512() : EVP_sha256(), secret.data(),
       static_cast<int>(secret.size()), reinterpret_cast<const unsigned char*>(text.data()),
       text.size(), mac, &size);
  return {reinterpret_cast<const char*>(mac), size};
}

std::optional<std::string> DecodeSignature(const HmacCheck& check, std::string_view text) {
  if (!text.starts_with(check.prefix)) return std::nullopt;
  text.remove_prefix(check.prefix.size());
  std::string bytes;
  if (check.encoding == HmacCheck::Encoding::kBase64) {
    if (!absl::Base64Unescape({text.data(), text.size()}, &bytes)) return std::nullopt;
    return bytes;
  }
  if (text.size() % 2 != 0 || !std::all_of(text.begin(), text.end(), IsHexDigit))
    return std::nullopt;
  return absl::HexStringToBytes({text.data(), text.size()});
}

bool IsRecent(std::string_view timestamp, int64_t now_millis, int64_t tolerance_millis) {
  constexpr int64_t kMostSeconds = 1'000'000'000'000;
  int64_t seconds = -1;
  const auto [end, error] =
      std::from_chars(timestamp.data(), timestamp.data() + timestamp.size(), seconds);
  if (error != std::errc() || end != timestamp.data() + timestamp.size()) return false;
  if (seconds < 0 || seconds > kMostSeconds) return false;
  return std::abs(seconds * 1000 - now_millis) <= tolerance_millis;
}

bool PassesCertificate(const CertificateCheck& check, const Certificate* certificate) {
  if (certificate == nullptr) return false;
  if (!check.issuer.empty() && certificate->issuer != check.issuer) return false;
  if (check.sans.empty()) return true;
  return std::any_of(check.sans.begin(), check.sans.end(), [&](const std::string& pattern) {
    return std::any_of(certificate->sans.begin(), certificate->sans.end(),
                       [&](const std::string& san) { return MatchesLabels(pattern, san); });
  });
}

absl::Status CheckSettings(const EndpointSettings& settings) {
  if (!IsName(settings.name)) {
    return InvalidArgument("name: it must have at most {} bytes, none of them a control character",
                           kMaxNameBytes);
  }
  if (auto status = CheckPath(settings.path); !status.ok())
    return InvalidArgument("path: {}", MessageOf(status));
  if (settings.rate < 0) return InvalidArgument("rate: it must not be negative");
  if (settings.basic && !settings.bearer_tokens.empty())
    return InvalidArgument("bearer: no request can pass it and basic: both are in one field");
  if (settings.basic) {
    const std::string& user = settings.basic->user;
    if (user.empty() || user.find(':') != std::string::npos)
      return InvalidArgument("basic: user: it must be there and have no colon");
    if (settings.basic->passwords.empty())
      return InvalidArgument("basic: give password-file or password-env");
  }
  if (settings.header) {
    if (!IsFieldName(settings.header->field))
      return InvalidArgument("header: name: '{}' is no name of a field", settings.header->field);
    if (settings.header->values.empty())
      return InvalidArgument("header: give value-file or value-env");
  }
  if (settings.hmac) {
    const HmacCheck& hmac = *settings.hmac;
    if (!IsFieldName(hmac.field))
      return InvalidArgument("hmac: header: '{}' is no name of a field", hmac.field);
    if (!hmac.timestamp_field.empty() && !IsFieldName(hmac.timestamp_field)) {
      return InvalidArgument("hmac: timestamp-header: '{}' is no name of a field",
                             hmac.timestamp_field);
    }
    if (hmac.secrets.empty()) return InvalidArgument("hmac: give secret-file or secret-env");
  }
  if (settings.certificate && settings.certificate->sans.empty() &&
      settings.certificate->issuer.empty()) {
    return InvalidArgument("client-certificate: give san or issuer");
  }
  return absl::OkStatus();
}

absl::Status Under(std::string_view key, const absl::Status& status) {
  return MakeStatus(status.code(), fmt::format("{}: {}", key, MessageOf(status)));
}

}  // namespace

bool EndpointSettings::IsOpen() const {
  return path_secrets.empty() && !basic && bearer_tokens.empty() && !header && !hmac &&
         !certificate && allow_from.empty();
}

std::string_view Name(Check check) {
  switch (check) {
    case Check::kPath:
      return "path";
    case Check::kAddress:
      return "address";
    case Check::kCertificate:
      return "certificate";
    case Check::kBasic:
      return "basic";
    case Check::kBearer:
      return "bearer";
    case Check::kHeader:
      return "header";
    case Check::kHmac:
      return "hmac";
  }
  return "";
}

absl::StatusOr<std::shared_ptr<const Endpoint>> Endpoint::Make(EndpointSettings settings,
                                                               SecretReader* reader) {
  if (auto status = CheckSettings(settings); !status.ok()) return status;
  std::shared_ptr<Endpoint> endpoint(new Endpoint(std::move(settings)));
  for (const std::string& text : endpoint->settings_.allow_from) {
    auto range = AddressRange::Parse(text);
    if (!range.ok()) return Under("allow-from", range.status());
    endpoint->allow_from_.push_back(*range);
  }
  if (auto status = endpoint->ReadSecrets(reader); !status.ok()) return status;
  const EndpointSettings& has = endpoint->settings_;
  const auto passes = [&](bool checked, const char* word) {
    if (checked) endpoint->verified_by_.emplace_back(word);
  };
  passes(has.basic.has_value(), "basic");
  passes(has.header.has_value() || !has.bearer_tokens.empty(), "bearer");
  passes(has.hmac.has_value(), "hmac");
  passes(has.certificate.has_value(), "mtls");
  passes(!has.allow_from.empty(), "address");
  passes(!has.path_secrets.empty(), "path");
  return std::shared_ptr<const Endpoint>(std::move(endpoint));
}

absl::Status Endpoint::ReadSecrets(SecretReader* reader) {
  const auto read = [reader](const SecretSources& sources, std::string_view key,
                             std::vector<std::string>* secrets) -> absl::Status {
    auto found = reader->Read(sources);
    if (!found.ok()) return Under(key, found.status());
    *secrets = *std::move(found);
    return absl::OkStatus();
  };
  if (settings_.basic) {
    if (auto status = read(settings_.basic->passwords, "basic", &basic_); !status.ok())
      return status;
    for (std::string& secret : basic_) secret.insert(0, settings_.basic->user + ":");
  }
  if (auto status = read(settings_.bearer_tokens, "bearer", &bearer_); !status.ok()) return status;
  if (settings_.header) {
    if (auto status = read(settings_.header->values, "header", &header_); !status.ok())
      return status;
  }
  if (settings_.hmac) {
    if (auto status = read(settings_.hmac->secrets, "hmac", &hmac_); !status.ok()) return status;
  }
  constexpr std::string_view kPathKey = "path-secret";
  if (auto status = read(settings_.path_secrets, kPathKey, &path_secrets_); !status.ok())
    return status;
  for (const std::string& secret : path_secrets_) {
    const bool is_segment = std::all_of(secret.begin(), secret.end(), [](char c) {
      return IsAlnum(c) || c == '-' || c == '.' || c == '_' || c == '~';
    });
    if (!is_segment) {
      return InvalidArgument(
          "{}: it may have letters, digits, hyphens, dots, underscores and tildes", kPathKey);
    }
  }
  return absl::OkStatus();
}

bool Endpoint::HasSecretsOf(const Endpoint& other) const {
  return path_secrets_ == other.path_secrets_ && basic_ == other.basic_ &&
         bearer_ == other.bearer_ && header_ == other.header_ && hmac_ == other.hmac_;
}

bool Endpoint::IsPathSecret(std::string_view segment) const {
  return IsOneOf(path_secrets_, segment);
}

std::optional<Check> Endpoint::CheckHeader(const Peer& peer, FieldOf field) const {
  if (!allow_from_.empty() && !(peer.address && IsIn(allow_from_, *peer.address)))
    return Check::kAddress;
  if (settings_.certificate && !PassesCertificate(*settings_.certificate, peer.certificate.get()))
    return Check::kCertificate;
  if (settings_.basic && !PassesBasic(basic_, field)) return Check::kBasic;
  if (!bearer_.empty()) {
    const auto token = AuthorizationOf(field, "Bearer");
    if (!token || !IsOneOf(bearer_, *token)) return Check::kBearer;
  }
  if (settings_.header) {
    const auto value = field(settings_.header->field);
    if (!value || !IsOneOf(header_, *value)) return Check::kHeader;
  }
  if (settings_.hmac) {
    const HmacCheck& hmac = *settings_.hmac;
    if (!field(hmac.field)) return Check::kHmac;
    if (!hmac.timestamp_field.empty() && !field(hmac.timestamp_field)) return Check::kHmac;
  }
  return std::nullopt;
}

Signature Endpoint::SignatureOf(FieldOf field) const {
  Signature signature;
  if (!settings_.hmac) return signature;
  signature.value = field(settings_.hmac->field).value_or("");
  if (!settings_.hmac->timestamp_field.empty())
    signature.timestamp = field(settings_.hmac->timestamp_field).value_or("");
  return signature;
}

std::optional<Check> Endpoint::CheckBody(const Signature& signature, std::string_view body,
                                         int64_t now_millis) const {
  if (!settings_.hmac) return std::nullopt;
  const HmacCheck& check = *settings_.hmac;
  std::string with_timestamp;
  if (!check.timestamp_field.empty()) {
    if (!IsRecent(signature.timestamp, now_millis, check.tolerance_millis)) return Check::kHmac;
    with_timestamp = fmt::format("{}.{}", signature.timestamp, body);
    body = with_timestamp;
  }
  const std::optional<std::string> given = DecodeSignature(check, signature.value);
  bool passes = false;
  for (const std::string& secret : hmac_) {
    const std::string mac = Hmac(check.algorithm, secret, body);
    passes |= given && given->size() == mac.size() &&
              CRYPTO_memcmp(given->data(), mac.data(), mac.size()) == 0;
  }
  return passes ? std::nullopt : std::optional(Check::kHmac);
}

std::string Endpoint::Challenge() const {
  std::string challenge;
  const auto add = [&](std::string_view scheme) {
    challenge += fmt::format("{}{} realm=\"postbacks\"", challenge.empty() ? "" : ", ", scheme);
  };
  if (settings_.basic) add("Basic");
  if (!bearer_.empty()) add("Bearer");
  if (settings_.header) add("Token");
  if (settings_.hmac) add("Signature");
  return challenge;
}

absl::Status CheckPath(std::string_view path) {
  constexpr std::string_view kBesideLettersAndDigits = "/-._~!$&'()*+,;=:@";
  if (!path.starts_with('/')) return InvalidArgument("'{}' must begin with /", path);
  for (size_t i = 0; i < path.size(); ++i) {
    if (path[i] == '%' && i + 2 < path.size() && IsHexDigit(path[i + 1]) && IsHexDigit(path[i + 2]))
      continue;
    if (IsAlnum(path[i])) continue;
    if (kBesideLettersAndDigits.find(path[i]) != std::string_view::npos) continue;
    return InvalidArgument(
        "'{}' is no path that a request can have: byte {} must be percent-encoded, or goes into no "
        "path",
        path, i + 1);
  }
  return absl::OkStatus();
}

}  // namespace mmsmo::access
