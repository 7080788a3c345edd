// How subscriptions stand in the store.

#pragma once

#include <rocksdb/write_batch.h>

#include <algorithm>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "gateway/embedded/store/store.h"
#include "gateway/embedded/subscriptions/ack_id.h"
#include "gateway/embedded/subscriptions/acked_set.h"
#include "mmsmo/v1/subscription.pb.h"

namespace mmsmo::embedded {

// Written when a subscription is made or its settings change, and when it comes out of use.
struct SubscriptionHeader {
  SubscriptionId id = 0;
  int64_t last_used_micros = 0;  // when it last had a stream
  v1::Subscription settings;     // without what is output only, but for create_time
};

// Written with every acknowledgement.
struct SubscriptionProgress {
  uint64_t floor = 0;
  uint32_t epoch = 0;
  int64_t not_before = 0;  // events accepted before this are passed over, in microseconds
  uint64_t expired = 0;
  uint64_t dead_letters = 0;
  uint64_t replays = 0;            // dead letters that are being delivered again
  uint64_t dead_letter_bytes = 0;  // of both
};

// What is known of an event that was delivered more often than once, or failed.
struct AttemptRecord {
  std::optional<uint32_t> attempts;
  uint32_t failures = 0;
  int64_t retry_at_micros = 0;     // since the epoch
  int64_t retry_delay_micros = 0;  // what it was; however the clock was set since, it is not longer

  // When to deliver it again by the monotonic clock, which says `now` at this time of day; 0 is at
  // once.
  int64_t RetryAt(int64_t now, int64_t time_of_day) const {
    if (retry_delay_micros == 0) return 0;
    return now + std::clamp<int64_t>(retry_at_micros - time_of_day, 0, retry_delay_micros);
  }
};

// What a stored dead letter counts for in the budgets: its event. 0 where it cannot be read.
uint64_t DeadLetterBytes(std::string_view dead_letter);

// Thread-safe. The writing methods put into a batch.
class SubscriptionRecords {
 public:
  explicit SubscriptionRecords(Store* store) : store_(*store) {}

  // One for each that there is: DataLoss for a header that cannot be read.
  struct Found {
    std::string name;
    absl::StatusOr<SubscriptionHeader> header;
  };
  absl::StatusOr<std::vector<Found>> ReadAll() const;
  void DeleteHeader(const std::string& name, rocksdb::WriteBatch* batch) const;
  void Put(const SubscriptionHeader& header, rocksdb::WriteBatch* batch) const;
  void DeleteAll(const SubscriptionHeader& header, rocksdb::WriteBatch* batch) const;

  // Where an older gateway wrote it, what it did not count is counted.
  absl::StatusOr<SubscriptionProgress> ReadProgress(SubscriptionId id) const;
  void Put(SubscriptionId id, const SubscriptionProgress& progress,
           rocksdb::WriteBatch* batch) const;

  // The last event that was delivered since the seek that began this epoch. What is recorded of
  // deliveries names the epoch, so that a record that comes late is none of the next one.
  absl::StatusOr<uint64_t> ReadDeliveredThrough(SubscriptionId id, uint32_t epoch) const;
  void PutDeliveredThrough(SubscriptionId id, uint32_t epoch, uint64_t sequence,
                           rocksdb::WriteBatch* batch) const;

  absl::Status ReadBlocks(SubscriptionId id, AckedSet* acked) const;
  void PutBlock(SubscriptionId id, uint64_t block, const AckedSet::Words& words,
                rocksdb::WriteBatch* batch) const;
  void DeleteBlock(SubscriptionId id, uint64_t block, rocksdb::WriteBatch* batch) const;

  // Attempts are written before a delivery goes out; failures and waits after they came about, by
  // another thread.
  absl::StatusOr<AttemptRecord> ReadAttempts(SubscriptionId id, uint32_t epoch,
                                             uint64_t sequence) const;
  void PutAttempts(SubscriptionId id, uint32_t epoch, uint64_t sequence, uint32_t attempts,
                   rocksdb::WriteBatch* batch) const;
  void PutFailures(SubscriptionId id, uint64_t sequence, uint32_t failures,
                   rocksdb::WriteBatch* batch) const;
  void PutRetry(SubscriptionId id, uint64_t sequence, int64_t at_micros, int64_t delay_micros,
                rocksdb::WriteBatch* batch) const;
  void DeleteAttempts(SubscriptionId id, uint64_t sequence, rocksdb::WriteBatch* batch) const;

  void DeleteAttemptsBefore(SubscriptionId id, uint64_t sequence, rocksdb::WriteBatch* batch) const;

  // Forgets what acknowledgements and attempts are stored.
  absl::Status DeletePositions(SubscriptionId id, rocksdb::WriteBatch* batch) const;
  // Forgets what is known of single events behind `head`, and counts the dead letters among that
  // out of the progress. Returns how many there were.
  absl::StatusOr<uint64_t> DeleteBehind(SubscriptionId id, uint64_t head,
                                        SubscriptionProgress* progress,
                                        rocksdb::WriteBatch* batch) const;

  // Dead letters, and those of them that are being delivered again: a serialised v1.DeadLetter.
  enum class DeadLetters : char { kKept = 'D', kReplayed = 'R' };
  absl::StatusOr<std::optional<std::string>> Read(DeadLetters which, SubscriptionId id,
                                                  uint64_t sequence) const;
  void Put(DeadLetters which, SubscriptionId id, uint64_t sequence, const std::string& dead_letter,
           rocksdb::WriteBatch* batch) const;
  void Delete(DeadLetters which, SubscriptionId id, uint64_t sequence,
              rocksdb::WriteBatch* batch) const;
  // Calls `each` for those from `sequence` on, as long as it returns true.
  using Each = std::function<bool(uint64_t sequence, std::string_view dead_letter)>;
  absl::Status Visit(DeadLetters which, SubscriptionId id, uint64_t sequence,
                     const Each& each) const;

 private:
  absl::StatusOr<std::optional<std::string>> Read(const std::string& key) const;
  void DeleteAllOf(char kind, SubscriptionId id, rocksdb::WriteBatch* batch) const;

  Store& store_;
};

}  // namespace mmsmo::embedded
