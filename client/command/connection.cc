#include "client/connection.h"

#include <cstdlib>
#include <string>
#include <utility>

#include "client/command/command.h"
#include "client/command/output.h"
#include "fmt/format.h"

namespace mmsmo::command {
namespace {

bool Refuse(std::string_view option, const absl::Status& why) {
  Complain(fmt::format("{}: {}", option, std::string(why.message())));
  return false;
}

}  // namespace

void AddConnection(CLI::App* app, Context* context) {
  app->add_option("--grpc", context->grpc, "The gateway's gRPC address, HOST:PORT or unix:PATH")
      ->envname("MMSMO_GRPC")
      ->capture_default_str();
  app->add_option("--token-file", context->token_file,
                  "A file with the token to show to the gateway; or MMSMO_TOKEN is the token")
      ->envname("MMSMO_TOKEN_FILE");
  app->add_flag("--send-secret-unencrypted", context->send_secret_unencrypted,
                "Send the token or another secret although others can read it on its way");
}

bool PrepareToken(Context* context) {
  const char* const text = std::getenv("MMSMO_TOKEN");
  const bool from_file = !context->token_file.empty();
  if (!from_file && text == nullptr) return true;
  auto token = from_file ? Token::FromFile(context->token_file) : Token::Of(text);
  const char* const option = from_file ? "--token-file" : "MMSMO_TOKEN";
  if (!token.ok()) return Refuse(option, token.status());
  context->token = *std::move(token);
  const absl::Status status = CheckToken(context->grpc, /*encrypted=*/context->tls,
                                         context->token.get(), context->send_secret_unencrypted);
  return status.ok() || Refuse("--send-secret-unencrypted", status);
}

SubscriberOptions SubscriberOptionsFor(const Context& context, std::string client_id) {
  SubscriberOptions options{.target = context.grpc,
                            .credentials = context.credentials,
                            .server_name = context.server_name,
                            .token = context.token,
                            .send_token_unencrypted = context.send_secret_unencrypted,
                            .client_id = std::move(client_id)};
  options.on_disconnected = [](const absl::Status& status) {
    Complain(fmt::format("{}; trying again", std::string(status.message())));
  };
  return options;
}

}  // namespace mmsmo::command
