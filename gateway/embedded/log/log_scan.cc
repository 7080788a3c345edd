#include "gateway/embedded/log/log_scan.h"

#include "gateway/base/status.h"
#include "gateway/embedded/log/positions.h"
#include "gateway/embedded/store/big_endian.h"

namespace mmsmo::embedded {

absl::StatusOr<LogScan::Event> LogScan::Read(uint64_t sequence) {
  if (sequence < journal_.oldest()) return Expired();
  if (!run_ || sequence > run_->last() || sequence < run_->first()) {
    run_ = journal_.newest().Find(sequence);
  }
  if (!run_) return ReadFromDisk(sequence);
  return Event{.event = run_->Event(sequence), .delivery = run_->Delivery(sequence)};
}

absl::StatusOr<LogScan::Event> LogScan::ReadFromDisk(uint64_t sequence) {
  if (disk_ && disk_->Valid() && at_ + 1 == sequence) {
    disk_->Next();
  } else {
    rocksdb::ReadOptions options;
    options.readahead_size = 256 << 10;
    // Anew, since an iterator does not see what was written after it was made.
    disk_ = store_.Iterate(store_.events(), options);
    disk_->Seek(BigEndian(sequence));
  }
  at_ = sequence;
  if (!disk_->status().ok()) return FromRocks(disk_->status(), "reading the log");
  // Sequence numbers have no gaps: a later one means that retention has been here since.
  if (!disk_->Valid() || LoadBigEndian64(View(disk_->key())) != sequence) return Expired();
  auto record = DecodeRecord(View(disk_->value()));
  if (!record.ok()) return record.status();
  return Event{.event = record->event, .accept_micros = record->header.accept_micros};
}

absl::Status LogScan::Expired() const {
  return Positions(&journal_).CursorExpired(
      "retention has removed events that this stream had not received yet");
}

}  // namespace mmsmo::embedded
