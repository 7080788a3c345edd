// How the log's records stand on disk.

#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "gateway/broker/broker.h"
#include "gateway/broker/postback_key.h"
#include "gateway/embedded/store/timeline.h"

namespace mmsmo::embedded {

using broker::PostbackKey;

// What stands before the event's bytes in every record, so that the id index can be rebuilt, a
// retry be judged and retention find its cut without parsing an event.
struct RecordHeader {
  PostbackKey key;
  broker::ContentId content{};
  int64_t accept_micros = 0;
  AgeStamp age;
  // Of all records from the log's beginning to this one's end, raw bodies included.
  uint64_t log_bytes = 0;
  // The event before it of the same key and of other content, which this was published in spite
  // of; 0 where there is none.
  uint64_t previous = 0;
};

// Appends a record: the header and the event's bytes, `prefix` first.
void AppendRecord(const RecordHeader& header, std::string_view prefix, std::string_view rest,
                  std::string* out);

struct Record {
  RecordHeader header;
  std::string_view event;  // a serialised v1.Event, within the decoded bytes
};

// DataLoss for bytes that AppendRecord did not make. A record of version 1 has no stamp of its own:
// it is as old as its time of acceptance.
absl::StatusOr<Record> DecodeRecord(std::string_view bytes);

// A raw postback as one value.
std::string EncodeRaw(std::string_view content_type, std::string_view content_encoding,
                      std::string_view body);
absl::StatusOr<broker::RawPostback> DecodeRaw(std::string_view bytes);

}  // namespace mmsmo::embedded
