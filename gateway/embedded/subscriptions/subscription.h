// One named subscription: its state machine, its streams, and what the store has to know of it.

#pragma once

#include <rocksdb/write_batch.h>

#include <atomic>
#include <boost/container/deque.hpp>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "gateway/base/byte_budget.h"
#include "gateway/base/clock.h"
#include "gateway/base/thread_pool.h"
#include "gateway/broker/feed.h"
#include "gateway/broker/filter.h"
#include "gateway/broker/subscriptions.h"
#include "gateway/embedded/log/journal.h"
#include "gateway/embedded/log/positions.h"
#include "gateway/embedded/subscriptions/changes.h"
#include "gateway/embedded/subscriptions/delivery_recorder.h"
#include "gateway/embedded/subscriptions/lookahead.h"
#include "gateway/embedded/subscriptions/schema.h"
#include "gateway/embedded/subscriptions/subscription_state.h"
#include "gateway/embedded/subscriptions/waiting_streams.h"
#include "mutex.h"

namespace mmsmo::embedded {

// Thread-safe. Everything happens in turns: a turn holds the lock, and neither reads nor writes nor
// waits. What the store has to say is read before the turn that needs it, and what it has to know
// is written after the turn that brought it about. So whoever asks something of a subscription
// waits for nobody's disk.
//
//   a stream's Take ──turn: leases─→ (events from the store) ─→ recorder ──turn: ready─→ Take: sent
//   the writer ──turn: what changed─→ one batch, one sync ──turn, where it failed: merge back
//
// One thread, the writer, makes changes durable; what is for it says so.
class Subscription : public std::enable_shared_from_this<Subscription> {
 public:
  // What all subscriptions share; outlives them.
  struct Shared {
    Journal* journal;
    Store* store;
    const SubscriptionRecords* records;
    const Positions* positions;
    const Clock* clock;
    const Lookahead* lookahead;
    ThreadPool* readers;  // may wait for the store
    DeliveryRecorder* recorder;
    ByteBudget* read_ahead;  // what all have read and not offered yet
    int64_t resume_window_micros;
    uint64_t max_dead_letters;       // of one subscription
    uint64_t max_dead_letter_bytes;  // of all together
    std::atomic<int64_t>* dead_letter_bytes;
  };

  // As the store has it, but for what lies behind the head of the log. DataLoss for records that
  // cannot be read.
  static absl::StatusOr<std::shared_ptr<Subscription>> Open(const Shared& shared,
                                                            SubscriptionHeader header);
  ~Subscription();
  Subscription(const Subscription&) = delete;
  Subscription& operator=(const Subscription&) = delete;

  const std::string& name() const { return name_; }
  SubscriptionHeader header() const;
  std::vector<std::string> Endpoints() const;  // as broker::Subscriptions::EndpointsOf
  broker::SubscriptionStats Stats() const;
  // These read the store.
  v1::Subscription Describe();
  absl::StatusOr<v1::ListDeadLettersResponse> ListDeadLetters(int page_size,
                                                              const std::string& page_token) const;
  // The events of its dead letters at these cursors.
  absl::StatusOr<std::vector<uint64_t>> DeadLettersAt(
      const std::vector<std::string>& cursors) const;
  // The first ones from `sequence` on.
  absl::StatusOr<std::vector<uint64_t>> DeadLettersFrom(uint64_t sequence, size_t at_most) const;

  // --- For streams.

  struct OpenedStream {
    StreamId id = 0;
    bool resumed = false;
  };
  // NotFound once the subscription was deleted.
  absl::StatusOr<OpenedStream> AddStream(const broker::StreamWish& wish, StreamWindow window);
  void RemoveStream(StreamId stream);
  // As broker::Subscriptions has it.
  absl::Status Leave(const std::string& stream_id, int64_t received_frames);
  int streams() const;
  // As broker::Feed. NotFound once the subscription was deleted.
  absl::StatusOr<broker::Batch> Take(StreamId stream, const broker::TakeLimits& limits);
  void Wait(StreamId stream, absl::AnyInvocable<void()> wake);
  std::string Cursor() const;
  int64_t Backlog() const;
  int64_t Outstanding(StreamId stream) const;

  // --- What becomes of deliveries.

  // What became of one ack id, or what is still needed to tell.
  struct Verdict {
    enum class Kind {
      kSettled,     // `reason` says it; unspecified where it has had its effect
      kLookUp,      // only the store knows: LookUp
      kDeadLetter,  // once it is one: PutDeadLetters
    };
    Kind kind = Kind::kSettled;
    v1::AckFailureReason reason = v1::ACK_FAILURE_REASON_UNSPECIFIED;
    AckId id;
  };
  // What the ack ids name; nothing for those of others. Something is said of these deliveries in
  // time: their leases end no more, however long the writer takes to come to it.
  std::vector<std::optional<AckId>> Hear(const std::vector<std::string_view>& ack_ids);
  // One verdict for each. Errors: NotFound once the subscription was deleted. All but extensions
  // are for the writer.
  absl::StatusOr<std::vector<Verdict>> Apply(const std::vector<std::optional<AckId>>& ids,
                                             const broker::AckChange& change);
  // Settles what only the store knows. For the writer, as what follows.
  void LookUp(const broker::AckChange& change, std::vector<Verdict>* verdicts);
  // Settles what was to become a dead letter: it is one now, or cannot be one yet. False where the
  // next PutDeadLetters may tell of more.
  bool JudgeDeadLetters(std::vector<Verdict>* verdicts) const;

  // --- For the writer.

  void SetHeader(SubscriptionHeader header);
  // Ends what has taken too long or was removed by retention.
  void OnTime();
  // Whether OnTime or Save have something to do.
  bool IsDue() const;
  // When they next have, by the monotonic clock.
  int64_t next_due() const { return next_due_.load(std::memory_order_relaxed); }
  // Whether Save has something to do that can wait.
  bool HasMoved() const;

  // Makes dead letters of events that were given up, as far as that takes little time and memory.
  // Reads the store.
  void PutDeadLetters();
  // Reads what of the replays there is room for.
  absl::Status LoadReplays();
  // Reads since when the oldest event waits, where that has changed.
  void RefreshOldest();

  // What has changed since the last call. Give back what could not be written.
  SubscriptionChanges TakeChanges();
  void GiveBack(SubscriptionChanges changes);
  SubscriptionId id() const { return id_; }

  // Moves it; `write` makes the batch durable.
  using Write = std::function<absl::Status(rocksdb::WriteBatch*)>;
  // Of so many dead letters.
  using CountedWrite = std::function<absl::Status(rocksdb::WriteBatch*, int64_t count)>;
  absl::Status Seek(const Positions::Start& start, const Write& write);
  // How many of these dead letters will be delivered again, or are removed; and how many of them
  // were looked at, the first ones: at least one, as far as that takes little time and memory.
  struct Moved {
    uint64_t count = 0;
    size_t seen = 0;
  };
  absl::StatusOr<Moved> Replay(const std::vector<uint64_t>& sequences, const CountedWrite& write);
  absl::StatusOr<Moved> Discard(const std::vector<uint64_t>& sequences, const CountedWrite& write);
  absl::Status Delete(const Write& write);
  // The same, if it is abandoned; returns whether it was.
  bool DeleteIfAbandoned(const Write& write);

 private:
  // A delivery on its way.
  struct Item {
    SubscriptionState::Lease lease;
    std::string_view event;
    std::shared_ptr<const void> owner;
  };
  // What is made ready for one stream. Its items are for one thread after the other.
  struct Preparation {
    StreamId stream = 0;
    uint32_t epoch = 0;
    std::vector<Item> items;
    bool ready = false;
    int64_t ready_at = 0;
  };
  using PreparationPtr = std::shared_ptr<Preparation>;
  // In larger blocks than std::deque has: what one thread allocates for another to free costs more
  // than what stays on its thread.
  using ReadQueue =
      boost::container::deque<ReadEvent, void,
                              boost::container::deque_options_t<boost::container::block_size<32>>>;
  struct Stream {
    PreparationPtr preparation;
    absl::Status error;       // for its next Take
    bool superseded = false;  // by one that resumed it
    std::function<void()> on_superseded;
  };

  // What a stream's name stands for: the stream itself, or the one that has resumed it.
  struct Resumable {
    StreamId stream = 0;
    bool is_successor = false;
  };

  Subscription(const Shared& shared, SubscriptionHeader header, SubscriptionProgress progress,
               SubscriptionState state);

  // --- Turns, or parts of them.

  // Also says whom to tell that his stream was resumed.
  bool Resume(const broker::StreamWish& wish, StreamId stream, std::function<void()>* on_superseded)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  // How many frames a client says it has received of what the name stands for.
  static uint32_t Received(const Resumable& named, int64_t frames);
  absl::Status CheckStream(StreamId stream) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void Use() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void Name(StreamId stream, std::string name, bool is_successor)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  int64_t BacklogLocked() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  uint64_t Unscanned() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  broker::Batch Nothing(StreamId stream) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  PreparationPtr Choose(StreamId stream, const broker::TakeLimits& limits)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  bool BeginReading(bool has_something, ReadPlan* plan) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void EndReading(const ReadPlan& plan, absl::StatusOr<std::vector<ReadEvent>> events)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void PassUnwanted() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  ReadEvent PopRead() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void ForgetRead() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void Drop(Stream* stream) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  bool IsCurrent(const PreparationPtr& preparation) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void ForgetEndedStreams(int64_t now) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void ForgetWhatIsNotTaken(int64_t now) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void ExpireRemoved() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  bool IsOfThisLog(const AckId& id, Epochs::Reader* epochs) const
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  EpochId IncarnationOf(const AckId& id) const;
  Verdict ApplyOne(const AckId& id, const broker::AckChange& change, int64_t now)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  Verdict VerdictOn(SubscriptionState::Effect effect, const AckId& id,
                    const broker::AckChange& change) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  v1::AckFailureReason LookUpDone(const AckId& id, const broker::AckChange& change,
                                  const std::optional<std::string>& dead_letter)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  v1::AckFailureReason LookUpUnscanned(const AckId& id, const broker::AckChange& change,
                                       const AttemptRecord& record, const v1::DeadLetter& given_up,
                                       bool replaces) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void RetryUnscanned(uint64_t sequence, const broker::AckChange& change,
                      const AttemptRecord& record) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void Correct(SubscriptionState::Candidate* candidate) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void TakeSettled() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void CountLost() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void KeepDeadLetter(const SubscriptionState::GivenUp& given_up, const v1::DeadLetter& dead_letter,
                      bool replaces) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  bool WantsReplays() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  bool HasDeadLetterRoomFor(uint64_t bytes) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void AddDeadLetterBytes(int64_t bytes) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  bool IsAbandoned() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  // After a change that may let streams take something, or that is to be saved.
  void Changed() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void WatchHead() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);

  // --- Between turns: these may wait.

  absl::StatusOr<broker::Batch> HandOver(StreamId stream, const PreparationPtr& preparation,
                                         const broker::TakeLimits& limits);
  void ReadAhead(const ReadPlan& plan);
  void FindEvents(const PreparationPtr& preparation);
  void ReadEvents(const PreparationPtr& preparation);
  absl::StatusOr<std::string> EventOf(const SubscriptionState::Lease& lease) const;
  void Record(const PreparationPtr& preparation);
  void Prepared(const PreparationPtr& preparation, const absl::Status& status);
  absl::StatusOr<v1::DeadLetter> DeadLetterOf(const SubscriptionState::GivenUp& given_up) const;
  absl::StatusOr<std::optional<std::string>> ReadDeadLetter(uint64_t sequence) const;
  v1::AckFailureReason LookUpOne(const AckId& id, const broker::AckChange& change);
  absl::StatusOr<Moved> MoveDeadLetters(const std::vector<uint64_t>& sequences, bool replays,
                                        const CountedWrite& write);
  absl::Status DeleteNow(const Write& write);

  const Shared shared_;
  const std::string name_;
  const SubscriptionId id_;

  // Called with mu_ held or not; never calls back.
  WaitingStreams waiting_;
  // When OnTime or Save has something to do.
  std::atomic<int64_t> next_due_{0};

  mutable Mutex mu_;
  SubscriptionHeader header_ ABSL_GUARDED_BY(mu_);
  SubscriptionProgress progress_ ABSL_GUARDED_BY(mu_);
  SubscriptionState state_ ABSL_GUARDED_BY(mu_);
  std::shared_ptr<const broker::EventFilter> filter_ ABSL_GUARDED_BY(mu_);
  absl::flat_hash_map<StreamId, Stream> streams_ ABSL_GUARDED_BY(mu_);
  // The streams that can be resumed, by the names that they were given, and by the names of those
  // that they resumed: their client may never have learnt of them.
  absl::flat_hash_map<std::string, Resumable> resumable_ ABSL_GUARDED_BY(mu_);
  absl::flat_hash_map<StreamId, std::deque<std::string>> names_ ABSL_GUARDED_BY(mu_);
  std::deque<std::pair<int64_t, StreamId>> ended_ ABSL_GUARDED_BY(mu_);  // until when
  StreamId last_stream_ ABSL_GUARDED_BY(mu_) = 0;
  bool deleted_ ABSL_GUARDED_BY(mu_) = false;
  bool deleting_ ABSL_GUARDED_BY(mu_) = false;

  // What was read of the log from state_.next() on. One reads at a time.
  ReadQueue read_ ABSL_GUARDED_BY(mu_);
  size_t read_bytes_ ABSL_GUARDED_BY(mu_) = 0;  // of them
  ByteBudget::Part read_part_ ABSL_GUARDED_BY(mu_);
  int64_t read_at_ ABSL_GUARDED_BY(mu_) = 0;  // when something was last read or taken of them
  int64_t look_at_ ABSL_GUARDED_BY(mu_) = 0;  // when to look for what is not taken
  bool reading_ ABSL_GUARDED_BY(mu_) = false;
  bool told_to_wait_ ABSL_GUARDED_BY(mu_) = false;    // a stream, for the end of that
  uint64_t reading_number_ ABSL_GUARDED_BY(mu_) = 0;  // tells what was read from what is wanted
  absl::Status read_error_ ABSL_GUARDED_BY(mu_);      // for the next Take
  // Up to here, records tell how often an event was delivered before the restart.
  uint64_t recorded_through_ ABSL_GUARDED_BY(mu_) = 0;
  // The first replay that may not be in state_ yet.
  uint64_t next_replay_ ABSL_GUARDED_BY(mu_) = 0;
  // The replays that are in state_, with the incarnation of the log that each is of.
  absl::flat_hash_map<uint64_t, EpochId> replayed_ ABSL_GUARDED_BY(mu_);
  // Events that failed before they were offered since the restart.
  absl::flat_hash_map<uint64_t, SubscriptionState::Failed> retried_ ABSL_GUARDED_BY(mu_);

  // What is to be written, beside what state_ knows.
  SubscriptionChanges changes_ ABSL_GUARDED_BY(mu_);
  bool progress_changed_ ABSL_GUARDED_BY(mu_) = false;
  bool header_changed_ ABSL_GUARDED_BY(mu_) = false;
  uint64_t saved_floor_ ABSL_GUARDED_BY(mu_) = 0;

  // The oldest event that is not done with, and when it was accepted; 0 where that is not known.
  uint64_t oldest_ ABSL_GUARDED_BY(mu_) = 0;
  int64_t oldest_micros_ ABSL_GUARDED_BY(mu_) = 0;
  // Since when nobody uses it, and since when it could be used at all, in the age of the log.
  int64_t last_used_ ABSL_GUARDED_BY(mu_) = 0;
  int64_t opened_at_ ABSL_GUARDED_BY(mu_) = 0;

  // What retention took since that was last logged, and when that was.
  uint64_t expired_unlogged_ ABSL_GUARDED_BY(mu_) = 0;
  int64_t expired_logged_at_ ABSL_GUARDED_BY(mu_) = 0;
  // When dead letters that cannot be written are tried again, and when that was last logged.
  int64_t dead_letters_again_at_ ABSL_GUARDED_BY(mu_) = 0;
  int64_t dead_letters_logged_at_ ABSL_GUARDED_BY(mu_) = 0;
};

}  // namespace mmsmo::embedded
