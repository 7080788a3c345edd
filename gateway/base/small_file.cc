#include "gateway/base/small_file.h"

#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>

#include "gateway/base/status.h"

namespace mmsmo {

absl::StatusOr<std::string> ReadSmallFile(const std::string& path) {
  // A pipe without a writer would never open otherwise.
  const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (fd < 0) return FailedPrecondition("'{}' cannot be read: {}", path, std::strerror(errno));
  std::string content;
  std::array<char, 16 << 10> buffer;
  ssize_t count = 0;
  while (content.size() <= kMaxSmallFileBytes &&
         (count = read(fd, buffer.data(), buffer.size())) > 0) {
    content.append(buffer.data(), static_cast<size_t>(count));
  }
  const int error = errno;
  close(fd);
  if (count < 0) return FailedPrecondition("'{}' cannot be read: {}", path, std::strerror(error));
  if (content.size() > kMaxSmallFileBytes)
    return InvalidArgument("'{}' has more than {} bytes", path, kMaxSmallFileBytes);
  return content;
}

}  // namespace mmsmo
