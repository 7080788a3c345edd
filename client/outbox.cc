#include "client/outbox.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include "client/connection.h"

namespace mmsmo {
namespace {

absl::Status WhyOf(v1::AckFailureReason reason) {
  return reason == v1::ACK_FAILURE_REASON_EXPIRED
             ? absl::DeadlineExceededError("it is delivered again, or was already")
             : absl::InvalidArgumentError("the gateway does not know the ack_id");
}

}  // namespace

Outbox::Outbox(Backoff backoff) : backoff_(std::move(backoff)) {}

bool Outbox::Add(const Update& update, std::string ack_id, Time now) {
  const auto [it, is_new] = groups_.try_emplace(update);
  Group& group = it->second;
  if (is_new) group.due = now + linger_;
  group.ack_ids.push_back(std::move(ack_id));
  const bool enough = group.ack_ids.size() == defaults::kAckBatch;
  if (enough) group.due = std::min(group.due, now);
  return is_new || enough;
}

void Outbox::AddAll(const Update& update, std::vector<std::string> ack_ids, Time now) {
  if (ack_ids.empty()) return;
  Group& group = groups_.try_emplace(update).first->second;
  group.due = now;
  group.ack_ids.insert(group.ack_ids.end(), std::move_iterator(ack_ids.begin()),
                       std::move_iterator(ack_ids.end()));
}

void Outbox::Hurry(Time now) {
  linger_ = std::chrono::milliseconds(0);
  for (auto& [update, group] : groups_) group.due = std::min(group.due, now);
}

Outbox::Time Outbox::due() const {
  Time due = Time::max();
  for (const auto& [update, group] : groups_) due = std::min(due, group.due);
  return std::max(due, paused_until_);
}

std::optional<UpdateCall> Outbox::Take(Time now) {
  if (due() > now) return std::nullopt;
  // The one that is due for longest, so that no kind of update crowds out another.
  const auto it =
      std::min_element(groups_.begin(), groups_.end(),
                       [](const auto& a, const auto& b) { return a.second.due < b.second.due; });
  std::vector<std::string>& waiting = it->second.ack_ids;
  UpdateCall call{.update = it->first};
  if (waiting.size() <= defaults::kMaxAckIds) {
    call.ack_ids = std::move(waiting);
    groups_.erase(it);
  } else {
    const auto end = waiting.begin() + defaults::kMaxAckIds;
    call.ack_ids.assign(std::move_iterator(waiting.begin()), std::move_iterator(end));
    waiting.erase(waiting.begin(), end);
  }
  return call;
}

std::vector<FailedUpdate> Outbox::OnAnswer(
    UpdateCall call, const absl::Status& status,
    const google::protobuf::RepeatedPtrField<v1::AckFailure>& failures, Time now) {
  // The next round prolongs again whatever is still here.
  if (call.update.kind == Update::Kind::kExtend) return {};
  const bool reported =
      call.update.kind == Update::Kind::kAck || call.update.kind == Update::Kind::kDeadLetter;
  std::vector<FailedUpdate> failed;
  if (!status.ok()) {
    if (!IsFinal(status)) {
      TryAgain(call.update, std::move(call.ack_ids), RetryDelayOf(status), now);
    } else if (reported) {
      for (std::string& ack_id : call.ack_ids) failed.push_back({std::move(ack_id), status});
    }
    return failed;
  }
  std::vector<std::string> again;
  for (const v1::AckFailure& failure : failures) {
    if (failure.reason() == v1::ACK_FAILURE_REASON_TRANSIENT) {
      again.push_back(failure.ack_id());
    } else if (reported) {
      failed.push_back({failure.ack_id(), WhyOf(failure.reason())});
    }
  }
  if (again.empty()) {
    backoff_.Reset();
  } else {
    TryAgain(call.update, std::move(again), std::chrono::milliseconds(0), now);
  }
  return failed;
}

void Outbox::TryAgain(const Update& update, std::vector<std::string> ack_ids,
                      std::chrono::milliseconds delay, Time now) {
  // Calls that were under way together fail together: that is one failure.
  if (now >= paused_until_) paused_until_ = now + std::max(backoff_.Next(), delay);
  AddAll(update, std::move(ack_ids), now);
}

}  // namespace mmsmo
