// What the gateway is to be told about deliveries: gathered into calls, and kept until answered. No
// I/O and no clock: its owner makes the calls and says what time it is.

#pragma once

#include <google/protobuf/repeated_ptr_field.h>

#include <chrono>
#include <compare>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "client/backoff.h"
#include "mmsmo/defaults.h"
#include "mmsmo/v1/mms_mo_service.pb.h"

namespace mmsmo {

// One change of a delivery's state; deliveries of equal updates share a call.
struct Update {
  enum class Kind {
    kAck,
    kExtend,
    kRetry,      // by the subscription's backoff
    kRedeliver,  // after a time
    kRelease,    // it was not begun
    kDeadLetter,
  };
  Kind kind = Kind::kAck;
  std::chrono::milliseconds duration{0};  // of kExtend and kRedeliver
  std::string reason;                     // of kDeadLetter

  auto operator<=>(const Update&) const = default;
};

struct UpdateCall {
  Update update;
  std::vector<std::string> ack_ids;  // at most kMaxAckIds
};

struct FailedUpdate {
  std::string ack_id;
  absl::Status why;
};

// Not thread-safe.
class Outbox {
 public:
  using Time = std::chrono::steady_clock::time_point;

  // `backoff` says how long to wait after a failure that may pass.
  explicit Outbox(Backoff backoff);

  // Returns whether due() has come nearer.
  bool Add(const Update& update, std::string ack_id, Time now);
  // Without waiting for others.
  void AddAll(const Update& update, std::vector<std::string> ack_ids, Time now);
  // From now on nothing waits for others.
  void Hurry(Time now);

  // When Take has something; Time::max() where there is nothing.
  Time due() const;
  std::optional<UpdateCall> Take(Time now);

  // What may pass is put back. Returns the acks and dead letters that had no effect; that other
  // updates had none harms nobody, since their events are delivered again anyway.
  std::vector<FailedUpdate> OnAnswer(
      UpdateCall call, const absl::Status& status,
      const google::protobuf::RepeatedPtrField<v1::AckFailure>& failures, Time now);

  bool empty() const { return groups_.empty(); }

 private:
  struct Group {
    std::vector<std::string> ack_ids;
    Time due;
  };

  void TryAgain(const Update& update, std::vector<std::string> ack_ids,
                std::chrono::milliseconds delay, Time now);

  Backoff backoff_;
  std::chrono::milliseconds linger_ = defaults::kAckLinger;
  std::map<Update, Group> groups_;  // none empty
  Time paused_until_ = Time::min();
};

}  // namespace mmsmo
