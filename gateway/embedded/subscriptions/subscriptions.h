// The subscriptions of the embedded engine, and the thread that makes their changes durable.

#pragma once

#include <rocksdb/write_batch.h>

#include <atomic>
#include <chrono>
#include <deque>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "gateway/base/clock.h"
#include "gateway/base/thread_pool.h"
#include "gateway/broker/subscriptions.h"
#include "gateway/embedded/audit/audit_log.h"
#include "gateway/embedded/log/positions.h"
#include "gateway/embedded/store/options.h"
#include "gateway/embedded/store/writer_watch.h"
#include "gateway/embedded/subscriptions/delivery_recorder.h"
#include "gateway/embedded/subscriptions/lookahead.h"
#include "gateway/embedded/subscriptions/schema.h"
#include "gateway/embedded/subscriptions/subscription.h"
#include "mutex.h"

namespace mmsmo::embedded {

// Thread-safe. Group commit as the journal's: what is changed during one sync is the next group.
class EmbeddedSubscriptions final : public broker::Subscriptions {
 public:
  static constexpr int kDefaultStreamMessages = 10'000;
  static constexpr int64_t kDefaultStreamBytes = 32 << 20;

  // Everything must outlive the subscriptions. One whose records are damaged is there in name only:
  // what is asked of it is answered DataLoss, but for its deletion.
  static absl::StatusOr<std::unique_ptr<EmbeddedSubscriptions>> Open(const Options& options,
                                                                     Journal* journal, Store* store,
                                                                     AuditLog* audit,
                                                                     const Positions* positions,
                                                                     const Clock& clock);
  ~EmbeddedSubscriptions() override;

  // Unavailable while the writer waits for the disk for too long.
  absl::Status CheckWriter() const { return watch_.Check(); }

  absl::StatusOr<v1::Subscription> Create(const v1::Subscription& subscription,
                                          const broker::ActPtr& act = nullptr) override;
  absl::StatusOr<v1::Subscription> Get(const std::string& name) override;
  v1::ListSubscriptionsResponse List(int page_size, const std::string& page_token) override;
  absl::StatusOr<v1::Subscription> Update(const v1::Subscription& wanted,
                                          const google::protobuf::FieldMask& mask,
                                          const broker::ActPtr& act = nullptr) override;
  absl::Status Delete(const std::string& name, const broker::ActPtr& act = nullptr) override;
  absl::StatusOr<v1::Subscription> Seek(const std::string& name, const v1::StartPosition& target,
                                        const broker::ActPtr& act = nullptr) override;
  absl::StatusOr<v1::ListDeadLettersResponse> ListDeadLetters(
      const std::string& name, int page_size, const std::string& page_token) override;
  absl::StatusOr<int64_t> ReplayDeadLetters(const std::string& name,
                                            const std::vector<std::string>& cursors,
                                            const broker::ActPtr& act = nullptr) override;
  absl::StatusOr<int64_t> DiscardDeadLetters(const std::string& name,
                                             const std::vector<std::string>& cursors,
                                             const broker::ActPtr& act = nullptr) override;
  void OpenStream(const std::string& name, const broker::StreamWish& wish,
                  broker::OpenStreamDone done) override;
  void Change(const std::string& name, const std::vector<std::string_view>& ack_ids,
              broker::AckChange change, broker::AckDone done) override;
  void Leave(const std::string& name, const std::string& stream_id, int64_t received_frames,
             broker::LeaveDone done) override;
  absl::StatusOr<std::vector<std::string>> EndpointsOf(const std::string& name) override;
  std::vector<broker::SubscriptionStats> Stats() override;

 private:
  using SubscriptionPtr = std::shared_ptr<Subscription>;

  // One Change, or a task for the thread that writes.
  struct Request {
    SubscriptionPtr subscription;
    broker::AckChange change;
    std::vector<std::optional<AckId>> ids;        // as Subscription::Hear has them
    std::vector<Subscription::Verdict> verdicts;  // once it is applied
    broker::AckDone done;
    absl::AnyInvocable<void()> task;
  };

  EmbeddedSubscriptions(const Options& options, Journal* journal, Store* store, AuditLog* audit,
                        const Positions* positions, const Clock& clock);
  absl::Status Load();
  absl::StatusOr<SubscriptionPtr> Find(const std::string& name) const;
  std::vector<SubscriptionPtr> All() const;

  // Runs a task on the writing thread, after the changes that came before it; waits for its end.
  // The task itself finds the subscriptions that it needs: until it runs they may be deleted.
  absl::Status RunOnWriter(absl::AnyInvocable<absl::Status()> task);
  // One that starts there, unless there is one of that name.
  absl::StatusOr<SubscriptionPtr> Make(const v1::Subscription& subscription,
                                       const absl::StatusOr<Positions::Start>& start,
                                       const broker::ActPtr& act);

  absl::StatusOr<broker::SubscriptionStream> OpenStream(const std::string& name,
                                                        const broker::StreamWish& wish);
  // Does something with dead letters piece by piece, so that nobody else waits for long.
  using OfPiece = absl::StatusOr<Subscription::Moved> (Subscription::*)(
      const std::vector<uint64_t>& sequences, const Subscription::CountedWrite& write);
  absl::StatusOr<int64_t> WithDeadLetters(const std::string& name,
                                          const std::vector<std::string>& cursors, OfPiece of_piece,
                                          const broker::ActPtr& act);
  absl::StatusOr<int64_t> WithPieces(const SubscriptionPtr& subscription,
                                     std::vector<uint64_t> sequences, OfPiece of_piece,
                                     const broker::ActPtr& act);

  // The writing thread.
  void Run();
  absl::Status Change(const v1::Subscription& wanted, const google::protobuf::FieldMask& mask,
                      const broker::ActPtr& act);
  void Forget(const std::string& name, std::string_view why);
  Subscription::Write Writes(broker::ActPtr act = nullptr) {
    return [this, act = std::move(act)](rocksdb::WriteBatch* batch) {
      return WriteActed(act, 0, batch);
    };
  }
  std::vector<Request> TakeRequests();
  void Serve(std::vector<Request> requests);
  void CommitChanges(std::vector<Request> requests);
  void SaveDue(const std::vector<SubscriptionPtr>& subscriptions);
  std::chrono::microseconds UntilNextCheck(const std::vector<SubscriptionPtr>& subscriptions) const;
  // As one write.
  absl::Status SaveAll(const std::vector<SubscriptionPtr>& subscriptions);
  void KeepHouse();
  void RefreshOldest();
  absl::Status Write(rocksdb::WriteBatch* batch);
  // A write that an act makes, with its record; of so many things where it counts some.
  absl::Status WriteActed(const broker::ActPtr& act, int64_t count, rocksdb::WriteBatch* batch);

  Journal* const journal_;
  Store* const store_;
  AuditLog* const audit_;
  const Positions* const positions_;
  const Clock& clock_;
  const SubscriptionRecords records_;
  const Lookahead lookahead_;
  std::atomic<int64_t> dead_letter_bytes_{0};
  ByteBudget read_ahead_;
  DeliveryRecorder recorder_;
  ThreadPool readers_;
  const Subscription::Shared shared_;
  WriterWatch watch_;
  std::chrono::steady_clock::time_point next_check_;         // the writing thread's
  std::chrono::steady_clock::time_point next_housekeeping_;  // likewise
  bool failed_ = false;                                      // likewise: the last write
  std::deque<Request> dead_letters_;  // likewise: requests that take long, one a round
  std::string oldest_refreshed_;      // likewise: the last subscription of RefreshOldest

  mutable Mutex mu_;
  CondVar changed_;
  bool stopping_ ABSL_GUARDED_BY(mu_) = false;
  std::vector<Request> pending_ ABSL_GUARDED_BY(mu_);
  std::map<std::string, SubscriptionPtr> subscriptions_ ABSL_GUARDED_BY(mu_);
  // Those whose records cannot be read, and why.
  std::map<std::string, absl::Status> damaged_ ABSL_GUARDED_BY(mu_);
  // Those that have streams, or had some until shortly.
  std::set<SubscriptionPtr> active_ ABSL_GUARDED_BY(mu_);

  std::thread writer_;
};

}  // namespace mmsmo::embedded
