#include "gateway/embedded/subscriptions/lookahead.h"

#include <absl/hash/hash.h>

#include <algorithm>
#include <limits>
#include <string>
#include <utility>

#include "gateway/base/status.h"
#include "gateway/broker/address.h"
#include "gateway/embedded/log/log_scan.h"

namespace mmsmo::embedded {
namespace {

constexpr size_t kCopiesBytes = 64 << 10;
// What one Read may spend: so much for each event that has to be parsed, 1 for each other.
constexpr int kEffort = 10'000;
constexpr int kEffortToParse = 10;

}  // namespace

uint64_t SenderHash(const v1::MmsMo& message) {
  return absl::Hash<std::string>()(broker::PersonKey(message.sender()));
}

bool Lookahead::IsInMemory(const ReadPlan& plan) const {
  return plan.not_before == 0 && plan.from > plan.recorded_through &&
         journal_.newest().Find(plan.from) != nullptr;
}

absl::StatusOr<std::vector<ReadEvent>> Lookahead::Read(const ReadPlan& plan, int max_events,
                                                       bool in_memory) const {
  std::vector<ReadEvent> events;
  LogScan scan(&journal_, &store_);
  std::shared_ptr<const EventRun> run;
  std::shared_ptr<std::string> copies;  // one allocation for many
  // Before a start by time is found, the store has to say when events were accepted.
  const uint64_t in_memory_from =
      plan.not_before > 0 ? std::numeric_limits<uint64_t>::max() : journal_.newest().first();
  size_t bytes = 0;
  int effort = 0;
  for (uint64_t sequence = plan.from;
       sequence <= plan.through && static_cast<int>(events.size()) < max_events &&
       bytes < plan.max_bytes && effort < kEffort;
       ++sequence) {
    ReadEvent read{.candidate = {.sequence = sequence}};
    int64_t accept_micros = 0;
    if (sequence >= in_memory_from && (!run || sequence > run->last())) {
      run = journal_.newest().Find(sequence);
    }
    if (run && sequence >= run->first()) {
      read.event = run->Event(sequence);
      read.owner = run;
    } else if (in_memory) {
      break;
    } else {
      auto stored = scan.ReadFromDisk(sequence);
      if (!stored.ok()) {
        if (events.empty()) return stored.status();
        break;
      }
      if (!copies || copies->size() + stored->event.size() > copies->capacity()) {
        copies = std::make_shared<std::string>();
        copies->reserve(std::max(std::min(kCopiesBytes, plan.max_bytes), stored->event.size()));
      }
      const size_t begin = copies->size();
      copies->append(stored->event);
      read.event = std::string_view(*copies).substr(begin);
      read.owner = copies;
      accept_micros = stored->accept_micros;
    }
    bytes += read.event.size();
    if (auto status = Judge(plan, accept_micros, &read); !status.ok()) {
      if (events.empty()) return status;
      break;
    }
    const bool parsed = !plan.filter->matches_all() || plan.order_by_sender;
    effort += parsed ? kEffortToParse : 1;
    if (!read.wanted) {
      read.event = {};
      read.owner.reset();
    }
    events.push_back(std::move(read));
  }
  return events;
}

absl::Status Lookahead::Judge(const ReadPlan& plan, int64_t accept_micros, ReadEvent* read) const {
  SubscriptionState::Candidate& candidate = read->candidate;
  candidate.bytes = static_cast<uint32_t>(read->event.size());
  if (accept_micros < plan.not_before) {
    read->wanted = false;
    return absl::OkStatus();
  }
  if (!plan.filter->matches_all() || plan.order_by_sender) {
    v1::Event event;
    if (!event.ParseFromArray(read->event.data(), static_cast<int>(read->event.size()))) {
      return DataLoss("event {} of the log cannot be parsed", candidate.sequence);
    }
    read->wanted = plan.filter->Matches(event);
    candidate.sender = SenderHash(event.mms_mo());
  }
  if (!read->wanted || candidate.sequence > plan.recorded_through) return absl::OkStatus();
  auto record = records_.ReadAttempts(plan.subscription, plan.epoch, candidate.sequence);
  if (!record.ok()) return record.status();
  candidate.attempts = record->attempts.value_or(plan.unrecorded_attempts);
  candidate.failures = record->failures;
  candidate.retry_at = record->RetryAt(clock_.MonotonicMicros(), clock_.NowMicros());
  return absl::OkStatus();
}

}  // namespace mmsmo::embedded
