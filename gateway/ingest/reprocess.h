// The use case: what lies in quarantine is judged again by today's rules, and published where it is
// understood now.

#pragma once

#include <string>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/status/statusor.h"
#include "gateway/base/byte_budget.h"
#include "gateway/broker/broker.h"
#include "mmsmo/v1/quarantine_service.pb.h"

namespace mmsmo::ingest {

// One result for each id, in order. Errors: NotFound where it is not in quarantine, any more at
// least; Unavailable with reason "overloaded" where the budget has no room for it; those of
// Broker::Append.
using Reprocessed = std::vector<absl::StatusOr<v1::ReprocessQuarantinedResponse>>;
using ReprocessDone = absl::AnyInvocable<void(Reprocessed) &&>;

// Reprocesses the first of the quarantined postbacks together, at least one and about 1 MiB of
// bodies at most, and no more than `budget` has room for; there are results for so many. What is
// published or turns out to be a repetition leaves the quarantine; what is still not understood
// stays as it is. `publish_conflicts` as broker::Entry::publish_conflict. Reads the store, so not
// for threads that must not block; calls `done` once, on this thread or on one of the engine, which
// must not be held up. `broker` and `budget`, of which null is no limit, must live until then.
// The act is recorded with what is published.
void Reprocess(const std::vector<std::string>& ids, bool publish_conflicts,
               const broker::ActPtr& act, broker::Broker* broker, ByteBudget* budget,
               ReprocessDone done);

}  // namespace mmsmo::ingest
