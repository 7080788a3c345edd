// One header for the commands of `mmsmo`: each declares its options and says what to run.

#pragma once

#include <CLI/CLI.hpp>
#include <functional>
#include <memory>
#include <string>

#include "mmsmo/subscriber.h"
#include "mmsmo/tls.h"
#include "mmsmo/token.h"

namespace mmsmo::command {

constexpr int kOk = 0;
constexpr int kFailed = 1;  // the gateway, the network, a file
constexpr int kUsage = 2;   // the command line

// What the commands share.
struct Context {
  std::string grpc = "127.0.0.1:9090";
  bool tls = false;
  TlsOptions tls_options;
  std::string server_name;
  // For gRPC, once the command line is read; null: without encryption.
  std::shared_ptr<grpc::ChannelCredentials> credentials;
  std::string token_file;
  bool send_secret_unencrypted = false;
  // That of the file or of MMSMO_TOKEN, once the command line is read; null: none.
  std::shared_ptr<Token> token;
  // Set by the command that was chosen: whether it calls a gateway over gRPC, and what to run,
  // which returns the exit code.
  bool calls = true;
  std::function<int()> run;
};

// Declares what is needed to reach a gateway.
void AddConnection(CLI::App* app, Context* context);
// Reads the token for a command that calls one. False, with the reason on stderr, where there is
// none to be had, or it must not be sent.
bool PrepareToken(Context* context);

// Of a client of the gateway that the command line names: says on stderr that it connects again.
SubscriberOptions SubscriberOptionsFor(const Context& context, std::string client_id);

void AddTail(CLI::App* app, Context* context);
void AddSend(CLI::App* app, Context* context);
void AddGet(CLI::App* app, Context* context);
void AddRaw(CLI::App* app, Context* context);
void AddQuarantine(CLI::App* app, Context* context);
void AddSubscription(CLI::App* app, Context* context);
void AddSubscribe(CLI::App* app, Context* context);
void AddForward(CLI::App* app, Context* context);
void AddDeadLetters(CLI::App* app, Context* context);
void AddAudit(CLI::App* app, Context* context);

}  // namespace mmsmo::command
