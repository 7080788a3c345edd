#include "gateway/embedded/subscriptions/subscription.h"

#include <algorithm>

#include "gateway/base/status.h"
#include "gateway/broker/page.h"
#include "gateway/broker/proto_time.h"
#include "gateway/embedded/log/cursor.h"

namespace mmsmo::embedded {
namespace {

SubscriptionPolicy PolicyOf(const v1::Subscription& settings) {
  return {.ack_deadline = broker::MicrosOf(settings.ack_deadline()),
          .min_backoff = broker::MicrosOf(settings.retry_policy().minimum_backoff()),
          .max_backoff = broker::MicrosOf(settings.retry_policy().maximum_backoff()),
          .max_attempts = settings.max_attempts(),
          .max_outstanding = settings.max_outstanding_messages(),
          .order_by_sender = settings.order_by_sender()};
}

}  // namespace

absl::StatusOr<std::shared_ptr<Subscription>> Subscription::Open(const Rooms& rooms,
                                                                 SubscriptionHeader header) {
  auto progress = rooms.records->ReadProgress(header.id);
  if (!progress.ok()) return progress.status();
  auto delivered_through = rooms.records->ReadDeliveredThrough(header.id);
  if (!delivered_through.ok()) return delivered_through.status();
  AckedSet acked(progress->floor);
  if (auto status = rooms.records->ReadBlocks(header.id, &acked); !status.ok()) return status;
  SubscriptionState state(PolicyOf(header.settings), std::move(acked), *delivered_through);
  std::shared_ptr<Subscription> subscription(
      new Subscription(rooms, std::move(header), *progress, std::move(state)));
  if (auto status = subscription->LoadReplays(); !status.ok()) return status;
  return subscription;
}

Subscription::Subscription(const Rooms& rooms, SubscriptionHeader header,
                           SubscriptionProgress progress, SubscriptionState state)
    : rooms_(rooms),
      name_(header.settings.name()),
      id_(header.id),
      header_(std::move(header)),
      progress_(progress),
      state_(std::move(state)),
      recorded_through_(state_.delivered_through()),
      saved_floor_(progress.floor),
      saved_delivered_through_(state_.delivered_through()) {
  // Whether it was used while there was no gateway cannot be known.
  header_.last_used_micros = rooms_.clock->NowMicros();
}

absl::Status Subscription::LoadReplays() {
  MutexLock lock(&mu_);
  absl::Status status;
  const auto load = [&](uint64_t sequence, std::string_view bytes) {
    mu_.AssertHeld();
    v1::DeadLetter dead_letter;
    auto record = rooms_.records->ReadAttempts(id_, sequence);
    if (!record.ok()) status = record.status();
    if (!dead_letter.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) {
      status = DataLoss("a dead letter of subscription {} cannot be read", name_);
    }
    if (!status.ok()) return false;
    const int64_t now = rooms_.clock->MonotonicMicros();
    state_.Replay({.sequence = sequence,
                   .sender = SenderHash(dead_letter.event().mms_mo()),
                   .bytes = static_cast<uint32_t>(dead_letter.event().ByteSizeLong()),
                   .attempts = record->attempts.value_or(0),
                   .retry_at = record->RetryAt(now, rooms_.clock->NowMicros())},
                  now);
    return true;
  };
  auto visited = rooms_.records->Visit(SubscriptionRecords::Grave::kReplay, id_, 0, load);
  return status.ok() ? visited : status;
}

SubscriptionHeader Subscription::header() const {
  MutexLock lock(&mu_);
  return header_;
}

void Subscription::SetHeader(SubscriptionHeader header) {
  MutexLock lock(&mu_);
  header_ = std::move(header);
  header_.last_used_micros = rooms_.clock->NowMicros();
  state_.set_policy(PolicyOf(header_.settings));
  if (filter_) filter_ = std::make_unique<broker::EventFilter>(header_.settings.filter());
  Changed();
}

int Subscription::streams() const {
  MutexLock lock(&mu_);
  return state_.streams();
}

std::string Subscription::Cursor() const {
  MutexLock lock(&mu_);
  return rooms_.positions->Cursor(state_.next() - 1);
}

int64_t Subscription::Backlog() const {
  MutexLock lock(&mu_);
  return BacklogLocked();
}

// Those that are leased or wait for another attempt count too: they are not done with.
int64_t Subscription::BacklogLocked() const {
  const uint64_t head = rooms_.journal->head().head();
  const uint64_t floor = state_.acked().floor();
  const uint64_t above = head > floor ? head - floor - state_.acked().count_above() : 0;
  return static_cast<int64_t>(above + state_.replays());
}

v1::Subscription Subscription::Describe() const {
  MutexLock lock(&mu_);
  v1::Subscription description = header_.settings;
  description.set_backlog_count(BacklogLocked());
  description.set_dead_letter_count(static_cast<int64_t>(progress_.dead_letters));
  description.set_stream_count(state_.streams());
  description.set_expired_count(static_cast<int64_t>(progress_.expired));
  if (const int64_t micros = OldestUnacked(); micros > 0) {
    *description.mutable_oldest_unacked_accept_time() = broker::ToTimestamp(micros);
  }
  return description;
}

int64_t Subscription::OldestUnacked() const {
  const uint64_t oldest = state_.acked().floor() + 1;
  if (oldest > rooms_.journal->head().head()) return 0;
  const auto header = rooms_.journal->reader().Header(oldest);
  return header.ok() ? header->accept_micros : 0;
}

broker::SubscriptionStats Subscription::Stats() const {
  MutexLock lock(&mu_);
  const SubscriptionState::Totals& totals = state_.totals();
  const int64_t oldest = OldestUnacked();
  const int64_t age = oldest > 0 ? std::max<int64_t>(rooms_.clock->NowMicros() - oldest, 0) : 0;
  return {.name = name_,
          .backlog = BacklogLocked(),
          .oldest_unacked_seconds = static_cast<double>(age) / 1e6,
          .in_flight = static_cast<int64_t>(state_.leased()),
          .dead_letters = static_cast<int64_t>(progress_.dead_letters),
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
    if (!decoded.ok()) return InvalidArgument("cursors: {}", MessageOf(decoded.status()));
    // A dead letter outlives its epoch, but carries its event's cursor.
    auto bytes =
        rooms_.records->Read(SubscriptionRecords::Grave::kDeadLetter, id_, decoded->sequence);
    if (!bytes.ok()) return bytes.status();
    v1::DeadLetter dead_letter;
    if (*bytes && dead_letter.ParseFromString(**bytes) && dead_letter.event().cursor() == cursor)
      sequences.push_back(decoded->sequence);
  }
  if (!cursors.empty()) {
    std::sort(sequences.begin(), sequences.end());
    sequences.erase(std::unique(sequences.begin(), sequences.end()), sequences.end());
    return sequences;
  }
  auto status = rooms_.records->Visit(SubscriptionRecords::Grave::kDeadLetter, id_, 0,
                                      [&](uint64_t sequence, std::string_view) {
                                        sequences.push_back(sequence);
                                        return true;
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
    if (!decoded.ok()) return InvalidArgument("page_token: it is not one of ListDeadLetters");
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
      response.set_next_page_token(rooms_.positions->Cursor(last));
      return false;
    }
    last = sequence;
    readable = response.add_dead_letters()->ParseFromArray(dead_letter.data(),
                                                           static_cast<int>(dead_letter.size()));
    return readable;
  };
  auto status = rooms_.records->Visit(SubscriptionRecords::Grave::kDeadLetter, id_, from, add);
  if (!status.ok()) return status;
  if (!readable) return DataLoss("a dead letter of subscription {} cannot be read", name_);
  return response;
}

}  // namespace mmsmo::embedded
