// One header for the commands of `mmsmo`: each declares its options and says what to run.

#pragma once

#include <CLI/CLI.hpp>
#include <functional>
#include <memory>
#include <string>

#include "client/tls.h"

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
  // Set by the command that was chosen; returns the exit code.
  std::function<int()> run;
};

void AddTail(CLI::App* app, Context* context);
void AddSend(CLI::App* app, Context* context);
void AddGet(CLI::App* app, Context* context);
void AddRaw(CLI::App* app, Context* context);
void AddQuarantine(CLI::App* app, Context* context);
void AddSubscription(CLI::App* app, Context* context);
void AddSubscribe(CLI::App* app, Context* context);
void AddDeadLetters(CLI::App* app, Context* context);

}  // namespace mmsmo::command
