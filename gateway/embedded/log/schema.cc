#include "gateway/embedded/log/schema.h"

#include <xxhash.h>

#include "gateway/base/status.h"
#include "gateway/embedded/store/big_endian.h"

namespace mmsmo::embedded {
namespace {

constexpr char kRecordVersion = 2;
// Version, key, content, time of acceptance, log bytes; and since version 2 the stamp and the
// previous event.
constexpr size_t kHeaderBytes1 = 1 + 16 + std::tuple_size_v<broker::ContentId> + 8 + 8;
constexpr size_t kHeaderBytes = kHeaderBytes1 + 4 + 8 + 8;

}  // namespace

PostbackKey MakePostbackKey(std::string_view endpoint, std::string_view tracking_id) {
  // The seed carries the endpoint, so that no separator can be forged.
  const XXH128_hash_t hash = XXH3_128bits_withSeed(tracking_id.data(), tracking_id.size(),
                                                   XXH3_64bits(endpoint.data(), endpoint.size()));
  return {.high = hash.high64, .low = hash.low64};
}

void AppendRecord(const RecordHeader& header, std::string_view prefix, std::string_view rest,
                  std::string* out) {
  out->reserve(out->size() + kHeaderBytes + prefix.size() + rest.size());
  out->push_back(kRecordVersion);
  AppendBigEndian(header.key.high, out);
  AppendBigEndian(header.key.low, out);
  out->append(reinterpret_cast<const char*>(header.content.data()), header.content.size());
  AppendBigEndian(static_cast<uint64_t>(header.accept_micros), out);
  AppendBigEndian(header.log_bytes, out);
  AppendBigEndian(header.age.era, out);
  AppendBigEndian(static_cast<uint64_t>(header.age.micros), out);
  AppendBigEndian(header.previous, out);
  out->append(prefix);
  out->append(rest);
}

absl::StatusOr<Record> DecodeRecord(std::string_view bytes) {
  const char version = bytes.empty() ? '\0' : bytes[0];
  const size_t header_bytes = version == 1 ? kHeaderBytes1 : kHeaderBytes;
  if (version < 1 || version > kRecordVersion || bytes.size() < header_bytes) {
    return DataLoss("a record of {} bytes is not of a version up to {}", bytes.size(),
                    int{kRecordVersion});
  }
  Record record;
  RecordHeader& header = record.header;
  header.key = {.high = LoadBigEndian64(bytes.substr(1)), .low = LoadBigEndian64(bytes.substr(9))};
  bytes.substr(17, header.content.size())
      .copy(reinterpret_cast<char*>(header.content.data()), header.content.size());
  header.accept_micros = static_cast<int64_t>(LoadBigEndian64(bytes.substr(kHeaderBytes1 - 16)));
  header.log_bytes = LoadBigEndian64(bytes.substr(kHeaderBytes1 - 8));
  if (version == 1) {
    header.age.micros = header.accept_micros;
  } else {
    const std::string_view rest = bytes.substr(kHeaderBytes1);
    header.age = {.era = LoadBigEndian<uint32_t>(rest),
                  .micros = static_cast<int64_t>(LoadBigEndian64(rest.substr(4)))};
    header.previous = LoadBigEndian64(rest.substr(12));
  }
  record.event = bytes.substr(header_bytes);
  return record;
}

std::string EncodeRaw(std::string_view content_type, std::string_view body) {
  std::string raw;
  raw.reserve(8 + content_type.size() + body.size());
  AppendBigEndian(content_type.size(), &raw);
  raw.append(content_type).append(body);
  return raw;
}

absl::StatusOr<broker::RawPostback> DecodeRaw(std::string_view bytes) {
  if (bytes.size() < 8 || LoadBigEndian64(bytes) > bytes.size() - 8) {
    return DataLoss("a raw postback of {} bytes cannot be read", bytes.size());
  }
  const size_t type_bytes = LoadBigEndian64(bytes);
  return broker::RawPostback{.body = std::string(bytes.substr(8 + type_bytes)),
                             .content_type = std::string(bytes.substr(8, type_bytes))};
}

}  // namespace mmsmo::embedded
