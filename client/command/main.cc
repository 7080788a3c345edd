// mmsmo: a gateway's command line.

#include <fcntl.h>
#include <unistd.h>

#include <csignal>
#include <exception>
#include <sstream>

#include "client/command/command.h"
#include "client/command/output.h"
#include "client/command/tls.h"
#include "fmt/format.h"
#include "version.h"

namespace {

namespace command = mmsmo::command;

int Run(int argc, char** argv) {
  CLI::App app("Sends postbacks to an mmsmo-gateway and reads its events.", "mmsmo");
  app.set_version_flag("--version", "mmsmo " MMSMO_VERSION);
  command::Context context;
  command::AddConnection(&app, &context);
  command::AddTls(&app, &context);
  app.require_subcommand(1);
  app.fallthrough();
  app.footer("Exit codes: 0 success, 1 failure, 2 a wrong command line.");
  command::AddTail(&app, &context);
  command::AddSend(&app, &context);
  command::AddGet(&app, &context);
  command::AddRaw(&app, &context);
  command::AddQuarantine(&app, &context);
  command::AddSubscription(&app, &context);
  command::AddSubscribe(&app, &context);
  command::AddForward(&app, &context);
  command::AddDeadLetters(&app, &context);
  command::AddAudit(&app, &context);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    std::ostringstream out, err;
    const bool ok = app.exit(error, out, err) == 0;
    command::Write(out.str());
    command::Say(err.str());
    return ok ? command::kOk : command::kUsage;
  }
  if (context.calls && !(command::PrepareTls(&context) && command::PrepareToken(&context)))
    return command::kUsage;
  return context.run();
}

}  // namespace

int main(int argc, char** argv) {
  // What is opened next must not be taken for a standard stream that was closed.
  for (const int fd : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) {
    if (fcntl(fd, F_GETFD) == -1) open("/dev/null", fd == STDIN_FILENO ? O_WRONLY : O_RDONLY);
  }
  std::signal(SIGPIPE, SIG_IGN);  // a pipe that is closed is output that cannot be written
  try {
    const int exit_code = Run(argc, argv);
    command::Flush();
    return exit_code;
  } catch (const std::exception& error) {
    command::Complain(fmt::format("mmsmo: {}", error.what()));
    return command::kFailed;
  }
}
