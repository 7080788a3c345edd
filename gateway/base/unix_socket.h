// A listening unix socket, and the file that stands for it.

#pragma once

#include <sys/stat.h>

#include <memory>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace mmsmo {

// A setting's text for one is "unix:PATH".
bool IsUnixAddress(std::string_view listen);

// Not thread-safe.
class UnixSocket {
 public:
  // Listens at "unix:PATH". What stands there is replaced only where it is a socket of this user's
  // that nobody serves, as a killed process leaves it. `mode` are the file's permissions, whatever
  // the umask: who may write may connect. Errors name the setting: InvalidArgument for a path that
  // no socket can have, FailedPrecondition where it cannot be had.
  static absl::StatusOr<std::unique_ptr<UnixSocket>> Listen(std::string_view setting,
                                                            std::string_view listen, mode_t mode);
  // Removes the file, unless it is another's by now.
  ~UnixSocket();
  UnixSocket(const UnixSocket&) = delete;
  UnixSocket& operator=(const UnixSocket&) = delete;

  // Another descriptor of the socket, the caller's to close; -1 where there is none to be had.
  int Duplicate() const;

 private:
  UnixSocket(int fd, std::string path) : fd_(fd), path_(std::move(path)) {}
  absl::Status Bind(std::string_view setting, mode_t mode);

  const int fd_;  // open as long as this lives, so that no other file has its inode
  const std::string path_;
  bool bound_ = false;
  dev_t device_ = 0;
  ino_t inode_ = 0;
};

}  // namespace mmsmo
