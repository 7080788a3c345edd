#include "client/command/keyboard.h"

#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#include <utility>

namespace mmsmo::command {

Keyboard::Keyboard(std::function<void(char)> on_key) {
  if (tcgetattr(STDIN_FILENO, &before_) != 0 || pipe2(end_, O_CLOEXEC) != 0) return;
  termios keys = before_;
  keys.c_lflag &= ~static_cast<tcflag_t>(ICANON | ECHO);
  tcsetattr(STDIN_FILENO, TCSANOW, &keys);
  thread_ = std::thread([this, on_key = std::move(on_key)] { Watch(on_key); });
}

Keyboard::~Keyboard() {
  if (!works()) return;
  close(end_[1]);
  thread_.join();
  close(end_[0]);
  tcsetattr(STDIN_FILENO, TCSANOW, &before_);
}

void Keyboard::Watch(const std::function<void(char)>& on_key) const {
  pollfd files[] = {{.fd = STDIN_FILENO, .events = POLLIN, .revents = 0},
                    {.fd = end_[0], .events = POLLIN, .revents = 0}};
  while (poll(files, 2, -1) >= 0 && files[1].revents == 0) {
    char key = 0;
    if (files[0].revents == 0) continue;
    if (read(STDIN_FILENO, &key, 1) != 1) return;
    on_key(key);
  }
}

}  // namespace mmsmo::command
