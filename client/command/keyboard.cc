#include "client/command/keyboard.h"

#include <fcntl.h>
#include <poll.h>
#include <termios.h>
#include <unistd.h>

#include <cstdlib>
#include <utility>

namespace mmsmo::command {
namespace {

termios before;  // this process came

// A shell's background job may not touch its terminal.
bool HasTerminal() { return tcgetpgrp(STDIN_FILENO) == getpgrp(); }

void Restore() {
  if (HasTerminal()) tcsetattr(STDIN_FILENO, TCSANOW, &before);
}

}  // namespace

Keyboard::Keyboard(std::function<void(char)> on_key) {
  if (!HasTerminal() || tcgetattr(STDIN_FILENO, &before) != 0 || pipe2(end_, O_CLOEXEC) != 0) {
    return;
  }
  std::at_quick_exit(Restore);
  termios keys = before;
  keys.c_lflag &= ~static_cast<tcflag_t>(ICANON | ECHO);
  tcsetattr(STDIN_FILENO, TCSANOW, &keys);
  thread_ = std::thread([this, on_key = std::move(on_key)] { Watch(on_key); });
}

Keyboard::~Keyboard() {
  if (!works()) return;
  close(end_[1]);
  thread_.join();
  close(end_[0]);
  Restore();
}

void Keyboard::Watch(const std::function<void(char)>& on_key) const {
  pollfd files[] = {{.fd = STDIN_FILENO, .events = POLLIN, .revents = 0},
                    {.fd = end_[0], .events = POLLIN, .revents = 0}};
  while (poll(files, 2, -1) >= 0 && files[1].revents == 0) {
    char key = 0;
    if (files[0].revents == 0) continue;
    if (!HasTerminal() || read(STDIN_FILENO, &key, 1) != 1) return;
    on_key(key);
  }
}

}  // namespace mmsmo::command
