#include "client/command/shell.h"

#include <spawn.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstring>

#include "fmt/format.h"

namespace mmsmo::command {
namespace {

constexpr int kExitOfSignal = 128;

absl::Status Failed(const char* what, int error) {
  return absl::InternalError(fmt::format("{}: {}", what, std::strerror(error)));
}

// A file in memory rather than a pipe: a command that does not read its input can neither block
// nor break anything.
absl::StatusOr<int> FileWith(const std::string& content) {
  const int file = memfd_create("event", MFD_CLOEXEC);
  if (file < 0) return Failed("memfd_create", errno);
  const ssize_t written = pwrite(file, content.data(), content.size(), 0);
  if (written == static_cast<ssize_t>(content.size())) return file;
  const int error = errno;
  close(file);
  return Failed("write", error);
}

int Spawn(const std::string& command, int input, pid_t* pid) {
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, input, STDIN_FILENO);
  posix_spawnattr_t attributes;
  posix_spawnattr_init(&attributes);
  sigset_t none;
  sigemptyset(&none);  // this process may have blocked some
  posix_spawnattr_setsigmask(&attributes, &none);
  sigset_t pipe;
  sigemptyset(&pipe);
  sigaddset(&pipe, SIGPIPE);  // this process may ignore it
  posix_spawnattr_setsigdefault(&attributes, &pipe);
  posix_spawnattr_setflags(&attributes,
                           POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETPGROUP);
  const char* const arguments[] = {"sh", "-c", command.c_str(), nullptr};
  const int error = posix_spawn(pid, "/bin/sh", &actions, &attributes,
                                const_cast<char* const*>(arguments), environ);
  posix_spawn_file_actions_destroy(&actions);
  posix_spawnattr_destroy(&attributes);
  return error;
}

}  // namespace

absl::StatusOr<int> RunShell(const std::string& command, const std::string& input) {
  const absl::StatusOr<int> file = FileWith(input);
  if (!file.ok()) return file.status();
  pid_t pid = 0;
  const int error = Spawn(command, *file, &pid);
  close(*file);
  if (error != 0) return Failed("/bin/sh", error);
  int status = 0;
  while (waitpid(pid, &status, 0) < 0) {
    if (errno != EINTR) return Failed("waitpid", errno);
  }
  return WIFEXITED(status) ? WEXITSTATUS(status) : kExitOfSignal + WTERMSIG(status);
}

}  // namespace mmsmo::command
