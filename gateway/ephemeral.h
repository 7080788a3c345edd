// A gateway for somebody's tests: in a directory of its own, on free ports of this machine, and
// gone with the test.

#pragma once

#include <string>

#include "absl/status/statusor.h"

namespace mmsmo {

// An empty directory below TMPDIR, or /tmp, which goes with all that is in it.
class TemporaryDirectory {
 public:
  // An error says why there can be none.
  static absl::StatusOr<TemporaryDirectory> Make();
  TemporaryDirectory(TemporaryDirectory&& other) noexcept;
  TemporaryDirectory& operator=(TemporaryDirectory&&) = delete;
  ~TemporaryDirectory();

  const std::string& path() const { return path_; }

 private:
  explicit TemporaryDirectory(std::string path);

  std::string path_;
};

// Sends this process SIGTERM once its standard input ends, as a pipe does when the process at its
// other end has gone. SIGTERM must be blocked already.
void EndWithStandardInput();

}  // namespace mmsmo
