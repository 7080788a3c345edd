// Single keys of whoever sits at the terminal.

#pragma once

#include <functional>
#include <thread>

namespace mmsmo::command {

// While it lives, `on_key` is called for each key that is pressed, on a thread of its own. Does
// nothing where standard input is no terminal, or that of other processes now. One of them in a
// process.
class Keyboard {
 public:
  explicit Keyboard(std::function<void(char)> on_key);
  ~Keyboard();
  Keyboard(const Keyboard&) = delete;
  Keyboard& operator=(const Keyboard&) = delete;

  bool works() const { return thread_.joinable(); }

 private:
  void Watch(const std::function<void(char)>& on_key) const;

  int end_[2] = {-1, -1};  // a pipe, whose closing ends the thread
  std::thread thread_;
};

}  // namespace mmsmo::command
