// Any text as the configuration file.

#include <simdjson.h>
#include <sys/mman.h>
#include <unistd.h>

#include <string>

#include "fmt/format.h"
#include "gateway/config.h"
#include "tests/fuzz/fuzz.h"

namespace mmsmo::fuzz {
namespace {

// A file in memory: one on a disk is what this would wait for.
class MemoryFile {
 public:
  MemoryFile() : fd_(memfd_create("fuzz", 0)), path_(fmt::format("/proc/self/fd/{}", fd_)) {
    Require(fd_ >= 0, "there is a file");
  }

  const std::string& path() const { return path_; }
  void Write(std::string_view text) const {
    Require(ftruncate(fd_, 0) == 0 &&
                pwrite(fd_, text.data(), text.size(), 0) == static_cast<ssize_t>(text.size()),
            "the file can be written");
  }

 private:
  const int fd_;
  const std::string path_;
};

CommandLine Parse(const std::string& file, bool print_config) {
  const char* arguments[] = {"mmsmo-gateway", "--config", file.c_str(), "--print-config"};
  return ParseCommandLine(print_config ? 4 : 3, arguments);
}

// What is wrong with settings together may not be the file's fault: it is said of one of them.
bool NamesSetting(std::string_view message) {
  for (const char* beginning : {"--", "http-listen: ", "grpc-listen: ", "endpoint '"}) {
    if (message.starts_with(beginning)) return true;
  }
  return false;
}

void RequireClear(std::string_view message, const std::string& file, std::string_view text) {
  Require(message.find(file) != std::string_view::npos || NamesSetting(message),
          "an error names the file, or a setting");
  Require(simdjson::validate_utf8(message.data(), message.size()), "an error is valid UTF-8");
  Require(message.size() <= 1024 + 4 * text.size(), "an error is not endless");
}

void Fuzz(std::string_view text) {
  static const MemoryFile memory;
  const std::string& file = memory.path();
  memory.Write(text);
  const CommandLine line = Parse(file, false);
  if (line.exit) {
    Require(line.exit_code == 2, "a wrong setting ends with 2");
    RequireClear(line.print, file, text);
    return;
  }
  const CommandLine printed = Parse(file, true);
  Require(printed.exit && printed.exit_code == 0, "what is read can be printed");
  memory.Write(printed.print);
  const CommandLine again = Parse(file, true);
  Require(again.exit_code == 0 && again.print == printed.print, "what is printed can be read");
}

}  // namespace
}  // namespace mmsmo::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  mmsmo::fuzz::Fuzz(mmsmo::fuzz::View(data, size));
  return 0;
}
