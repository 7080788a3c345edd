// Opening a subscription, and telling of it.

#include "gateway/embedded/subscriptions/subscription.h"

#include <algorithm>
#include <limits>
#include <optional>
#include <random>

#include "gateway/base/log.h"
#include "gateway/base/status.h"
#include "gateway/broker/page.h"
#include "gateway/broker/proto_time.h"
#include "gateway/embedded/log/cursor.h"

namespace mmsmo::embedded {
namespace {

using DeadLetters = SubscriptionRecords::DeadLetters;

SubscriptionPolicy PolicyOf(const v1::Subscription& settings, int64_t resume_window) {
  return {.ack_deadline = broker::MicrosOf(settings.ack_deadline()),
          .min_backoff = broker::MicrosOf(settings.retry_policy().minimum_backoff()),
          .max_backoff = broker::MicrosOf(settings.retry_policy().maximum_backoff()),
          .max_attempts = settings.max_attempts(),
          .max_outstanding = settings.max_outstanding_messages(),
          .order_by_sender = settings.order_by_sender(),
          .resume_window = resume_window};
}

// What the store has of a subscription.
struct Stored {
  SubscriptionProgress progress;
  AckedSet acked;
  uint64_t delivered_through = 0;
};

absl::StatusOr<Stored> Read(const SubscriptionRecords& records, SubscriptionId id) {
  Stored stored;
  auto progress = records.ReadProgress(id);
  if (!progress.ok()) return progress.status();
  stored.progress = *progress;
  stored.acked = AckedSet(progress->floor);
  if (auto status = records.ReadBlocks(id, &stored.acked); !status.ok()) return status;
  auto delivered_through = records.ReadDeliveredThrough(id, progress->epoch);
  if (!delivered_through.ok()) return delivered_through.status();
  stored.delivered_through = *delivered_through;
  return stored;
}

// What lies behind the head was lost with the end of the log, and its numbers are given again:
// before they are, nothing may be known of them.
absl::Status CutToHead(const Subscription::Shared& shared, const SubscriptionHeader& header,
                       uint64_t head, Stored* stored) {
  const SubscriptionRecords& records = *shared.records;
  rocksdb::WriteBatch batch;
  auto deleted = records.DeleteBehind(header.id, head, &stored->progress, &batch);
  if (!deleted.ok()) return deleted.status();
  const bool ends_behind = stored->acked.last() > head || stored->delivered_through > head;
  if (*deleted == 0 && !ends_behind) return absl::OkStatus();
  Log()->error(
      "subscription {} knows events that the log has lost, {} dead letters among them: it "
      "forgets them",
      header.settings.name(), *deleted);
  stored->acked.CutTo(head);
  stored->progress.floor = stored->acked.floor();
  stored->delivered_through = std::min(stored->delivered_through, head);
  const AckedSet::Changes blocks = stored->acked.TakeChanges();
  for (const uint64_t block : blocks.written) {
    records.PutBlock(header.id, block, stored->acked.words(block), &batch);
  }
  for (const uint64_t block : blocks.removed) records.DeleteBlock(header.id, block, &batch);
  records.PutDeliveredThrough(header.id, stored->progress.epoch, stored->delivered_through, &batch);
  records.Put(header.id, stored->progress, &batch);
  return shared.store->Write(&batch, "cutting a subscription to the log");
}

}  // namespace

absl::StatusOr<std::shared_ptr<Subscription>> Subscription::Open(const Shared& shared,
                                                                 SubscriptionHeader header) {
  auto stored = Read(*shared.records, header.id);
  if (!stored.ok()) return stored.status();
  const uint64_t head = shared.journal->head().head();
  if (auto status = CutToHead(shared, header, head, &*stored); !status.ok()) return status;
  SubscriptionState state(PolicyOf(header.settings, shared.resume_window_micros),
                          std::move(stored->acked), stored->delivered_through,
                          std::random_device()());
  std::shared_ptr<Subscription> subscription(
      new Subscription(shared, std::move(header), stored->progress, std::move(state)));
  if (auto status = subscription->LoadReplays(); !status.ok()) return status;
  return subscription;
}

Subscription::Subscription(const Shared& shared, SubscriptionHeader header,
                           SubscriptionProgress progress, SubscriptionState state)
    : shared_(shared),
      name_(header.settings.name()),
      id_(header.id),
      header_(std::move(header)),
      progress_(progress),
      state_(std::move(state)),
      filter_(std::make_shared<const broker::EventFilter>(header_.settings.filter())),
      read_part_(shared.read_ahead),
      recorded_through_(state_.delivered_through()),
      saved_floor_(progress.floor),
      opened_at_(shared.journal->AgeMicros()) {
  last_used_ = std::min(header_.last_used_micros, opened_at_);
  *shared_.dead_letter_bytes += static_cast<int64_t>(progress_.dead_letter_bytes);
}

Subscription::~Subscription() { shared_.journal->head().Cancel(this); }

SubscriptionHeader Subscription::header() const {
  MutexLock lock(&mu_);
  return header_;
}

std::vector<std::string> Subscription::Endpoints() const {
  MutexLock lock(&mu_);
  const auto& endpoints = header_.settings.filter().endpoints();
  return {endpoints.begin(), endpoints.end()};
}

void Subscription::SetHeader(SubscriptionHeader header) {
  MutexLock lock(&mu_);
  header.last_used_micros = header_.last_used_micros;  // it may have been used since
  header_ = std::move(header);
  state_.set_policy(PolicyOf(header_.settings, shared_.resume_window_micros));
  filter_ = std::make_shared<const broker::EventFilter>(header_.settings.filter());
  last_used_ = shared_.journal->AgeMicros();
  ForgetRead();
  Changed();
}

int Subscription::streams() const {
  MutexLock lock(&mu_);
  return state_.streams();
}

std::string Subscription::Cursor() const {
  MutexLock lock(&mu_);
  return shared_.positions->Cursor(state_.next() - 1);
}

int64_t Subscription::Backlog() const {
  MutexLock lock(&mu_);
  return BacklogLocked();
}

// Those that are leased or wait for another attempt count too: they are not done with.
int64_t Subscription::BacklogLocked() const {
  const uint64_t head = shared_.journal->head().head();
  const uint64_t floor = state_.acked().floor();
  const uint64_t above = head > floor ? head - floor - state_.acked().count_above() : 0;
  return static_cast<int64_t>(above + progress_.replays);
}

v1::Subscription Subscription::Describe() {
  RefreshOldest();
  MutexLock lock(&mu_);
  v1::Subscription description = header_.settings;
  description.set_backlog_count(BacklogLocked());
  description.set_dead_letter_count(static_cast<int64_t>(progress_.dead_letters));
  description.set_stream_count(state_.streams());
  description.set_expired_count(static_cast<int64_t>(progress_.expired));
  if (oldest_micros_ > 0) {
    *description.mutable_oldest_unacked_accept_time() = broker::ToTimestamp(oldest_micros_);
  }
  return description;
}

void Subscription::RefreshOldest() {
  uint64_t oldest = 0;
  {
    MutexLock lock(&mu_);
    oldest = state_.acked().floor() + 1;
    if (oldest > shared_.journal->head().head()) {
      oldest_ = 0;
      oldest_micros_ = 0;
      return;
    }
    if (oldest == oldest_) return;
  }
  const auto header = shared_.journal->reader().Header(oldest);
  MutexLock lock(&mu_);
  oldest_ = header.ok() ? oldest : 0;
  oldest_micros_ = header.ok() ? header->accept_micros : 0;
}

broker::SubscriptionStats Subscription::Stats() const {
  MutexLock lock(&mu_);
  const SubscriptionState::Totals& totals = state_.totals();
  const int64_t backlog = BacklogLocked();
  const bool waits = oldest_micros_ > 0 && backlog > 0;
  const int64_t age = waits ? std::max<int64_t>(shared_.clock->NowMicros() - oldest_micros_, 0) : 0;
  return {.name = name_,
          .backlog = backlog,
          .oldest_unacked_seconds = static_cast<double>(age) / 1e6,
          .in_flight = static_cast<int64_t>(state_.leased()),
          .dead_letters = static_cast<int64_t>(progress_.dead_letters),
          .given_up = static_cast<int64_t>(state_.given_up()),
          .expired = static_cast<int64_t>(progress_.expired),
          .delivered_total = totals.delivered,
          .redelivered_total = totals.redelivered,
          .acked_total = totals.acked,
          .lease_expired_total = totals.lease_expired,
          .dead_lettered_total = totals.dead_lettered};
}

absl::StatusOr<std::vector<uint64_t>> Subscription::DeadLettersAt(
    const std::vector<std::string>& cursors) const {
  std::vector<uint64_t> sequences;
  for (const std::string& cursor : cursors) {
    auto decoded = DecodeCursor(cursor);
    if (!decoded.ok()) return decoded.status();
    // A dead letter outlives its epoch, but carries its event's cursor.
    auto bytes = ReadDeadLetter(decoded->sequence);
    if (!bytes.ok()) return bytes.status();
    v1::DeadLetter dead_letter;
    if (*bytes && dead_letter.ParseFromString(**bytes) && dead_letter.event().cursor() == cursor)
      sequences.push_back(decoded->sequence);
  }
  std::sort(sequences.begin(), sequences.end());
  sequences.erase(std::unique(sequences.begin(), sequences.end()), sequences.end());
  return sequences;
}

absl::StatusOr<std::vector<uint64_t>> Subscription::DeadLettersFrom(uint64_t sequence,
                                                                    size_t at_most) const {
  std::vector<uint64_t> sequences;
  auto status = shared_.records->Visit(DeadLetters::kKept, id_, sequence,
                                       [&](uint64_t found, std::string_view) {
                                         sequences.push_back(found);
                                         return sequences.size() < at_most;
                                       });
  if (!status.ok()) return status;
  return sequences;
}

// The token is the cursor of the page's last dead letter.
absl::StatusOr<v1::ListDeadLettersResponse> Subscription::ListDeadLetters(
    int page_size, const std::string& page_token) const {
  uint64_t from = 0;
  if (!page_token.empty()) {
    auto decoded = DecodeCursor(page_token);
    if (!decoded.ok()) return InvalidArgument("it is not one of ListDeadLetters");
    from = decoded->sequence + 1;
  }
  v1::ListDeadLettersResponse response;
  size_t bytes = 0;
  uint64_t last = 0;
  bool readable = true;
  const auto add = [&](uint64_t sequence, std::string_view dead_letter) {
    bytes += dead_letter.size();
    if (response.dead_letters_size() >= page_size ||
        (bytes > broker::kMaxPageBytes && response.dead_letters_size() > 0)) {
      response.set_next_page_token(shared_.positions->Cursor(last));
      return false;
    }
    last = sequence;
    readable = response.add_dead_letters()->ParseFromArray(dead_letter.data(),
                                                           static_cast<int>(dead_letter.size()));
    return readable;
  };
  auto status = shared_.records->Visit(DeadLetters::kKept, id_, from, add);
  if (!status.ok()) return status;
  if (!readable) return DataLoss("a dead letter of subscription {} cannot be read", name_);
  return response;
}

}  // namespace mmsmo::embedded
