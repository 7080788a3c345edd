#include "client/command/output.h"

#include <stdio_ext.h>

#include <cerrno>
#include <cstdio>
#include <system_error>

#include "client/command/print.h"

namespace mmsmo::command {
namespace {

// What was lost is not tried again, nor said again.
[[noreturn]] void Fail() {
  const int error = errno;
  __fpurge(stdout);
  throw std::system_error(error, std::generic_category(), "standard output");
}

}  // namespace

void Write(std::string_view text) {
  if (std::fwrite(text.data(), 1, text.size(), stdout) != text.size()) Fail();
}

void Flush() {
  if (std::fflush(stdout) != 0) Fail();
}

bool Print(std::string_view text) try {
  Write(text);
  Flush();
  return true;
} catch (const std::system_error& error) {
  Complain(error.what());
  return false;
}

void Say(std::string_view text) { std::fwrite(text.data(), 1, text.size(), stderr); }

void Complain(std::string_view message) {
  std::fflush(stdout);
  Say(Visible(message) + "\n");
}

}  // namespace mmsmo::command
