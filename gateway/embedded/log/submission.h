// What the journal is asked for, and what it says then.

#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "gateway/broker/broker.h"
#include "gateway/embedded/log/commit_group.h"

namespace mmsmo::embedded {

struct Submission {
  // Either something to append
  std::vector<broker::Entry> entries;
  broker::AppendDone appended;
  // or something to discard.
  std::vector<std::string> discards;
  broker::DiscardDone discarded;
  broker::ActPtr act;

  size_t size() const { return entries.size() + discards.size(); }
  // Adds what it has to append.
  void AddTo(CommitSize* size) const;
};

class Answer {
 public:
  // What becomes of it in a group. It holds once the group's batch is written.
  Answer(Submission submission, CommitGroup* group);
  // Nothing: it cannot be made durable.
  Answer(Submission submission, const absl::Status& why);

  void Fail(const absl::Status& why);
  broker::Then Send() &&;

 private:
  Submission submission_;
  broker::Receipts receipts_;
  absl::StatusOr<int64_t> discarded_ = 0;
};

}  // namespace mmsmo::embedded
