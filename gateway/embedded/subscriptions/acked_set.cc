#include "gateway/embedded/subscriptions/acked_set.h"

#include <algorithm>
#include <bit>
#include <iterator>
#include <utility>

namespace mmsmo::embedded {
namespace {

uint64_t BlockOf(uint64_t sequence) { return sequence / AckedSet::kBlockEvents; }

uint64_t& WordOf(AckedSet::Words& words, uint64_t sequence) {
  return words[sequence % AckedSet::kBlockEvents / 64];
}

uint64_t BitOf(uint64_t sequence) { return uint64_t{1} << (sequence % 64); }

// How many bits of `words`, which is block `block`, stand for events in (after, through].
uint64_t Count(const AckedSet::Words& words, uint64_t block, uint64_t after, uint64_t through) {
  uint64_t count = 0;
  for (size_t i = 0; i < words.size(); ++i) {
    const uint64_t first = block * AckedSet::kBlockEvents + i * 64;
    uint64_t word = words[i];
    if (first > through || first + 63 <= after) continue;
    if (after >= first) word &= after - first == 63 ? 0 : ~uint64_t{0} << (after - first + 1);
    if (through - first < 63) word &= (uint64_t{1} << (through - first + 1)) - 1;
    count += static_cast<uint64_t>(std::popcount(word));
  }
  return count;
}

}  // namespace

bool AckedSet::Contains(uint64_t sequence) const {
  if (sequence <= floor_) return true;
  const auto it = blocks_.find(BlockOf(sequence));
  return it != blocks_.end() && (WordOf(*it->second, sequence) & BitOf(sequence)) != 0;
}

bool AckedSet::Add(uint64_t sequence) {
  if (Contains(sequence)) return false;
  if (sequence == floor_ + 1) {
    RaiseFloor(sequence);
    return true;
  }
  const uint64_t block = BlockOf(sequence);
  std::unique_ptr<Words>& words = blocks_[block];
  if (!words) words = std::make_unique<Words>(Words{});
  WordOf(*words, sequence) |= BitOf(sequence);
  ++count_above_;
  changed_.insert(block);
  return true;
}

uint64_t AckedSet::AddThrough(uint64_t sequence) {
  if (sequence <= floor_) return 0;
  uint64_t there = 0;
  for (auto it = blocks_.begin(); it != blocks_.end() && it->first <= BlockOf(sequence); ++it) {
    there += Count(*it->second, it->first, floor_, sequence);
  }
  const uint64_t added = sequence - floor_ - there;
  count_above_ -= there;
  RaiseFloor(sequence);
  return added;
}

// Goes on over the events that follow `floor` and are done with already.
void AckedSet::RaiseFloor(uint64_t floor) {
  floor_ = floor;
  if (blocks_.empty()) return;
  while (count_above_ > 0 && Contains(floor_ + 1)) {
    ++floor_;
    --count_above_;
  }
  while (!blocks_.empty() && blocks_.begin()->first < BlockOf(floor_ + 1)) {
    changed_.erase(blocks_.begin()->first);
    removed_.push_back(blocks_.begin()->first);
    blocks_.erase(blocks_.begin());
  }
}

AckedSet::Changes AckedSet::TakeChanges() {
  Changes changes;
  changes.written.assign(changed_.begin(), changed_.end());
  changes.removed = std::exchange(removed_, {});
  changed_.clear();
  return changes;
}

void AckedSet::MarkChanged() {
  for (const auto& [block, words] : blocks_) changed_.insert(block);
}

uint64_t AckedSet::last() const {
  for (auto block = blocks_.rbegin(); block != blocks_.rend(); ++block) {
    for (size_t i = block->second->size(); i-- > 0;) {
      const uint64_t word = (*block->second)[i];
      if (word == 0) continue;
      const auto bit = static_cast<uint64_t>(std::bit_width(word)) - 1;
      return std::max(floor_, block->first * kBlockEvents + i * 64 + bit);
    }
  }
  return floor_;
}

void AckedSet::CutTo(uint64_t head) {
  floor_ = std::min(floor_, head);
  for (auto it = blocks_.lower_bound(BlockOf(head)); it != blocks_.end();) {
    const uint64_t first = it->first * kBlockEvents;
    for (uint64_t event = std::max(head + 1, first); event < first + kBlockEvents; ++event) {
      WordOf(*it->second, event) &= ~BitOf(event);
    }
    changed_.insert(it->first);
    if (first <= head) {
      ++it;
    } else {
      changed_.erase(it->first);
      removed_.push_back(it->first);
      it = blocks_.erase(it);
    }
  }
  count_above_ = 0;
  for (const auto& [block, words] : blocks_) count_above_ += Count(*words, block, floor_, head);
}

void AckedSet::Restore(uint64_t block, const Words& words) {
  if (block < BlockOf(floor_ + 1)) {  // left behind by a write that failed
    removed_.push_back(block);
    return;
  }
  count_above_ += Count(words, block, floor_, ~uint64_t{0});
  blocks_[block] = std::make_unique<Words>(words);
}

}  // namespace mmsmo::embedded
