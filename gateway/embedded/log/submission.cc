#include "gateway/embedded/log/submission.h"

#include <algorithm>
#include <utility>

#include "gateway/base/status.h"

namespace mmsmo::embedded {
namespace {

absl::Status NotDurable(const absl::Status& why) {
  return WithReason(Unavailable("the postback could not be made durable: {}", MessageOf(why)),
                    "not_durable");
}

}  // namespace

void Submission::AddTo(CommitSize* size) const {
  size->entries += entries.size();
  for (const broker::Entry& entry : entries) {
    size->event_bytes += entry.event.size();
    size->body_bytes += entry.body.size();
  }
}

Answer::Answer(Submission submission, CommitGroup* group) : submission_(std::move(submission)) {
  receipts_.reserve(submission_.entries.size());
  for (broker::Entry& entry : submission_.entries) {
    auto receipt = group->Stage(std::move(entry));
    if (!receipt.ok() && ReasonOf(receipt.status()).empty()) receipt = NotDurable(receipt.status());
    receipts_.push_back(std::move(receipt));
  }
  for (const std::string& id : submission_.discards) {
    auto discarded = group->Discard(id, submission_.act);
    if (!discarded.ok()) {
      discarded_ = NotDurable(discarded.status());
    } else if (discarded_.ok() && *discarded) {
      ++*discarded_;
    }
  }
}

Answer::Answer(Submission submission, const absl::Status& why)
    : submission_(std::move(submission)) {
  receipts_.resize(submission_.entries.size());
  Fail(why);
}

void Answer::Fail(const absl::Status& why) {
  std::fill(receipts_.begin(), receipts_.end(), NotDurable(why));
  discarded_ = NotDurable(why);
}

broker::Then Answer::Send() && {
  if (submission_.discarded) std::move(submission_.discarded)(std::move(discarded_));
  if (!submission_.appended) return nullptr;
  return std::move(submission_.appended)(std::move(receipts_));
}

}  // namespace mmsmo::embedded
