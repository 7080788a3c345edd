#include "gateway/access/party_limit.h"

#include <algorithm>

namespace mmsmo::access {

void PartyLimit::Place::GiveBack() {
  PartyLimit* const limit = std::exchange(limit_, nullptr);
  if (limit == nullptr) return;
  MutexLock lock(&limit->mu_);
  const auto it = limit->counts_.find(party_);
  if (--it->second == 0) limit->counts_.erase(it);
}

bool PartyLimit::Take(const Address& address, Place* place) {
  if (most_ == 0) return true;
  Place taken;
  taken.party_ = PartyOf(address);
  {
    MutexLock lock(&mu_);
    const auto it = counts_.try_emplace(taken.party_, 0).first;
    if (it->second >= most_) return false;
    ++it->second;
  }
  taken.limit_ = this;
  *place = std::move(taken);
  return true;
}

int PartyLimit::Highest() const {
  MutexLock lock(&mu_);
  int highest = 0;
  for (const auto& [party, count] : counts_) highest = std::max(highest, count);
  return highest;
}

}  // namespace mmsmo::access
