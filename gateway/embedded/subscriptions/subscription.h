// One named subscription: its state machine, its streams, and what the store has to know of it.

#pragma once

#include <rocksdb/write_batch.h>

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "gateway/base/clock.h"
#include "gateway/base/mutex.h"
#include "gateway/broker/feed.h"
#include "gateway/broker/filter.h"
#include "gateway/broker/subscriptions.h"
#include "gateway/embedded/log/journal.h"
#include "gateway/embedded/log/log_scan.h"
#include "gateway/embedded/log/positions.h"
#include "gateway/embedded/store/store.h"
#include "gateway/embedded/subscriptions/schema.h"
#include "gateway/embedded/subscriptions/subscription_state.h"
#include "gateway/embedded/subscriptions/waiting_streams.h"

namespace mmsmo::embedded {

// Thread-safe. Streams take on their own threads; everything that ends up in the store but the
// leases themselves is written by one thread, that of EmbeddedSubscriptions.
class Subscription {
 public:
  using StreamId = SubscriptionState::StreamId;

  // What all subscriptions share; outlives them.
  struct Rooms {
    Journal* journal;
    Store* store;
    const SubscriptionRecords* records;
    const Positions* positions;
    const Clock* clock;
  };

  // As the store has it.
  static absl::StatusOr<std::shared_ptr<Subscription>> Open(const Rooms& rooms,
                                                            SubscriptionHeader header);
  ~Subscription() { rooms_.journal->head().Cancel(this); }
  Subscription(const Subscription&) = delete;
  Subscription& operator=(const Subscription&) = delete;

  const std::string& name() const { return name_; }
  SubscriptionHeader header() const;
  void SetHeader(SubscriptionHeader header);
  v1::Subscription Describe() const;
  absl::StatusOr<v1::ListDeadLettersResponse> ListDeadLetters(int page_size,
                                                              const std::string& page_token) const;
  // The events of its dead letters at these cursors; of all, where there are none.
  absl::StatusOr<std::vector<uint64_t>> DeadLettersAt(
      const std::vector<std::string>& cursors) const;
  broker::SubscriptionStats Stats() const;

  // --- For streams.

  StreamId AddStream(SubscriptionState::Window window);
  void RemoveStream(StreamId stream);
  int streams() const;
  // As broker::Feed. NotFound once the subscription was deleted.
  absl::StatusOr<broker::Batch> Take(StreamId stream, const broker::TakeLimits& limits);
  void Wait(StreamId stream, absl::AnyInvocable<void()> wake);
  std::string Cursor() const;
  int64_t Backlog() const;
  int64_t Outstanding(StreamId stream) const;

  // --- For the thread that writes.

  // Changes deliveries, in memory; Save makes it durable. Appends what could not be changed.
  // NotFound once the subscription was deleted.
  absl::Status Apply(const std::vector<std::string>& ack_ids, const broker::AckChange& change,
                     rocksdb::WriteBatch* batch, std::vector<v1::AckFailure>* failures);
  // Ends what has taken too long or was removed by retention.
  void OnTime();
  // Whether OnTime or Save have something to do.
  bool IsDue() const;
  // Whether Save has something to do that can wait.
  bool HasMoved() const;
  // Puts what has changed into the batch, dead letters with it; Saved says whether it was written.
  void Save(rocksdb::WriteBatch* batch);
  void Saved(bool written);

  // Moves it; `write` makes the batch durable.
  using Write = std::function<absl::Status(rocksdb::WriteBatch*)>;
  absl::Status Seek(const Positions::Start& start, const Write& write);
  // How many of these dead letters will be delivered again.
  absl::StatusOr<int64_t> Replay(const std::vector<uint64_t>& sequences, const Write& write);
  absl::Status Delete(const Write& write);
  // The same, if it is abandoned; returns whether it was.
  bool DeleteIfAbandoned(const Write& write);

 private:
  // A batch that is being filled.
  struct Filling;

  Subscription(const Rooms& rooms, SubscriptionHeader header, SubscriptionProgress progress,
               SubscriptionState state);
  absl::Status LoadReplays();
  static uint64_t SenderHash(const v1::MmsMo& message);

  void Use() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  int64_t BacklogLocked() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  // When the oldest event that is not done with was accepted; 0 where there is none. Reads the
  // disk.
  int64_t OldestUnacked() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  uint64_t Available() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  absl::Status TakeReady(Filling* filling) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  absl::Status TakeNew(Filling* filling) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  absl::Status OfferNext(const LogScan::Event& event, Filling* filling)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  absl::Status RecordDeliveries(Filling* filling) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  absl::StatusOr<std::string> EventOf(const SubscriptionState::Lease& lease)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void Deliver(const SubscriptionState::Lease& lease, std::string_view event, Filling* filling)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void ExpireRemoved() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);

  // Unspecified where it has had its effect.
  v1::AckFailureReason ApplyOne(const AckId& id, const broker::AckChange& change,
                                rocksdb::WriteBatch* batch) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  v1::AckFailureReason AcknowledgeOne(const AckId& id) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  bool IsAbandoned() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  absl::Status DeleteLocked(const Write& write) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void BuryGivenUp() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  absl::StatusOr<v1::DeadLetter> Corpse(const SubscriptionState::GivenUp& given_up) const
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  // Whether an event is a dead letter; any error counts as no.
  bool IsBuried(uint64_t sequence) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void PutReplayAttempts(rocksdb::WriteBatch* batch) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  // After a change that may let streams take something.
  void Changed() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void WatchHead() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);

  const Rooms rooms_;
  const std::string name_;
  const SubscriptionId id_;
  WaitingStreams waiting_;
  std::atomic<int64_t> next_due_{0};  // of OnTime

  mutable Mutex mu_;
  SubscriptionHeader header_ ABSL_GUARDED_BY(mu_);
  SubscriptionProgress progress_ ABSL_GUARDED_BY(mu_);
  SubscriptionState state_ ABSL_GUARDED_BY(mu_);
  // Of the settings; while there are streams.
  std::unique_ptr<broker::EventFilter> filter_ ABSL_GUARDED_BY(mu_);
  // Up to here, records tell how often an event was delivered before the restart.
  uint64_t recorded_through_ ABSL_GUARDED_BY(mu_) = 0;
  uint64_t saved_floor_ ABSL_GUARDED_BY(mu_) = 0;
  uint64_t saved_delivered_through_ ABSL_GUARDED_BY(mu_) = 0;
  // Records of attempts before this are to be forgotten.
  uint64_t forget_before_ ABSL_GUARDED_BY(mu_) = 0;
  // What retention took, since that was last logged, and when that was; by the monotonic clock.
  uint64_t expired_unlogged_ ABSL_GUARDED_BY(mu_) = 0;
  int64_t expired_logged_at_ ABSL_GUARDED_BY(mu_) = 0;
  // When a dead letter that cannot be written yet was last logged.
  int64_t unburied_logged_at_ ABSL_GUARDED_BY(mu_) = 0;
  StreamId last_stream_ ABSL_GUARDED_BY(mu_) = 0;
  bool deleted_ ABSL_GUARDED_BY(mu_) = false;
  // Put into the batch that is being written.
  std::vector<std::pair<uint64_t, std::string>> graves_ ABSL_GUARDED_BY(mu_);
  std::vector<SubscriptionState::Settled> settled_ ABSL_GUARDED_BY(mu_);
  bool progress_changed_ ABSL_GUARDED_BY(mu_) = false;
  bool header_changed_ ABSL_GUARDED_BY(mu_) = false;
};

}  // namespace mmsmo::embedded
