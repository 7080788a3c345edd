#include "client/command/tls.h"

#include <boost/asio/buffer.hpp>
#include <string_view>

#include "client/command/output.h"
#include "fmt/format.h"

namespace mmsmo::command {

namespace asio = boost::asio;
using boost::system::error_code;

void AddTls(CLI::App* app, Context* context) {
  const auto file = [app](const char* name, std::string* path, const char* variable,
                          const char* help) {
    app->add_option(name, *path, help)->envname(variable);
  };
  app->add_flag("--tls", context->tls, "Encrypt gRPC; any of the next four does that, too")
      ->envname("MMSMO_TLS");
  file("--ca", &context->tls_options.ca, "MMSMO_CA",
       "A PEM file with whom the gateway's certificate must be signed by; else whom the system "
       "trusts");
  file("--cert", &context->tls_options.cert, "MMSMO_CERT", "A PEM file with a client certificate");
  file("--key", &context->tls_options.key, "MMSMO_KEY", "A PEM file with its private key");
  file("--server-name", &context->server_name, "MMSMO_SERVER_NAME",
       "The name that the gateway's certificate must have, where it is not the target's host");
}

bool PrepareTls(Context* context) {
  const TlsOptions& options = context->tls_options;
  context->tls |= !options.ca.empty() || !options.cert.empty() || !options.key.empty() ||
                  !context->server_name.empty();
  if (!context->tls) return true;
  auto credentials = TlsCredentials(options);
  if (!credentials.ok()) {
    Complain(fmt::format("--{}", std::string(credentials.status().message())));
    return false;
  }
  context->credentials = *std::move(credentials);
  return true;
}

absl::StatusOr<std::shared_ptr<asio::ssl::context>> HttpsContext(const TlsOptions& options) {
  const auto texts = ReadTls(options);
  if (!texts.ok()) return texts.status();
  auto context = std::make_shared<asio::ssl::context>(asio::ssl::context::tls_client);
  SSL_CTX_set_min_proto_version(context->native_handle(), TLS1_2_VERSION);
  context->set_verify_mode(asio::ssl::verify_peer);
  error_code error;
  const auto wrong = [&error](std::string_view option, const std::string& path) {
    return absl::InvalidArgumentError(
        fmt::format("{}: '{}' cannot be used: {}", option, path, error.message()));
  };
  if (texts->ca.empty()) {
    context->set_default_verify_paths(error);
  } else if (context->add_certificate_authority(asio::buffer(texts->ca), error); error) {
    return wrong("ca", options.ca);
  }
  if (texts->cert.empty()) return context;
  if (context->use_certificate_chain(asio::buffer(texts->cert), error); error)
    return wrong("cert", options.cert);
  if (context->use_private_key(asio::buffer(texts->key), asio::ssl::context::pem, error); error)
    return wrong("key", options.key);
  return context;
}

bool PrepareUrl(const Context& context, std::string_view option, std::string_view text, Url* url,
                Https* https) {
  auto parsed = ParseUrl(text);
  if (!parsed.ok()) {
    Complain(fmt::format("{}: {}", option, std::string(parsed.status().message())));
    return false;
  }
  *url = *std::move(parsed);
  if (!url->tls) return true;
  auto made = HttpsContext(context.tls_options);
  if (!made.ok()) {
    Complain(fmt::format("--{}", std::string(made.status().message())));
    return false;
  }
  *https = {.context = *std::move(made), .server_name = context.server_name};
  return true;
}

}  // namespace mmsmo::command
