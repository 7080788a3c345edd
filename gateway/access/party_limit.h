// How many of something, such as connections, one party may have at once.

#pragma once

#include <map>
#include <utility>

#include "gateway/access/address.h"
#include "mutex.h"

namespace mmsmo::access {

// A party is an address of IPv4, or a /64 of IPv6. Only those that have something are kept.
// Thread-safe. Outlives its places.
class PartyLimit {
 public:
  // `most` of each; 0: no limit.
  explicit PartyLimit(int most) : most_(most) {}
  PartyLimit(const PartyLimit&) = delete;
  PartyLimit& operator=(const PartyLimit&) = delete;

  // One of what a party has, until it is destroyed or given back.
  class Place {
   public:
    Place() = default;
    Place(Place&& other) noexcept { *this = std::move(other); }
    Place& operator=(Place&& other) noexcept {
      std::swap(limit_, other.limit_);
      std::swap(party_, other.party_);
      other.GiveBack();
      return *this;
    }
    ~Place() { GiveBack(); }
    void GiveBack();

   private:
    friend class PartyLimit;
    PartyLimit* limit_ = nullptr;
    Address party_;
  };

  // Whether there was one for that party's; it is in `place` then.
  bool Take(const Address& address, Place* place);
  // What the party has that has most.
  int Highest() const;

 private:
  const int most_;
  mutable Mutex mu_;
  std::map<Address, int> counts_ ABSL_GUARDED_BY(mu_);
};

}  // namespace mmsmo::access
