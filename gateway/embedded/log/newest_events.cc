#include "gateway/embedded/log/newest_events.h"

#include <algorithm>
#include <limits>
#include <utility>

#include "gateway/broker/delivery_frame.h"

namespace mmsmo::embedded {

void EventRun::Reserve(size_t events, size_t event_bytes) {
  constexpr size_t kMaxBesideEvent = 16;  // two keys and two lengths below 2^49
  deliveries_.reserve(event_bytes + events * kMaxBesideEvent);
  ends_.reserve(events);
  event_sizes_.reserve(events);
}

size_t EventRun::bytes() const {
  return deliveries_.capacity() + sizeof(uint32_t) * (ends_.capacity() + event_sizes_.capacity());
}

void EventRun::Append(std::string_view event) {
  broker::AppendDelivery(event, &deliveries_);
  ends_.push_back(static_cast<uint32_t>(deliveries_.size()));
  event_sizes_.push_back(static_cast<uint32_t>(event.size()));
}

std::string_view EventRun::Delivery(uint64_t sequence) const {
  const size_t i = sequence - first_;
  const size_t begin = i == 0 ? 0 : ends_[i - 1];
  return std::string_view(deliveries_).substr(begin, ends_[i] - begin);
}

std::string_view EventRun::Event(uint64_t sequence) const {
  const std::string_view delivery = Delivery(sequence);
  return delivery.substr(delivery.size() - event_sizes_[sequence - first_]);
}

void NewestEvents::Add(std::shared_ptr<const EventRun> run) {
  MutexLock lock(&mu_);
  if (!runs_.empty() && runs_.back()->last() + 1 != run->first()) {
    runs_.clear();
    bytes_ = 0;
  }
  bytes_ += run->bytes();
  runs_.push_back(std::move(run));
  while (bytes_ > max_bytes_) {
    bytes_ -= runs_.front()->bytes();
    runs_.pop_front();
  }
}

uint64_t NewestEvents::first() const {
  MutexLock lock(&mu_);
  return runs_.empty() ? std::numeric_limits<uint64_t>::max() : runs_.front()->first();
}

std::shared_ptr<const EventRun> NewestEvents::Find(uint64_t sequence) const {
  MutexLock lock(&mu_);
  const auto it =
      std::upper_bound(runs_.begin(), runs_.end(), sequence,
                       [](uint64_t wanted, const auto& run) { return wanted < run->first(); });
  if (it == runs_.begin()) return nullptr;
  const auto& run = *std::prev(it);
  return sequence <= run->last() ? run : nullptr;
}

}  // namespace mmsmo::embedded
