// The cases of tests/corpus: bodies, and what is to become of them.

#pragma once

#include <simdjson.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

namespace mmsmo::postback {

inline std::string ReadFile(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

struct CorpusCase {
  std::string name;
  std::string body;
  simdjson::padded_string expected;  // NAME.expect.json, as tests/integration/conformance.py has it
};

// All of them, in the order of their names, in which they are to be posted.
inline std::vector<CorpusCase> ReadCorpus() {
  std::vector<CorpusCase> cases;
  for (const auto& file : std::filesystem::directory_iterator("tests/corpus")) {
    if (file.path().extension() != ".body") continue;
    const std::string stem = file.path().stem().string();
    const auto expected = file.path().parent_path() / (stem + ".expect.json");
    cases.push_back({stem, ReadFile(file.path()), simdjson::padded_string(ReadFile(expected))});
  }
  std::sort(cases.begin(), cases.end(),
            [](const CorpusCase& a, const CorpusCase& b) { return a.name < b.name; });
  return cases;
}

}  // namespace mmsmo::postback
