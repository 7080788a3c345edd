// Any text as an ack id, and any delivery.

#include "gateway/embedded/subscriptions/ack_id.h"
#include "tests/fuzz/fuzz.h"

namespace mmsmo::fuzz {
namespace {

std::string TextOf(const embedded::AckId& id) {
  std::string text;
  embedded::EncodeAckId(id, &text);
  return text;
}

void Fuzz(const uint8_t* data, size_t size) {
  const std::string_view text = View(data, size);
  // An older gateway's names no incarnation.
  if (const auto id = embedded::DecodeAckId(text); id.ok() && id->incarnation != 0) {
    Require(TextOf(*id) == text, "a delivery has one ack id");
  }
  Input input(data, size);
  const embedded::AckId id{.subscription = input.Number<uint64_t>(),
                           .incarnation = input.Number<uint64_t>(),
                           .epoch = input.Number<uint32_t>(),
                           .sequence = input.Number<uint64_t>(),
                           .attempt = input.Number<uint32_t>(),
                           .lease = input.Number<uint32_t>()};
  const std::string encoded = TextOf(id);
  Require(encoded.size() == 55, "an ack id has 55 characters");
  const auto decoded = embedded::DecodeAckId(encoded);
  Require(decoded.ok() && *decoded == id, "an ack id gives back its delivery");
}

}  // namespace
}  // namespace mmsmo::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  mmsmo::fuzz::Fuzz(data, size);
  return 0;
}
