#include "gateway/embedded/broker.h"

#include <utility>

#include "gateway/base/status.h"
#include "gateway/embedded/log/feed.h"

namespace mmsmo::embedded {

absl::StatusOr<std::unique_ptr<EmbeddedBroker>> EmbeddedBroker::Open(const Options& options,
                                                                     const Clock& clock,
                                                                     Metrics& metrics) {
  auto store = Store::Open(options.data_dir);
  if (!store.ok()) return store.status();
  auto audit = AuditLog::Open(options, store->get(), clock);
  if (!audit.ok()) return audit.status();
  auto journal = Journal::Open(options, store->get(), audit->get(), clock, metrics);
  if (!journal.ok()) return journal.status();
  std::unique_ptr<EmbeddedBroker> broker(
      new EmbeddedBroker(*std::move(store), *std::move(audit), *std::move(journal)));
  auto subscriptions =
      EmbeddedSubscriptions::Open(options, broker->journal_.get(), broker->store_.get(),
                                  broker->audit_.get(), &broker->positions_, clock);
  if (!subscriptions.ok()) return subscriptions.status();
  broker->subscriptions_ = *std::move(subscriptions);
  return broker;
}

EmbeddedBroker::EmbeddedBroker(std::unique_ptr<Store> store, std::unique_ptr<AuditLog> audit,
                               std::unique_ptr<Journal> journal)
    : store_(std::move(store)),
      audit_(std::move(audit)),
      journal_(std::move(journal)),
      positions_(journal_.get()),
      quarantine_(store_.get(), [journal = journal_.get()](auto ids, auto done, const auto& act) {
        journal->Discard(std::move(ids), std::move(done), act);
      }) {}

void EmbeddedBroker::Append(std::vector<broker::Entry> entries, broker::AppendDone done) {
  journal_->Append(std::move(entries), std::move(done));
}

absl::Status EmbeddedBroker::Ready() const {
  for (const auto& status :
       {journal_->Ready(), journal_->CheckWriter(), subscriptions_->CheckWriter()}) {
    if (!status.ok()) return status;
  }
  return absl::OkStatus();
}

broker::LogStats EmbeddedBroker::Stats() const { return journal_->Stats(); }

std::string EmbeddedBroker::EarliestCursor() const { return positions_.EarliestCursor(); }

void EmbeddedBroker::OpenFeed(const v1::StartPosition& start, const v1::Filter& filter,
                              broker::OpenFeedDone done) {
  auto open = [this, start, filter, done = std::move(done)]() mutable {
    auto position = positions_.Resolve(start);
    if (!position.ok()) return std::move(done)(position.status());
    std::move(done)(std::make_unique<LogFeed>(journal_.get(), store_.get(), position->after,
                                              position->not_before, filter));
  };
  start.has_accept_time() ? openers_.Run(std::move(open)) : open();
}

absl::StatusOr<std::string> EmbeddedBroker::GetEvent(std::string_view cursor) {
  auto sequence = positions_.Locate(cursor);
  if (!sequence.ok()) return sequence.status();
  auto event = journal_->reader().Event(*sequence);
  if (absl::IsNotFound(event.status())) {
    return positions_.CursorExpired("the event is not retained");
  }
  return event;
}

absl::StatusOr<broker::RawPostback> EmbeddedBroker::GetRawPostback(std::string_view cursor) {
  auto sequence = positions_.Locate(cursor);
  if (!sequence.ok()) return sequence.status();
  auto raw = journal_->reader().Raw(*sequence);
  if (absl::IsNotFound(raw.status())) return NotFound("the raw body of this event was not kept");
  return raw;
}

}  // namespace mmsmo::embedded
