// mmsmo: a gateway's command line.

#include <exception>

#include "client/command/command.h"
#include "fmt/format.h"
#include "version.h"

int main(int argc, char** argv) {
  using mmsmo::command::Context;
  CLI::App app("Sends postbacks to an mmsmo-gateway and reads its events.", "mmsmo");
  app.set_version_flag("--version", "mmsmo " MMSMO_VERSION);
  Context context;
  app.add_option("--grpc", context.grpc, "The gateway's gRPC address, HOST:PORT or unix:PATH")
      ->envname("MMSMO_GRPC")
      ->capture_default_str();
  app.require_subcommand(1);
  app.fallthrough();
  app.footer("Exit codes: 0 success, 1 failure, 2 a wrong command line.");
  mmsmo::command::AddTail(&app, &context);
  mmsmo::command::AddSend(&app, &context);
  mmsmo::command::AddGet(&app, &context);
  mmsmo::command::AddRaw(&app, &context);
  mmsmo::command::AddQuarantine(&app, &context);
  mmsmo::command::AddSubscription(&app, &context);
  mmsmo::command::AddSubscribe(&app, &context);
  mmsmo::command::AddDeadLetters(&app, &context);
  try {
    app.parse(argc, argv);
    return context.run();
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? mmsmo::command::kOk : mmsmo::command::kUsage;
  } catch (const std::exception& error) {
    fmt::print(stderr, "mmsmo: {}\n", error.what());
    return mmsmo::command::kFailed;
  }
}
