#include "gateway/access/secret.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <sys/stat.h>

#include <algorithm>
#include <cstdlib>
#include <utility>

#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "gateway/base/small_file.h"
#include "gateway/base/status.h"

namespace mmsmo::access {
namespace {

constexpr char kReloads[] = "mmsmo_access_reloads_total";
constexpr char kReloadsHelp[] =
    "Changes of the files of secrets that were seen: taken over, or broken, which keeps what was.";

// Fetched once: looking an algorithm up costs more than a short digest.
const EVP_MD* Sha256() {
  static const EVP_MD* const kSha256 = EVP_MD_fetch(nullptr, "SHA256", nullptr);
  return kSha256;
}

absl::StatusOr<std::string> Trimmed(std::string_view source, std::string secret) {
  if (secret.ends_with('\n')) secret.pop_back();
  if (secret.ends_with('\r')) secret.pop_back();
  if (secret.empty()) return InvalidArgument("{} is empty", source);
  if (secret.find_first_of(std::string_view("\r\n\0", 3)) != std::string::npos)
    return InvalidArgument("{} has more than one line, or a NUL byte", source);
  return secret;
}

}  // namespace

Digest DigestOf(std::string_view secret) {
  Digest digest;
  EVP_Digest(secret.data(), secret.size(), digest.data(), nullptr, Sha256(), nullptr);
  return digest;
}

absl::StatusOr<Digest> ParseDigest(std::string_view hex) {
  Digest digest;
  const bool is_hex = hex.find_first_not_of("0123456789abcdefABCDEF") == std::string_view::npos;
  if (hex.size() != 2 * digest.size() || !is_hex)
    return InvalidArgument("a SHA-256 has {} hexadecimal digits", 2 * digest.size());
  const std::string bytes = absl::HexStringToBytes({hex.data(), hex.size()});
  std::copy(bytes.begin(), bytes.end(), digest.begin());
  return digest;
}

bool IsOneOf(const std::vector<std::string>& secrets, std::string_view given) {
  bool found = false;
  for (const std::string& secret : secrets) {
    const bool is_as_long = secret.size() == given.size();
    const char* const other = is_as_long ? secret.data() : given.data();
    found |= (CRYPTO_memcmp(other, given.data(), given.size()) == 0) & is_as_long;
  }
  return found;
}

std::optional<std::string_view> CredentialsOf(std::string_view value, std::string_view scheme) {
  if (!absl::StartsWithIgnoreCase({value.data(), value.size()}, {scheme.data(), scheme.size()}))
    return std::nullopt;
  value.remove_prefix(scheme.size());
  if (!value.starts_with(' ')) return std::nullopt;
  value.remove_prefix(std::min(value.find_first_not_of(' '), value.size()));
  return value;
}

ReloadCounters::ReloadCounters(Metrics& metrics)
    : changed(metrics.Counter(kReloads, kReloadsHelp, {{"result", "changed"}})),
      kept(metrics.Counter(kReloads, kReloadsHelp, {{"result", "kept"}})) {}

absl::StatusOr<std::vector<std::string>> SecretReader::Read(const SecretSources& sources) {
  std::vector<std::string> secrets;
  const auto add = [&](std::string_view source, std::string content) -> absl::Status {
    auto secret = Trimmed(source, std::move(content));
    if (!secret.ok()) return secret.status();
    secrets.push_back(*std::move(secret));
    return absl::OkStatus();
  };
  for (const std::string& file : sources.files) {
    auto content = ReadSmallFile(file);
    if (!content.ok()) return content.status();
    if (auto status = add(fmt::format("'{}'", file), *std::move(content)); !status.ok())
      return status;
    if (struct stat info{}; stat(file.c_str(), &info) == 0 && (info.st_mode & S_IROTH) != 0)
      world_readable_.emplace(file, false);
  }
  for (const std::string& variable : sources.variables) {
    const char* const value = std::getenv(variable.c_str());
    if (value == nullptr)
      return FailedPrecondition("the environment variable {} is not set", variable);
    const std::string source = fmt::format("the environment variable {}", variable);
    if (auto status = add(source, value); !status.ok()) return status;
  }
  return secrets;
}

std::vector<std::string> SecretReader::TakeWorldReadable() {
  std::vector<std::string> files;
  for (auto& [file, told] : world_readable_) {
    if (!std::exchange(told, true)) files.push_back(file);
  }
  return files;
}

}  // namespace mmsmo::access
