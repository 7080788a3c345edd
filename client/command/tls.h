// Encryption: of gRPC where --tls or one of its files says so, of HTTP where the URL does.

#pragma once

#include <boost/asio/ssl/context.hpp>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "client/command/command.h"
#include "client/command/http_client.h"
#include "mmsmo/tls.h"

namespace mmsmo::command {

// Declares --tls, --ca, --cert, --key and --server-name.
void AddTls(CLI::App* app, Context* context);
// Reads the files for gRPC. False, with the reason on stderr, where that fails.
bool PrepareTls(Context* context);

// For HTTPS. Fails as ReadTls, and for what is no certificate or key.
absl::StatusOr<std::shared_ptr<boost::asio::ssl::context>> HttpsContext(const TlsOptions& options);

// For the URL that `option` gives, with the context of one of https. False, with the reason on
// stderr, for what is no URL, or where the context fails.
bool PrepareUrl(const Context& context, std::string_view option, std::string_view text, Url* url,
                Https* https);

}  // namespace mmsmo::command
