#include "gateway/embedded/subscriptions/changes.h"

#include <algorithm>

namespace mmsmo::embedded {
namespace {

// `older` before `newer`.
template <typename T>
void Prepend(std::vector<T> older, std::vector<T>* newer) {
  older.insert(older.end(), newer->begin(), newer->end());
  *newer = std::move(older);
}

}  // namespace

bool SubscriptionChanges::empty() const {
  return !header && !progress && blocks.empty() && removed_blocks.empty() && settled.empty() &&
         failed.empty() && dead_letters.empty() && removed_dead_letters.empty() &&
         forget_before == 0;
}

void SubscriptionChanges::MergeOlder(SubscriptionChanges older) {
  Prepend(std::move(older.removed_blocks), &removed_blocks);
  Prepend(std::move(older.settled), &settled);
  Prepend(std::move(older.failed), &failed);
  for (auto& [sequence, bytes] : older.dead_letters) {
    if (!removed_dead_letters.contains(sequence)) dead_letters.emplace(sequence, std::move(bytes));
  }
  for (const uint64_t sequence : older.removed_dead_letters) {
    if (!dead_letters.contains(sequence)) removed_dead_letters.insert(sequence);
  }
  forget_before = std::max(forget_before, older.forget_before);
}

void SubscriptionChanges::Put(SubscriptionId id, const SubscriptionRecords& records,
                              const Clock& clock, rocksdb::WriteBatch* batch) const {
  using DeadLetters = SubscriptionRecords::DeadLetters;
  if (forget_before > 0) records.DeleteAttemptsBefore(id, forget_before, batch);
  const int64_t now = clock.MonotonicMicros();
  for (const SubscriptionState::Failed& one : failed) {
    records.PutFailures(id, one.sequence, one.failures, batch);
    const int64_t delay = std::max<int64_t>(one.retry_at - now, 0);
    records.PutRetry(id, one.sequence, clock.NowMicros() + delay, delay, batch);
  }
  for (const SubscriptionState::Settled& one : settled) {
    records.DeleteAttempts(id, one.sequence, batch);
    if (one.replay) records.Delete(DeadLetters::kReplayed, id, one.sequence, batch);
  }
  for (const uint64_t sequence : removed_dead_letters) {
    records.Delete(DeadLetters::kKept, id, sequence, batch);
  }
  for (const auto& [sequence, bytes] : dead_letters) {
    records.Put(DeadLetters::kKept, id, sequence, bytes, batch);
  }
  for (const uint64_t block : removed_blocks) records.DeleteBlock(id, block, batch);
  for (const auto& [block, words] : blocks) records.PutBlock(id, block, words, batch);
  if (progress) records.Put(id, *progress, batch);
  if (header) records.Put(*header, batch);
}

}  // namespace mmsmo::embedded
