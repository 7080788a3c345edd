// Any text as a cursor, and any position.

#include "gateway/embedded/log/cursor.h"
#include "tests/fuzz/fuzz.h"

namespace mmsmo::fuzz {
namespace {

void Fuzz(const uint8_t* data, size_t size) {
  const std::string_view text = View(data, size);
  if (const auto cursor = embedded::DecodeCursor(text); cursor.ok()) {
    Require(embedded::EncodeCursor(cursor->epoch, cursor->sequence) == text,
            "a position has one cursor");
  }
  Input input(data, size);
  const auto epoch = input.Number<uint64_t>();
  const auto sequence = input.Number<uint64_t>();
  const std::string encoded = embedded::EncodeCursor(epoch, sequence);
  Require(encoded.size() == 28, "a cursor has 28 characters");
  const auto decoded = embedded::DecodeCursor(encoded);
  Require(decoded.ok() && decoded->epoch == epoch && decoded->sequence == sequence,
          "a cursor gives back its position");
}

}  // namespace
}  // namespace mmsmo::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  mmsmo::fuzz::Fuzz(data, size);
  return 0;
}
