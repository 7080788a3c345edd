// The options that make up a Filter.

#pragma once

#include <CLI/CLI.hpp>
#include <string>
#include <vector>

#include "mmsmo/v1/event.pb.h"

namespace mmsmo::command {

struct FilterOptions {
  std::vector<std::string> recipients, senders, keywords, operator_ids, media_kinds;
};

void AddFilterOptions(CLI::App* app, FilterOptions* options);

v1::Filter FilterOf(const FilterOptions& options);

}  // namespace mmsmo::command
