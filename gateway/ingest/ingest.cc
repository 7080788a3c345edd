#include "gateway/ingest/ingest.h"

#include <chrono>
#include <memory>
#include <optional>
#include <string_view>

#include "gateway/base/status.h"

namespace mmsmo::ingest {
namespace {

using postback::Verdict;

// What is appended together becomes durable together, so that a lane must not ask for too much.
constexpr size_t kMaxAppendBytes = 1 << 20;

Outcome::Kind KindOf(Verdict verdict) {
  switch (verdict) {
    case Verdict::kAccepted:
      return Outcome::Kind::kAccepted;
    case Verdict::kQuarantined:
      return Outcome::Kind::kQuarantined;
    case Verdict::kRejected:
      return Outcome::Kind::kRejected;
  }
  return Outcome::Kind::kRejected;
}

}  // namespace

std::string_view ReasonLabel(std::string_view reason) {
  for (const std::string_view known : {"",
                                       "id_conflict",
                                       "body_too_large",
                                       "not_durable",
                                       "overloaded",
                                       "quarantine_full",
                                       "retention_full",
                                       "draining",
                                       "unreadable",
                                       "bad_host",
                                       "no_such_path",
                                       "method_not_allowed",
                                       "too_slow",
                                       "length_required",
                                       "bad_expectation",
                                       "header_too_large",
                                       "bad_transfer_coding",
                                       "bad_version",
                                       "not_ready",
                                       "unauthenticated",
                                       "forbidden",
                                       "rate_limited",
                                       "no_certificate",
                                       "tls_required"}) {
    if (reason == known) return known;
  }
  for (int i = 0; i < postback::kReasons; ++i) {
    const std::string_view known = Name(static_cast<postback::Reason>(i));
    if (reason == known) return known;
  }
  return "other";
}

std::string_view Name(Outcome::Kind kind) {
  switch (kind) {
    case Outcome::Kind::kAccepted:
      return "accepted";
    case Outcome::Kind::kDuplicate:
      return "duplicate";
    case Outcome::Kind::kQuarantined:
      return "quarantined";
    case Outcome::Kind::kRejected:
      return "rejected";
    case Outcome::Kind::kUnavailable:
      return "unavailable";
  }
  return "";
}

Outcome Unavailable(std::string_view reason, std::string_view detail) {
  return {.kind = Outcome::Kind::kUnavailable,
          .http_status = 503,
          .reason = std::string(reason),
          .detail = std::string(detail)};
}

Ingest::Ingest(broker::Broker* broker, Metrics& metrics)
    : broker_(broker),
      metrics_(metrics),
      decode_seconds_(metrics.Histogram(
          "mmsmo_decode_seconds", "How long one postback took to decode and normalise.",
          {1e-6, 2.5e-6, 5e-6, 1e-5, 2.5e-5, 5e-5, 1e-4, 1e-3, 1e-2})) {}

void Ingest::Count(const Outcome& outcome) {
  const std::string kind(Name(outcome.kind)), reason(ReasonLabel(outcome.reason));
  MutexLock lock(&mu_);
  prometheus::Counter*& counter = counters_[{kind, reason}];
  if (counter == nullptr) {
    counter = &metrics_.Counter("mmsmo_postbacks_total", "Postbacks by outcome and reason.",
                                {{"outcome", kind}, {"reason", reason}});
  }
  counter->Increment();
}

Lane::Lane(Ingest* ingest, Post post) : ingest_(ingest), post_(std::move(post)) {}

std::shared_ptr<Lane> Lane::Make(Ingest* ingest, Post post) {
  return std::shared_ptr<Lane>(new Lane(ingest, std::move(post)));
}

void Lane::Submit(Postback postback, Done done) {
  Waiting waiting{.done = std::move(done), .judged = {}, .held = std::move(postback.held)};
  broker::Entry entry = Judge(std::move(postback), &waiting.judged);
  std::optional<Outcome> refused;
  if (entry.http_status == 413) {
    refused = Outcome{.kind = Outcome::Kind::kRejected,
                      .http_status = 413,
                      .reason = std::move(entry.reason),
                      .detail = std::move(entry.detail)};
  } else if (!waiting.held.Resize(CostOf(entry))) {
    refused = Unavailable("overloaded", "too many postbacks are in flight; send it again");
  }
  if (refused) {
    ingest_->Count(*refused);
    return waiting.done(*std::move(refused));
  }
  bytes_ += entry.body.size() + entry.event.size();
  entries_.push_back(std::move(entry));
  waiting_.push_back(std::move(waiting));
  if (bytes_ >= kMaxAppendBytes) return Flush();
  if (waiting_.size() == 1) post_([self = shared_from_this()] { self->Flush(); });
}

broker::Entry Lane::Judge(Postback postback, Outcome* judged) {
  const auto start = std::chrono::steady_clock::now();
  postback::Judgement judgement = ingest::Judge(postback, &event_);
  ingest_->decode_seconds_.Observe(
      std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count());
  judged->kind = KindOf(judgement.verdict);
  judged->http_status = StatusOf(judgement);
  broker::Entry entry = MakeEntry(std::move(postback), std::move(judgement), &event_);
  judged->reason = entry.reason;
  judged->detail = entry.detail;
  return entry;
}

void Lane::Flush() {
  if (waiting_.empty()) return;
  bytes_ = 0;
  Append(std::exchange(entries_, {}), std::exchange(waiting_, {}));
}

void Lane::Append(std::vector<broker::Entry> entries, Group waiting) {
  ingest_->broker_->Append(std::move(entries),
                           [self = shared_from_this(), waiting = std::move(waiting)](
                               broker::Receipts receipts) mutable -> broker::Then {
                             MutexLock lock(&self->mu_);
                             self->durable_.emplace_back(std::move(waiting), std::move(receipts));
                             if (self->durable_.size() > 1) return nullptr;
                             return [self] { self->post_([self] { self->SettleAll(); }); };
                           });
}

void Lane::SettleAll() {
  std::vector<std::pair<Group, broker::Receipts>> durable;
  {
    MutexLock lock(&mu_);
    durable.swap(durable_);
  }
  for (auto& [waiting, receipts] : durable) Settle(std::move(waiting), std::move(receipts));
}

// What is in conflict goes to the broker once more, to be kept.
void Lane::Settle(Group waiting, broker::Receipts receipts) {
  std::vector<broker::Entry> conflicts;
  Group waiting_on;
  for (size_t i = 0; i < waiting.size(); ++i) {
    Waiting& one = waiting[i];
    if (receipts[i].ok() && receipts[i]->outcome == broker::Receipt::Outcome::kConflict) {
      conflicts.push_back(Conflicting(std::move(*receipts[i]->entry), receipts[i]->cursor));
      one.judged.reason = conflicts.back().reason;
      one.judged.detail = conflicts.back().detail;
      waiting_on.push_back(std::move(one));
      continue;
    }
    Outcome outcome = Settle(std::move(one.judged), std::move(receipts[i]));
    ingest_->Count(outcome);
    one.done(std::move(outcome));
  }
  if (!conflicts.empty()) Append(std::move(conflicts), std::move(waiting_on));
}

Outcome Lane::Settle(Outcome judged, absl::StatusOr<broker::Receipt> receipt) {
  if (!receipt.ok()) return Unavailable(ReasonOf(receipt.status()), MessageOf(receipt.status()));
  switch (receipt->outcome) {
    case broker::Receipt::Outcome::kAccepted:
      break;
    case broker::Receipt::Outcome::kDuplicate:
      judged.kind = Outcome::Kind::kDuplicate;
      break;
    case broker::Receipt::Outcome::kConflict:  // settled before
    case broker::Receipt::Outcome::kQuarantined:
      if (judged.kind != Outcome::Kind::kRejected) judged.kind = Outcome::Kind::kQuarantined;
      break;
  }
  judged.cursor = std::move(receipt->cursor);
  judged.quarantine_id = std::move(receipt->quarantine_id);
  return judged;
}

}  // namespace mmsmo::ingest
