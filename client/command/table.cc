#include "client/command/table.h"

#include <algorithm>
#include <utility>

namespace mmsmo::command {
namespace {

// Of UTF-8, whose bytes of the form 10xxxxxx continue a character.
size_t Characters(const std::string& text) {
  return static_cast<size_t>(
      std::count_if(text.begin(), text.end(), [](char c) { return (c & 0xC0) != 0x80; }));
}

}  // namespace

Table::Table(std::vector<std::string> header) : widths_(header.size()) { Add(std::move(header)); }

void Table::Add(std::vector<std::string> row) {
  for (size_t i = 0; i < row.size(); ++i) {
    if (row[i].empty()) row[i] = "-";
    widths_[i] = std::max(widths_[i], Characters(row[i]));
  }
  rows_.push_back(std::move(row));
}

std::string Table::Take() {
  std::string text;
  for (const std::vector<std::string>& row : rows_) {
    for (size_t i = 0; i < row.size(); ++i) {
      text += row[i];
      const bool last = i + 1 == row.size();
      text += last ? "\n" : std::string(widths_[i] - Characters(row[i]) + 2, ' ');
    }
  }
  rows_.clear();
  return text;
}

}  // namespace mmsmo::command
