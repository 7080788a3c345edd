#include "gateway/embedded/log/log_reader.h"

#include "gateway/base/status.h"
#include "gateway/embedded/store/big_endian.h"

namespace mmsmo::embedded {

absl::StatusOr<std::string> LogReader::Read(rocksdb::ColumnFamilyHandle* family,
                                            uint64_t sequence) const {
  std::string value;
  const rocksdb::Status status = store_->db().Get({}, family, BigEndian(sequence), &value);
  if (status.IsNotFound()) return NotFound("no record {} in {}", sequence, family->GetName());
  if (!status.ok())
    return FromRocks(status, fmt::format("reading record {} of {}", sequence, family->GetName()));
  return value;
}

absl::StatusOr<RecordHeader> LogReader::Header(uint64_t sequence) const {
  auto bytes = Read(store_->events(), sequence);
  if (!bytes.ok()) return bytes.status();
  auto record = DecodeRecord(*bytes);
  if (!record.ok()) return record.status();
  return record->header;
}

absl::StatusOr<std::string> LogReader::Event(uint64_t sequence) const {
  auto bytes = Read(store_->events(), sequence);
  if (!bytes.ok()) return bytes.status();
  auto record = DecodeRecord(*bytes);
  if (!record.ok()) return record.status();
  return std::string(record->event);
}

absl::StatusOr<broker::RawPostback> LogReader::Raw(uint64_t sequence) const {
  auto bytes = Read(store_->raw(), sequence);
  if (!bytes.ok()) return bytes.status();
  return DecodeRaw(*bytes);
}

absl::StatusOr<uint64_t> LogReader::FirstWhere(uint64_t oldest, uint64_t head,
                                               const Wanted& wanted) const {
  uint64_t low = oldest, high = head + 1;
  while (low < high) {
    const uint64_t middle = low + (high - low) / 2;
    auto header = Header(middle);
    if (!header.ok() && !absl::IsNotFound(header.status())) return header.status();
    if (header.ok() && wanted(*header)) {
      high = middle;
    } else {  // a record that retention has removed meanwhile lies before every wanted one
      low = middle + 1;
    }
  }
  return low;
}

absl::StatusOr<uint64_t> LogReader::FirstAcceptedAt(int64_t accept_micros, uint64_t oldest,
                                                    uint64_t head) const {
  return FirstWhere(oldest, head, [=](const RecordHeader& header) {
    return header.accept_micros >= accept_micros;
  });
}

}  // namespace mmsmo::embedded
