#include "client/handler_ceiling.h"

#include <algorithm>
#include <iterator>
#include <utility>

namespace mmsmo {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

HandlerCeiling::HandlerCeiling(milliseconds ceiling, OnOver on_over)
    : limit_(ceiling), on_over_(std::move(on_over)) {
  if (limit_ > milliseconds(0)) thread_ = std::thread([this] { Watch(); });
}

HandlerCeiling::~HandlerCeiling() {
  {
    const MutexLock lock(&mu_);
    closing_ = true;
    changed_.Signal();
  }
  if (thread_.joinable()) thread_.join();
}

HandlerCeiling::Running::Running(HandlerCeiling* ceiling, const Deliveries::Claim& claim)
    : ceiling_(*ceiling), claim_(claim) {
  if (ceiling_.limit_ > milliseconds(0)) Register(std::stop_source(std::nostopstate));
}

HandlerCeiling::Running::~Running() {
  if (!entry_) return;
  std::list<Entry> ended;  // freed without the lock
  const MutexLock lock(&ceiling_.mu_);
  ended.splice(ended.end(), ceiling_.running_, *entry_);
}

std::stop_token HandlerCeiling::Running::token() {
  std::stop_source source;
  if (!entry_) {
    Register(source);
    return source.get_token();
  }
  const MutexLock lock(&ceiling_.mu_);
  Entry& entry = **entry_;
  entry.source = source;
  if (ceiling_.told_all_ || entry.is_over) source.request_stop();
  return source.get_token();
}

void HandlerCeiling::Running::Register(std::stop_source source) {
  std::list<Entry> added;
  added.push_back({.claim = claim_,
                   .over_at = steady_clock::now() + ceiling_.limit_,
                   .source = std::move(source)});
  entry_ = added.begin();
  const MutexLock lock(&ceiling_.mu_);
  if (ceiling_.told_all_) added.front().source.request_stop();
  ceiling_.running_.splice(ceiling_.running_.end(), added);
  // Those before it may all be over, so that nobody waits for a time.
  ceiling_.changed_.Signal();
}

void HandlerCeiling::TellAll() {
  std::list<std::stop_source> sources;
  {
    const MutexLock lock(&mu_);
    told_all_ = true;
    for (const Entry& entry : running_) sources.push_back(entry.source);
  }
  for (std::stop_source& source : sources) source.request_stop();
}

void HandlerCeiling::Watch() {
  const MutexLock lock(&mu_);
  while (!closing_) {
    const auto first = std::find_if(running_.begin(), running_.end(),
                                    [](const Entry& entry) { return !entry.is_over; });
    if (first == running_.end()) {
      changed_.Wait(&mu_);
    } else if (steady_clock::now() < first->over_at) {
      changed_.WaitUntil(&mu_, first->over_at);
    } else {
      first->is_over = true;
      on_over_(first->claim);  // with the lock, so that the claim is not finished meanwhile
      std::stop_source source = first->source;
      mu_.Unlock();
      source.request_stop();  // which runs what the handler has registered
      mu_.Lock();
    }
  }
}

}  // namespace mmsmo
