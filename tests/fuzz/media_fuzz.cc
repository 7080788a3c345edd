// Any body of any Content-Type and Content-Encoding, which are the first two lines of the input.

#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/judge.h"

namespace mmsmo::fuzz {
namespace {

void Fuzz(Input input) {
  const std::string_view content_type = input.Line();
  const std::string_view content_encoding = input.Line();
  Judge({.body = input.Rest(), .content_type = content_type, .content_encoding = content_encoding});
}

}  // namespace
}  // namespace mmsmo::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  mmsmo::fuzz::Fuzz({data, size});
  return 0;
}
