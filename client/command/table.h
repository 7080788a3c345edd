// Aligned columns under a header, for people.

#pragma once

#include <string>
#include <vector>

namespace mmsmo::command {

class Table {
 public:
  explicit Table(std::vector<std::string> header);

  // As many cells as the header has. An empty one is shown as "-".
  void Add(std::vector<std::string> row);

  // What was added since the last call, so that a long table is printed page by page; its first
  // lines are the header. Columns never become narrower.
  std::string Take();

 private:
  std::vector<size_t> widths_;  // in characters
  std::vector<std::vector<std::string>> rows_;
};

}  // namespace mmsmo::command
