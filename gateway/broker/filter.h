// Which events a v1.Filter lets through.

#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "absl/container/flat_hash_set.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "mmsmo/v1/event.pb.h"

namespace mmsmo::broker {

// Constant after construction, hence thread-safe.
class EventFilter {
 public:
  // The most values that one list of a filter may have.
  static constexpr int kMaxValues = 1000;

  explicit EventFilter(const v1::Filter& filter);

  // InvalidArgument naming the field, of which `path` is the filter's: more than kMaxValues values,
  // an unknown media kind, or a field that this gateway does not know, since leaving it out would
  // let more through.
  static absl::Status Validate(std::string_view path, const v1::Filter& filter);

  // Lets everything through, so that events need not be parsed.
  bool matches_all() const { return matches_all_; }
  bool Matches(const v1::Event& event) const;
  // Likewise, of a serialised v1.Event. DataLoss where it would have to be parsed, and cannot be.
  absl::StatusOr<bool> MatchesSerialised(std::string_view event) const;

 private:
  using Values = absl::flat_hash_set<std::string>;
  static bool MatchesAddress(const Values& wanted, const v1::Address& address);

  const bool matches_all_;
  const Values recipients_;  // as AddressKey has them
  const Values keywords_;    // as FoldKeyword has them
  const Values senders_;     // as recipients_
  const Values operator_ids_;
  const absl::flat_hash_set<int> media_kinds_;
  const Values endpoints_;
};

}  // namespace mmsmo::broker
