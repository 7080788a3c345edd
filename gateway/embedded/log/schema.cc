#include "gateway/embedded/log/schema.h"

#include "gateway/base/status.h"
#include "gateway/embedded/store/big_endian.h"

namespace mmsmo::embedded {
namespace {

constexpr char kRecordVersion = 2;
// Version, key, content, time of acceptance, log bytes; and since version 2 the stamp and the
// previous event.
constexpr size_t kHeaderBytes1 = 1 + 16 + std::tuple_size_v<broker::ContentId> + 8 + 8;
constexpr size_t kHeaderBytes = kHeaderBytes1 + 4 + 8 + 8;

constexpr char kRawVersion = 1;
constexpr size_t kRawHeaderBytes = 1 + 4 + 4;

}  // namespace

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

std::string EncodeRaw(std::string_view content_type, std::string_view content_encoding,
                      std::string_view body) {
  std::string raw(1, kRawVersion);
  raw.reserve(kRawHeaderBytes + content_type.size() + content_encoding.size() + body.size());
  AppendBigEndian(static_cast<uint32_t>(content_type.size()), &raw);
  AppendBigEndian(static_cast<uint32_t>(content_encoding.size()), &raw);
  raw.append(content_type).append(content_encoding).append(body);
  return raw;
}

absl::StatusOr<broker::RawPostback> DecodeRaw(std::string_view bytes) {
  // Before there were versions, the Content-Type's size came first, as 64 bits.
  const bool is_old = !bytes.empty() && bytes[0] == 0;
  const size_t header_bytes = is_old ? sizeof(uint64_t) : kRawHeaderBytes;
  const auto unreadable = [&] {
    return DataLoss("a raw postback of {} bytes cannot be read", bytes.size());
  };
  if (bytes.size() < header_bytes || (!is_old && bytes[0] != kRawVersion)) return unreadable();
  const size_t type = is_old ? LoadBigEndian64(bytes) : LoadBigEndian<uint32_t>(bytes.substr(1));
  const size_t encoding = is_old ? 0 : LoadBigEndian<uint32_t>(bytes.substr(5));
  const std::string_view rest = bytes.substr(header_bytes);
  if (type > rest.size() || encoding > rest.size() - type) return unreadable();
  return broker::RawPostback{.body = std::string(rest.substr(type + encoding)),
                             .content_type = std::string(rest.substr(0, type)),
                             .content_encoding = std::string(rest.substr(type, encoding))};
}

}  // namespace mmsmo::embedded
