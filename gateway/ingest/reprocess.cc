#include "gateway/ingest/reprocess.h"

#include <algorithm>
#include <memory>
#include <utility>

#include "gateway/base/status.h"
#include "gateway/ingest/entry.h"
#include "gateway/ingest/outcome.h"

namespace mmsmo::ingest {
namespace {

using broker::Receipt;
using Result = absl::StatusOr<v1::ReprocessQuarantinedResponse>;

constexpr size_t kMaxBytes = 1 << 20;

v1::ReprocessQuarantinedResponse Response(std::string_view id, Outcome::Kind kind) {
  v1::ReprocessQuarantinedResponse response;
  response.set_id(std::string(id));
  response.set_outcome(std::string(Name(kind)));
  return response;
}

// `result` has its id already. Returns whether the postback is to leave the quarantine.
bool Settle(absl::StatusOr<Receipt> receipt, Result* result) {
  if (!receipt.ok()) {
    *result = receipt.status();
    return false;
  }
  switch (receipt->outcome) {
    case Receipt::Outcome::kAccepted:
    case Receipt::Outcome::kDuplicate:
      *result = Response((*result)->id(), receipt->outcome == Receipt::Outcome::kAccepted
                                              ? Outcome::Kind::kAccepted
                                              : Outcome::Kind::kDuplicate);
      (*result)->set_cursor(std::move(receipt->cursor));
      return true;
    case Receipt::Outcome::kConflict:
      (*result)->set_reason("id_conflict");
      break;
    case Receipt::Outcome::kQuarantined:  // not of an event
      break;
  }
  return false;
}

// What is not understood is settled here, the rest by the broker.
class Batch {
 public:
  Batch(broker::Broker* broker, ByteBudget* budget) : broker_(broker), held_(budget) {}

  bool full() const { return full_ || bytes_ >= kMaxBytes; }

  void Add(v1::GetQuarantinedResponse quarantined, bool publish_conflict,
           const broker::ActPtr& act) {
    v1::QuarantinedPostback& about = *quarantined.mutable_postback();
    Postback postback{.endpoint = std::move(*about.mutable_endpoint()),
                      .body = std::move(*quarantined.mutable_body()),
                      .content_type = std::move(*about.mutable_content_type()),
                      .content_encoding = std::move(*about.mutable_content_encoding()),
                      .trace_parent = std::move(*about.mutable_trace_parent()),
                      .verified_by = {std::make_move_iterator(about.mutable_verified_by()->begin()),
                                      std::make_move_iterator(about.mutable_verified_by()->end())}};
    bytes_ += postback.body.size();
    postback::Judgement judgement = Judge(postback, &event_);
    results_.emplace_back(Response(about.id(), Outcome::Kind::kQuarantined));
    if (judgement.verdict != postback::Verdict::kAccepted) {
      results_.back()->set_reason(std::string(Name(judgement.reason)));
      return;
    }
    broker::Entry entry = MakeEntry(std::move(postback), std::move(judgement), &event_);
    if (entry.event.empty()) {
      results_.back()->set_reason(std::move(entry.reason));
      return;
    }
    cost_ += CostOf(entry);
    if (!held_.Resize(cost_)) return LeaveOut();
    entry.publish_conflict = publish_conflict;
    entry.act = act;
    entries_.push_back(std::move(entry));
    result_of_.push_back(results_.size() - 1);
  }
  void AddError(absl::Status status) { results_.emplace_back(std::move(status)); }

  // Publishes, and removes from the quarantine what need not be there any more.
  static void Run(std::unique_ptr<Batch> batch, ReprocessDone done) {
    if (batch->entries_.empty()) return Finish(std::move(batch), std::move(done));
    Batch& at = *batch;
    at.broker_->Append(std::move(at.entries_),
                       [batch = std::move(batch),
                        done = std::move(done)](broker::Receipts receipts) mutable -> broker::Then {
                         std::vector<std::string> leaving;
                         for (size_t i = 0; i < receipts.size(); ++i) {
                           Result& result = batch->results_[batch->result_of_[i]];
                           std::string id = result->id();
                           if (Settle(std::move(receipts[i]), &result))
                             leaving.push_back(std::move(id));
                         }
                         Remove(std::move(batch), std::move(leaving), std::move(done));
                         return nullptr;
                       });
  }

 private:
  // The last one: another batch may have room for it.
  void LeaveOut() {
    full_ = true;
    if (results_.size() > 1) return results_.pop_back();
    results_.back() =
        WithReason(mmsmo::Unavailable(
                       "too many postbacks are in flight; what is left can be reprocessed later"),
                   "overloaded");
  }

  static void Finish(std::unique_ptr<Batch> batch, ReprocessDone done) {
    Reprocessed results = std::move(batch->results_);
    batch.reset();  // and what it holds of the budget
    std::move(done)(std::move(results));
  }

  // What could not be removed is found to be a repetition by the next call.
  static void Remove(std::unique_ptr<Batch> batch, std::vector<std::string> ids,
                     ReprocessDone done) {
    if (ids.empty()) return Finish(std::move(batch), std::move(done));
    Batch& at = *batch;
    at.broker_->quarantine().Discard(
        std::move(ids),
        [batch = std::move(batch), done = std::move(done)](const absl::StatusOr<int64_t>&) mutable {
          Finish(std::move(batch), std::move(done));
        });
  }

  broker::Broker* const broker_;
  v1::Event event_;  // reused, for its memory
  Reprocessed results_;
  std::vector<broker::Entry> entries_;
  std::vector<size_t> result_of_;  // of each entry, where in results_
  size_t bytes_ = 0;
  int64_t cost_ = 0;  // of entries_
  bool full_ = false;
  ByteBudget::Part held_;
};

}  // namespace

void Reprocess(const std::vector<std::string>& ids, bool publish_conflicts,
               const broker::ActPtr& act, broker::Broker* broker, ByteBudget* budget,
               ReprocessDone done) {
  auto batch = std::make_unique<Batch>(broker, budget);
  for (auto id = ids.begin(); id != ids.end() && !batch->full(); ++id) {
    auto quarantined = broker->quarantine().Get(*id);
    if (std::find(ids.begin(), id, *id) != id) {
      batch->AddError(NotFound("the postback is in quarantine once only"));
    } else if (quarantined.ok()) {
      batch->Add(*std::move(quarantined), publish_conflicts, act);
    } else {
      batch->AddError(quarantined.status());
    }
  }
  Batch::Run(std::move(batch), std::move(done));
}

}  // namespace mmsmo::ingest
