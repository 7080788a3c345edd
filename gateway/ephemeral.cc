#include "gateway/ephemeral.h"

#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <thread>
#include <utility>

#include "gateway/base/status.h"

namespace mmsmo {

TemporaryDirectory::TemporaryDirectory(std::string path) : path_(std::move(path)) {}

TemporaryDirectory::TemporaryDirectory(TemporaryDirectory&& other) noexcept
    : path_(std::exchange(other.path_, {})) {}

TemporaryDirectory::~TemporaryDirectory() {
  std::error_code error;
  if (!path_.empty()) std::filesystem::remove_all(path_, error);
}

absl::StatusOr<TemporaryDirectory> TemporaryDirectory::Make() {
  const char* const parent = std::getenv("TMPDIR");
  std::string path =
      std::string(parent != nullptr && *parent != '\0' ? parent : "/tmp") + "/mmsmo-gateway-XXXXXX";
  if (mkdtemp(path.data()) == nullptr)
    return Unavailable("a temporary directory {} cannot be made: {}", path, std::strerror(errno));
  return TemporaryDirectory(std::move(path));
}

void EndWithStandardInput() {
  std::thread([] {
    char bytes[256];
    ssize_t got = 0;
    do {
      got = read(STDIN_FILENO, bytes, sizeof(bytes));
    } while (got > 0 || (got == -1 && errno == EINTR));
    kill(getpid(), SIGTERM);
  }).detach();
}

}  // namespace mmsmo
