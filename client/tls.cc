#include "mmsmo/tls.h"

#include <fstream>
#include <sstream>

#include "fmt/format.h"

namespace mmsmo {
namespace {

absl::StatusOr<std::string> ReadPem(std::string_view option, const std::string& path) {
  if (path.empty()) return std::string();
  std::ifstream file(path, std::ios::binary);
  std::ostringstream text;
  if (file.peek() != std::ifstream::traits_type::eof()) text << file.rdbuf();
  if (!file.is_open() || file.bad())
    return absl::InvalidArgumentError(fmt::format("{}: '{}' cannot be read", option, path));
  if (text.str().find("-----BEGIN ") == std::string::npos)
    return absl::InvalidArgumentError(fmt::format("{}: '{}' is no PEM file", option, path));
  return text.str();
}

}  // namespace

absl::StatusOr<TlsTexts> ReadTls(const TlsOptions& options) {
  if (options.cert.empty() != options.key.empty())
    return absl::InvalidArgumentError("cert and key go together: give both, or neither");
  TlsTexts texts;
  for (const auto& [option, path, text] :
       {std::tuple("ca", &options.ca, &texts.ca), std::tuple("cert", &options.cert, &texts.cert),
        std::tuple("key", &options.key, &texts.key)}) {
    auto content = ReadPem(option, *path);
    if (!content.ok()) return content.status();
    *text = *std::move(content);
  }
  return texts;
}

absl::StatusOr<std::shared_ptr<grpc::ChannelCredentials>> TlsCredentials(
    const TlsOptions& options) {
  const auto texts = ReadTls(options);
  if (!texts.ok()) return texts.status();
  auto credentials = grpc::SslCredentials(
      {.pem_root_certs = texts->ca, .pem_private_key = texts->key, .pem_cert_chain = texts->cert});
  if (credentials == nullptr)
    return absl::InvalidArgumentError("ca, cert and key are not what they should be");
  return credentials;
}

std::string TlsRemedy(std::string_view message) {
  const struct {
    std::string_view sign;
    std::string_view remedy;
  } kRemedies[] = {
      {"certificate verify failed",
       "the gateway's certificate is not signed by whom this client trusts, or has expired: give "
       "its authority as ca"},
      {"Hostname Verification Check failed",
       "the gateway's certificate is for another name: give that as server name"},
      {"is not in peer certificate",
       "the gateway's certificate is for another name: give that as server name"},
      {"wrong version number", "nothing speaks TLS at this port"},
      {"alert no application protocol", "this port is not that of gRPC"},
      {"alert unknown ca", "the gateway does not trust who signed this client's certificate"},
      {"alert certificate expired", "this client's certificate has expired"},
      {"alert bad certificate", "the gateway refuses this client's certificate"},
  };
  for (const auto& [sign, remedy] : kRemedies) {
    if (message.find(sign) != std::string_view::npos) return fmt::format("; {}", remedy);
  }
  return "";
}

}  // namespace mmsmo
