// The subscriptions of the embedded engine, and the thread that makes their changes durable.

#pragma once

#include <rocksdb/write_batch.h>

#include <chrono>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "gateway/base/clock.h"
#include "gateway/base/mutex.h"
#include "gateway/broker/subscriptions.h"
#include "gateway/embedded/log/positions.h"
#include "gateway/embedded/subscriptions/schema.h"
#include "gateway/embedded/subscriptions/subscription.h"

namespace mmsmo::embedded {

// Thread-safe. Group commit as the journal's: what is changed during one sync is the next group.
class EmbeddedSubscriptions final : public broker::Subscriptions {
 public:
  static constexpr int kDefaultStreamMessages = 10'000;
  static constexpr int64_t kDefaultStreamBytes = 32 << 20;

  // Everything must outlive the subscriptions.
  static absl::StatusOr<std::unique_ptr<EmbeddedSubscriptions>> Open(Journal* journal, Store* store,
                                                                     const Positions* positions,
                                                                     const Clock& clock);
  ~EmbeddedSubscriptions() override;

  absl::StatusOr<v1::Subscription> Create(const v1::Subscription& subscription) override;
  absl::StatusOr<v1::Subscription> Get(const std::string& name) override;
  v1::ListSubscriptionsResponse List(int page_size, const std::string& page_token) override;
  absl::StatusOr<v1::Subscription> Update(const v1::Subscription& wanted,
                                          const google::protobuf::FieldMask& mask) override;
  absl::Status Delete(const std::string& name) override;
  absl::StatusOr<v1::Subscription> Seek(const std::string& name,
                                        const v1::StartPosition& target) override;
  absl::StatusOr<v1::ListDeadLettersResponse> ListDeadLetters(
      const std::string& name, int page_size, const std::string& page_token) override;
  absl::StatusOr<int64_t> ReplayDeadLetters(const std::string& name,
                                            const std::vector<std::string>& cursors) override;
  absl::StatusOr<broker::SubscriptionStream> OpenStream(
      const std::string& name, const broker::StreamLimits& limits) override;
  void Change(const std::string& name, std::vector<std::string> ack_ids, broker::AckChange change,
              broker::AckDone done) override;
  std::vector<broker::SubscriptionStats> Stats() override;

 private:
  using SubscriptionPtr = std::shared_ptr<Subscription>;

  // One Change, or a task for the thread that writes.
  struct Request {
    SubscriptionPtr subscription;
    std::vector<std::string> ack_ids;
    broker::AckChange change;
    broker::AckDone done;
    absl::AnyInvocable<void()> task;
  };

  EmbeddedSubscriptions(Journal* journal, Store* store, const Positions* positions,
                        const Clock& clock);
  absl::Status Load();
  absl::StatusOr<SubscriptionPtr> Find(const std::string& name) const;
  std::vector<SubscriptionPtr> All() const;

  // Runs a task on the writing thread, after the changes that came before it; waits for its end.
  // The task itself finds the subscriptions that it needs: until it runs they may be deleted.
  absl::Status RunOnWriter(absl::AnyInvocable<absl::Status()> task);
  absl::StatusOr<v1::Subscription> Make(const v1::Subscription& subscription);

  // The writing thread.
  void Run();
  absl::Status Change(const v1::Subscription& wanted, const google::protobuf::FieldMask& mask);
  void Forget(const Subscription& subscription, std::string_view why);
  Subscription::Write Writes() {
    return [this](rocksdb::WriteBatch* batch) { return Write(batch); };
  }
  std::vector<Request> TakeRequests();
  void CommitChanges(std::vector<Request> requests);
  void SaveDue(const std::vector<SubscriptionPtr>& subscriptions);
  // With what is in the batch already, as one write.
  absl::Status SaveAll(const std::vector<SubscriptionPtr>& subscriptions,
                       rocksdb::WriteBatch batch = rocksdb::WriteBatch());
  void KeepHouse();
  absl::Status Write(rocksdb::WriteBatch* batch);

  Journal* const journal_;
  Store* const store_;
  const Positions* const positions_;
  const Clock& clock_;
  const SubscriptionRecords records_;
  std::chrono::steady_clock::time_point next_check_;         // the writing thread's
  std::chrono::steady_clock::time_point next_housekeeping_;  // likewise
  bool failed_ = false;                                      // likewise: the last write

  mutable Mutex mu_;
  CondVar changed_;
  bool stopping_ ABSL_GUARDED_BY(mu_) = false;
  std::vector<Request> pending_ ABSL_GUARDED_BY(mu_);
  std::map<std::string, SubscriptionPtr> subscriptions_ ABSL_GUARDED_BY(mu_);
  // Those that have streams, or had some until shortly.
  std::set<SubscriptionPtr> active_ ABSL_GUARDED_BY(mu_);

  std::thread writer_;
};

}  // namespace mmsmo::embedded
