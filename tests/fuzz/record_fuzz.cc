// Any bytes as the records that the store holds: events, raw postbacks the quarantine, the log's
// time.

#include "gateway/embedded/log/schema.h"
#include "gateway/embedded/quarantine/schema.h"
#include "gateway/embedded/store/timeline.h"
#include "tests/fuzz/fuzz.h"

namespace mmsmo::fuzz {
namespace {

void FuzzEvent(std::string_view bytes) {
  const auto record = embedded::DecodeRecord(bytes);
  if (!record.ok()) return;
  std::string again;
  embedded::AppendRecord(record->header, "", record->event, &again);
  // Version 1 is read only.
  Require(again == bytes || bytes[0] == 1, "a record is written as it was read");
}

void FuzzRaw(std::string_view bytes) {
  const auto raw = embedded::DecodeRaw(bytes);
  if (!raw.ok()) return;
  // What has no version is read only.
  Require(bytes[0] == 0 ||
              embedded::EncodeRaw(raw->content_type, raw->content_encoding, raw->body) == bytes,
          "a raw postback is written as it was read");
}

void FuzzQuarantined(std::string_view bytes) {
  if (const auto place = embedded::ParseQuarantineId(bytes)) {
    const auto again = embedded::ParseQuarantineId(embedded::QuarantineId(*place, bytes.size()));
    Require(again && again->shelf == place->shelf && again->number == place->number,
            "an id says where its postback lies");
  }
  const auto quarantined = embedded::DecodeQuarantined(bytes);
  if (!quarantined.ok()) return;
  const auto again = embedded::DecodeQuarantined(embedded::EncodeQuarantined(*quarantined));
  Require(again.ok() && again->age == quarantined->age &&
              again->content.SerializeAsString() == quarantined->content.SerializeAsString(),
          "a quarantined postback is read as it was written");
}

void FuzzTime(std::string_view bytes) {
  const auto saved = embedded::DecodeTimeline(bytes);
  if (!saved.ok()) return;
  Require(embedded::EncodeTimeline(*saved) == bytes, "a time is written as it was read");
}

void FuzzFields(Input input) {
  embedded::RecordHeader header;
  header.key = {.high = input.Number<uint64_t>(), .low = input.Number<uint64_t>()};
  for (uint8_t& byte : header.content) byte = input.Byte();
  header.accept_micros = static_cast<int64_t>(input.Number<uint64_t>());
  header.log_bytes = input.Number<uint64_t>();
  header.age = {.era = input.Number<uint32_t>(),
                .micros = static_cast<int64_t>(input.Number<uint64_t>())};
  header.previous = input.Number<uint64_t>();
  const std::string_view prefix = input.Text();
  const std::string_view rest = input.Rest();
  std::string bytes;
  embedded::AppendRecord(header, prefix, rest, &bytes);
  const auto record = embedded::DecodeRecord(bytes);
  Require(record.ok() && record->header.key == header.key &&
              record->header.content == header.content &&
              record->header.accept_micros == header.accept_micros &&
              record->header.log_bytes == header.log_bytes && record->header.age == header.age &&
              record->header.previous == header.previous &&
              record->event == std::string(prefix).append(rest),
          "a record is read as it was written");
  const auto raw = embedded::DecodeRaw(embedded::EncodeRaw(prefix, "gzip", rest));
  Require(raw.ok() && raw->content_type == prefix && raw->content_encoding == "gzip" &&
              raw->body == rest,
          "a raw postback is read as it was written");
}

}  // namespace
}  // namespace mmsmo::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view bytes = mmsmo::fuzz::View(data, size);
  mmsmo::fuzz::FuzzEvent(bytes);
  mmsmo::fuzz::FuzzRaw(bytes);
  mmsmo::fuzz::FuzzQuarantined(bytes);
  mmsmo::fuzz::FuzzTime(bytes);
  mmsmo::fuzz::FuzzFields({data, size});
  return 0;
}
