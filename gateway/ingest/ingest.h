// The use case: a postback is decoded, normalised and appended, or put into quarantine, and
// answered when that is durable.

#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "gateway/base/metrics.h"
#include "gateway/broker/broker.h"
#include "gateway/ingest/entry.h"
#include "gateway/ingest/outcome.h"
#include "mmsmo/v1/event.pb.h"

namespace mmsmo::ingest {

// What all lanes share. Thread-safe.
class Ingest {
 public:
  // Both must outlive this.
  Ingest(broker::Broker* broker, Metrics& metrics);

  // Counts what was judged elsewhere, such as a body over the size limit.
  void Count(const Outcome& outcome);

 private:
  friend class Lane;

  broker::Broker* const broker_;
  Metrics& metrics_;
  prometheus::Histogram& decode_seconds_;

  Mutex mu_;
  std::map<std::pair<std::string, std::string>, prometheus::Counter*> counters_
      ABSL_GUARDED_BY(mu_);
};

// The way of the postbacks of one thread. Appends are handed on once a pass of that thread's loop
// rather than one by one: the larger the groups, the fewer the syncs.
class Lane : public std::enable_shared_from_this<Lane> {
 public:
  using Done = absl::AnyInvocable<void(Outcome)>;
  // Runs a task soon on the lane's thread; callable from any thread.
  using Post = std::function<void(absl::AnyInvocable<void()>)>;

  // Lives until what was submitted is settled. `ingest` must outlive it and every task that was
  // posted.
  static std::shared_ptr<Lane> Make(Ingest* ingest, Post post);

  // Judges a postback and calls `done` on the lane's thread when its outcome is settled. What the
  // postback and its event hold of the budget is held until then. Only on the lane's thread.
  void Submit(Postback postback, Done done);

 private:
  Lane(Ingest* ingest, Post post);

  struct Waiting {
    Done done;
    Outcome judged;  // what it is once it is durable, but for the receipt's part
    ByteBudget::Part held;
  };
  using Group = std::vector<Waiting>;

  broker::Entry Judge(Postback postback, Outcome* judged);
  void Flush();
  void Append(std::vector<broker::Entry> entries, Group waiting);
  void SettleAll();
  void Settle(Group waiting, broker::Receipts receipts);
  static Outcome Settle(Outcome judged, absl::StatusOr<broker::Receipt> receipt);

  Ingest* const ingest_;
  const Post post_;
  v1::Event event_;  // reused, for its memory
  std::vector<broker::Entry> entries_;
  Group waiting_;
  size_t bytes_ = 0;  // of entries_

  Mutex mu_;
  std::vector<std::pair<Group, broker::Receipts>> durable_ ABSL_GUARDED_BY(mu_);  // to be settled
};

}  // namespace mmsmo::ingest
