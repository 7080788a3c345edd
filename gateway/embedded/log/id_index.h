// Which postbacks the log holds: PostbackKey → sequence number, for as long as the event is
// retained.
//
// Hashes arrive in no order, which a log-structured store pays for with every insert. So the newest
// ids stay in a hash table, and a thread of the index writes a full table to the store as one
// sorted file. The table needs no log of its own: after a crash it is rebuilt from the events that
// were written since.

#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string_view>
#include <thread>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "gateway/embedded/log/schema.h"
#include "gateway/embedded/store/store.h"
#include "mutex.h"

namespace mmsmo::embedded {

// Find and Insert are for one thread.
class IdIndex {
 public:
  struct Options {
    // A table of this many ids goes to the store. About 5 MiB, and 0.1 s of reading at the next
    // start.
    size_t table_size = 1 << 17;
  };

  // Reads the ids of the events in (what the store's index holds, head] from the log. `store` must
  // outlive the index.
  static absl::StatusOr<std::unique_ptr<IdIndex>> Open(Store* store, uint64_t oldest, uint64_t head,
                                                       Options options);
  // Waits for the file that is being written.
  ~IdIndex();

  // The event of that postback, the latest where there are several; it may be one that retention
  // has removed since, or, where the log has lost its end, none of that postback.
  absl::StatusOr<std::optional<uint64_t>> Find(const PostbackKey& key);
  // The same for each of many, which costs less than one after the other: RocksDB fetches what its
  // filters say of them side by side.
  std::vector<absl::StatusOr<std::optional<uint64_t>>> FindAll(
      const std::vector<PostbackKey>& keys);

  // Only for events that are durable.
  void Insert(const PostbackKey& key, uint64_t sequence);

 private:
  using Table = absl::flat_hash_map<PostbackKey, uint64_t>;

  IdIndex(Store* store, Options options);
  // The last event that the store's index holds; 0 where that is behind the log's end.
  absl::StatusOr<uint64_t> ReadThrough(uint64_t head) const;
  absl::Status Rebuild(uint64_t oldest, uint64_t head);
  void StartSpilling();
  void RunSpiller();
  absl::Status Spill(const Table& table, uint64_t through) const;

  Store* const store_;
  const Options options_;

  Table newest_;          // Find's and Insert's thread
  uint64_t through_ = 0;  // the newest event in newest_

  Mutex mu_;
  CondVar changed_;
  bool stopping_ ABSL_GUARDED_BY(mu_) = false;
  // On its way to the store; kept until it is there. Constant while set.
  std::shared_ptr<const Table> spilling_ ABSL_GUARDED_BY(mu_);
  uint64_t spilling_through_ ABSL_GUARDED_BY(mu_) = 0;

  std::thread spiller_;
};

}  // namespace mmsmo::embedded
