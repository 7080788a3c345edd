// Reads the log forwards: from the newest events where they are in memory, from the disk where not.

#pragma once

#include <rocksdb/iterator.h>

#include <cstdint>
#include <memory>
#include <string_view>

#include "absl/status/statusor.h"
#include "gateway/embedded/log/journal.h"
#include "gateway/embedded/store/store.h"

namespace mmsmo::embedded {

// For one pass of one thread: while it lives, what it reads takes memory.
class LogScan {
 public:
  LogScan(const Journal* journal, Store* store) : journal_(*journal), store_(*store) {}

  struct Event {
    std::string_view event;     // a serialised v1.Event
    std::string_view delivery;  // the same, framed as AppendDelivery does; empty from the disk
    int64_t accept_micros = 0;  // 0 from memory
  };
  // The event, at most the head; valid until the next call. OutOfRange with reason "CURSOR_EXPIRED"
  // once retention has removed it.
  absl::StatusOr<Event> Read(uint64_t sequence);
  // The same from the disk, and so with its time.
  absl::StatusOr<Event> ReadFromDisk(uint64_t sequence);

 private:
  absl::Status Expired() const;

  const Journal& journal_;
  Store& store_;
  std::shared_ptr<const EventRun> run_;
  std::unique_ptr<rocksdb::Iterator> disk_;
  uint64_t at_ = 0;  // where disk_ is
};

}  // namespace mmsmo::embedded
