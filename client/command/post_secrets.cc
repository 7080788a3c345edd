#include "client/command/post_secrets.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <sstream>

#include "absl/strings/escaping.h"
#include "fmt/format.h"

namespace mmsmo::command {
namespace {

// Without the newline that may end it.
absl::StatusOr<std::string> CheckSecret(std::string_view source, std::string text) {
  if (text.ends_with('\n')) text.pop_back();
  if (text.ends_with('\r')) text.pop_back();
  if (text.empty()) return absl::InvalidArgumentError(fmt::format("{}: it is empty", source));
  return text;
}

// Of the file, or of the variable where none is given; empty where both are not.
absl::StatusOr<std::string> ReadSecret(std::string_view option, const std::string& path,
                                       const char* variable = nullptr) {
  if (path.empty()) {
    const char* const text = variable == nullptr ? nullptr : std::getenv(variable);
    return text == nullptr ? absl::StatusOr<std::string>("") : CheckSecret(variable, text);
  }
  std::ifstream file(path, std::ios::binary);
  std::ostringstream text;
  if (file.peek() != std::ifstream::traits_type::eof()) text << file.rdbuf();
  if (!file.is_open() || file.bad())
    return absl::InvalidArgumentError(fmt::format("{}: '{}' cannot be read", option, path));
  return CheckSecret(fmt::format("{}: '{}'", option, path), text.str());
}

bool IsFieldValue(std::string_view text) {
  return std::all_of(text.begin(), text.end(), [](char c) { return c >= ' ' && c <= '~'; });
}

std::string Base64(std::string_view text) { return absl::Base64Escape({text.data(), text.size()}); }

std::string Signature(const SecretOptions& options, std::string_view secret,
                      std::string_view text) {
  unsigned char mac[EVP_MAX_MD_SIZE];
  unsigned int size = 0;
  HMAC(options.hmac_algorithm == "sha512" ? EVP_sha512() : EVP_sha256(), secret.data(),
       static_cast<int>(secret.size()), reinterpret_cast<const unsigned char*>(text.data()),
       text.size(), mac, &size);
  const std::string bytes(reinterpret_cast<const char*>(mac), size);
  return options.hmac_prefix +
         (options.hmac_encoding == "base64" ? Base64(bytes) : absl::BytesToHexString(bytes));
}

}  // namespace

void AddSecrets(CLI::App* send, SecretOptions* options) {
  CLI::Option_group* group = send->add_option_group("Who posts", "what an endpoint checks");
  const auto add = [group](const char* name, std::string* value, const char* help) {
    return group->add_option(name, *value, help);
  };
  add("--user", &options->user, "For HTTP basic, with --password-file, or MMSMO_PASSWORD");
  add("--password-file", &options->password_file, "A file with the password");
  add("--bearer-file", &options->bearer_file,
      "A file with a token for Authorization: Bearer; or MMSMO_BEARER is the token");
  auto* const header =
      add("--secret-header", &options->secret_header, "The name of a header with a secret");
  auto* const header_file =
      add("--secret-header-file", &options->secret_header_file, "A file with its value");
  header->needs(header_file);
  header_file->needs(header);
  auto* const hmac =
      add("--hmac-header", &options->hmac_header, "The name of a header with the body's HMAC");
  auto* const hmac_file =
      add("--hmac-secret-file", &options->hmac_secret_file, "A file with the HMAC's secret");
  hmac->needs(hmac_file);
  hmac_file->needs(hmac);
  add("--hmac-algorithm", &options->hmac_algorithm, "sha256 or sha512")
      ->check(CLI::IsMember({"sha256", "sha512"}))
      ->capture_default_str();
  add("--hmac-encoding", &options->hmac_encoding, "hex or base64")
      ->check(CLI::IsMember({"hex", "base64"}))
      ->capture_default_str();
  add("--hmac-prefix", &options->hmac_prefix, "What stands before it, such as sha256=");
  add("--hmac-timestamp-header", &options->hmac_timestamp_header,
      "The name of a header with the time in seconds, which is signed, too");
}

absl::StatusOr<PostSecrets> PostSecrets::Read(const SecretOptions& options) {
  PostSecrets secrets;
  secrets.options_ = options;
  const auto password = ReadSecret("--password-file", options.password_file,
                                   options.user.empty() ? nullptr : "MMSMO_PASSWORD");
  if (!password.ok()) return password.status();
  if (options.user.empty() != password->empty())
    return absl::InvalidArgumentError("--user and --password-file go together");
  const auto bearer = ReadSecret("--bearer-file", options.bearer_file,
                                 options.user.empty() ? "MMSMO_BEARER" : nullptr);
  if (!bearer.ok()) return bearer.status();
  const auto header = ReadSecret("--secret-header-file", options.secret_header_file);
  if (!header.ok()) return header.status();
  const auto hmac = ReadSecret("--hmac-secret-file", options.hmac_secret_file);
  if (!hmac.ok()) return hmac.status();
  if (!options.user.empty() && !bearer->empty())
    return absl::InvalidArgumentError("--bearer-file: --user fills the same header");
  if (!IsFieldValue(*bearer))
    return absl::InvalidArgumentError("--bearer-file: a token has visible ASCII characters only");
  if (!IsFieldValue(*header))
    return absl::InvalidArgumentError("--secret-header-file: no header can have that value");
  if (!options.user.empty())
    secrets.fields_.emplace_back("Authorization",
                                 "Basic " + Base64(options.user + ":" + *password));
  if (!bearer->empty()) secrets.fields_.emplace_back("Authorization", "Bearer " + *bearer);
  if (!header->empty()) secrets.fields_.emplace_back(options.secret_header, *header);
  secrets.hmac_secret_ = *hmac;
  return secrets;
}

PostSecrets::Fields PostSecrets::FieldsFor(std::string_view body, int64_t unix_seconds) const {
  Fields fields = fields_;
  if (hmac_secret_.empty()) return fields;
  std::string text(body);
  if (!options_.hmac_timestamp_header.empty()) {
    text = fmt::format("{}.{}", unix_seconds, body);
    fields.emplace_back(options_.hmac_timestamp_header, std::to_string(unix_seconds));
  }
  fields.emplace_back(options_.hmac_header, Signature(options_, hmac_secret_, text));
  return fields;
}

}  // namespace mmsmo::command
