#include "gateway/ingest/reprocess.h"

#include <utility>

#include "gateway/ingest/entry.h"
#include "gateway/ingest/outcome.h"

namespace mmsmo::ingest {
namespace {

using broker::Receipt;

Outcome::Kind KindOf(Receipt::Outcome outcome) {
  switch (outcome) {
    case Receipt::Outcome::kAccepted:
      return Outcome::Kind::kAccepted;
    case Receipt::Outcome::kDuplicate:
      return Outcome::Kind::kDuplicate;
    case Receipt::Outcome::kQuarantined:
    case Receipt::Outcome::kDiscarded:  // not of an event
      break;
  }
  return Outcome::Kind::kQuarantined;
}

v1::ReprocessQuarantinedResponse Response(std::string_view id, Outcome::Kind kind) {
  v1::ReprocessQuarantinedResponse response;
  response.set_id(std::string(id));
  response.set_outcome(std::string(Name(kind)));
  return response;
}

void Settle(absl::StatusOr<Receipt> receipt,
            absl::StatusOr<v1::ReprocessQuarantinedResponse>* result) {
  if (!receipt.ok()) {
    *result = receipt.status();
    return;
  }
  *result = Response((*result)->id(), KindOf(receipt->outcome));
  (*result)->set_cursor(std::move(receipt->cursor));
  (*result)->set_reason(std::move(receipt->reason));
}

// What is not understood is settled here, the rest by the broker.
class Batch {
 public:
  void Add(v1::GetQuarantinedResponse quarantined, bool publish_conflict) {
    v1::QuarantinedPostback& about = *quarantined.mutable_postback();
    Postback postback{.body = std::move(*quarantined.mutable_body()),
                      .content_type = std::move(*about.mutable_content_type())};
    postback::Judgement judgement = Judge(postback, &event_);
    results_.emplace_back(Response(about.id(), Outcome::Kind::kQuarantined));
    if (judgement.verdict != postback::Verdict::kAccepted) {
      results_.back()->set_reason(std::string(Name(judgement.reason)));
      return;
    }
    broker::Entry entry = MakeEntry(std::move(*about.mutable_endpoint()), std::move(postback),
                                    std::move(judgement), &event_);
    if (entry.event.empty()) {
      results_.back()->set_reason(std::move(entry.reason));
      return;
    }
    entry.quarantine_id = about.id();
    entry.publish_conflict = publish_conflict;
    entries_.push_back(std::move(entry));
    result_of_.push_back(results_.size() - 1);
  }
  void AddError(absl::Status status) { results_.emplace_back(std::move(status)); }

  void Append(broker::Broker* broker, ReprocessDone done) && {
    if (entries_.empty()) return std::move(done)(std::move(results_));
    broker->Append(std::move(entries_),
                   [results = std::move(results_), result_of = std::move(result_of_),
                    done = std::move(done)](broker::Receipts receipts) mutable {
                     for (size_t i = 0; i < receipts.size(); ++i)
                       Settle(std::move(receipts[i]), &results[result_of[i]]);
                     std::move(done)(std::move(results));
                   });
  }

 private:
  v1::Event event_;  // reused, for its memory
  Reprocessed results_;
  std::vector<broker::Entry> entries_;
  std::vector<size_t> result_of_;  // of each entry, where in results_
};

}  // namespace

void Reprocess(const std::vector<std::string>& ids, bool publish_conflicts, broker::Broker* broker,
               ReprocessDone done) {
  Batch batch;
  for (const std::string& id : ids) {
    auto quarantined = broker->quarantine().Get(id);
    if (quarantined.ok()) {
      batch.Add(*std::move(quarantined), publish_conflicts);
    } else {
      batch.AddError(quarantined.status());
    }
  }
  std::move(batch).Append(broker, std::move(done));
}

}  // namespace mmsmo::ingest
