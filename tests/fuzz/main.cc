// A fuzz target as a test: runs it over the files and folders that are its arguments, and over some
// thousand mutations of them, the same ones every time. An input that aborts it is written to a
// file, which is then an argument that reproduces it.

#include <algorithm>
#include <csignal>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/mutator.h"

namespace {

constexpr uint32_t kSeed = 1;
constexpr int kMutations = 10'000;
constexpr size_t kMaxMutatedBytes = 10'000;

std::string current;     // the input
std::string reproducer;  // where it goes if it aborts

// Async-signal-safe it is not, but the process ends here in any case.
void SaveCurrent(int signal) {
  std::ofstream(reproducer, std::ios::binary) << current;
  std::fprintf(stderr, "The input that did it: %s\n", reproducer.c_str());
  std::signal(signal, SIG_DFL);
  std::raise(signal);
}

std::vector<std::string> FilesOf(const std::vector<std::string>& arguments) {
  std::vector<std::string> files;
  for (const std::string& argument : arguments) {
    if (!std::filesystem::is_directory(argument)) {
      files.push_back(argument);
      continue;
    }
    for (const auto& file : std::filesystem::directory_iterator(argument))
      files.push_back(file.path().string());
  }
  std::sort(files.begin(), files.end());
  return files;
}

void Run(std::string input) {
  current = std::move(input);
  // A copy of the exact size, so that AddressSanitizer sees a read past the end.
  const std::vector<uint8_t> bytes(current.begin(), current.end());
  static constexpr uint8_t kNothing = 0;  // libFuzzer has no null pointers either
  LLVMFuzzerTestOneInput(bytes.empty() ? &kNothing : bytes.data(), bytes.size());
}

void RunMutations(const std::vector<std::string>& inputs) {
  mmsmo::fuzz::Mutator mutator(kSeed);
  for (int i = 0; i < kMutations; ++i) {
    const std::string& input = inputs[mutator.Below(inputs.size())];
    Run(mutator.Mutate(input, inputs[mutator.Below(inputs.size())]));
  }
}

}  // namespace

int main(int argc, char** argv) {
  const std::string program = std::filesystem::path(argv[0]).filename().string();
  reproducer = (std::filesystem::temp_directory_path() / (program + "-reproducer")).string();
  std::signal(SIGABRT, SaveCurrent);
  std::vector<std::string> small;
  const std::vector<std::string> files = FilesOf({argv + 1, argv + argc});
  for (const std::string& file : files) {
    std::ifstream stream(file, std::ios::binary);
    if (!stream) {
      std::fprintf(stderr, "%s cannot be read\n", file.c_str());
      return 2;
    }
    Run({std::istreambuf_iterator<char>(stream), {}});
    if (current.size() <= kMaxMutatedBytes) small.push_back(current);
  }
  if (files.size() > 1 && !small.empty()) RunMutations(small);
  std::printf("%zu files and %d mutations of seed %u\n", files.size(),
              files.size() > 1 ? kMutations : 0, kSeed);
  return files.empty() ? 2 : 0;
}
