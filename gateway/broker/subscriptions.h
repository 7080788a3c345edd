// Named subscriptions, as the seam has them: durable positions in the log whose deliveries are
// acknowledged one by one. What an engine cannot honour is FailedPrecondition at Create.

#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "gateway/broker/audit.h"
#include "gateway/broker/feed.h"
#include "google/protobuf/field_mask.pb.h"
#include "mmsmo/v1/mms_mo_service.pb.h"
#include "mmsmo/v1/subscription_service.pb.h"

namespace mmsmo::broker {

// What a client asks of a stream.
struct StreamWish {
  // What it may have unacknowledged; 0 is the default.
  int max_outstanding_messages = 0;
  int64_t max_outstanding_bytes = 0;
  // Names the stream, so that another may resume it; never given twice.
  std::string stream_id;
  // The client's last stream, whose deliveries become this one's; it is ended if it still lives.
  // Empty, unknown, or too long ago: none.
  std::string resume_stream_id;
  int64_t received_frames = 0;  // of that one; what later ones held is delivered again
  // Called once, on any thread, if another stream resumes this one; must not block.
  std::function<void()> superseded;
};

// A stream that shares a subscription's events with the others of the same name. After its feed's
// destruction its deliveries wait a short time to be resumed, and then are given to others.
struct SubscriptionStream {
  std::unique_ptr<Feed> feed;
  int64_t ack_deadline_micros = 0;
  int max_outstanding_messages = 0;
  bool resumed = false;
};
using OpenStreamDone = absl::AnyInvocable<void(absl::StatusOr<SubscriptionStream>) &&>;

// What is to become of deliveries.
struct AckChange {
  enum class Kind {
    kAcknowledge,
    kExtend,      // give the consumer `micros` more, from now on
    kRedeliver,   // a failure: deliver again after `micros`
    kRetry,       // a failure: deliver again after the subscription's backoff
    kRelease,     // not begun, and no failure: deliver again
    kDeadLetter,  // give up, for `reason`
  };
  Kind kind = Kind::kAcknowledge;
  int64_t micros = 0;
  std::string reason;
};

// One that was not changed: the ack id of this index.
struct AckFailure {
  size_t index = 0;
  v1::AckFailureReason reason = v1::ACK_FAILURE_REASON_UNSPECIFIED;
};
// Called once, from a thread of the engine, which must not be held up there.
using AckDone = absl::AnyInvocable<void(absl::StatusOr<std::vector<AckFailure>>) &&>;

// Called once, perhaps before Leave returns.
using LeaveDone = absl::AnyInvocable<void(absl::Status) &&>;

// A measure of one subscription for metrics. The totals count from the process's start.
struct SubscriptionStats {
  std::string name;
  int64_t backlog = 0;
  double oldest_unacked_seconds = 0;  // its age; 0 where everything is acknowledged
  int64_t in_flight = 0;
  int64_t dead_letters = 0;  // kept
  int64_t given_up = 0;      // to become dead letters, which they cannot yet
  int64_t expired = 0;       // removed by retention before they were acknowledged
  uint64_t delivered_total = 0;
  uint64_t redelivered_total = 0;
  uint64_t acked_total = 0;
  uint64_t lease_expired_total = 0;
  uint64_t dead_lettered_total = 0;
};

// Thread-safe. All but OpenStream, Change, Leave, EndpointsOf and Stats may wait for the disk.
// NotFound for an unknown name, Unavailable while the disk cannot be written.
class Subscriptions {
 public:
  virtual ~Subscriptions() = default;

  // AlreadyExists, naming the difference, where there is one of other settings. `subscription` is
  // valid and complete, as CompleteSubscription and ValidateStart have it. Errors of its start
  // position as Broker::OpenFeed.
  virtual absl::StatusOr<v1::Subscription> Create(const v1::Subscription& subscription,
                                                  const ActPtr& act = nullptr) = 0;
  virtual absl::StatusOr<v1::Subscription> Get(const std::string& name) = 0;
  // By name; at most `page_size`, and under gRPC's limit of a message, from the name that
  // `page_token` is.
  virtual v1::ListSubscriptionsResponse List(int page_size, const std::string& page_token) = 0;
  // Changes what `mask` names. Errors as UpdatedSubscription.
  virtual absl::StatusOr<v1::Subscription> Update(const v1::Subscription& wanted,
                                                  const google::protobuf::FieldMask& mask,
                                                  const ActPtr& act = nullptr) = 0;
  // Ends its streams with NotFound.
  virtual absl::Status Delete(const std::string& name, const ActPtr& act = nullptr) = 0;
  // Ends every lease: an ack id of before marks nothing done that this brings back. Dead letters
  // stay. `target` is valid, as ValidateStart has it; errors of it as Broker::OpenFeed.
  virtual absl::StatusOr<v1::Subscription> Seek(const std::string& name,
                                                const v1::StartPosition& target,
                                                const ActPtr& act = nullptr) = 0;

  // Oldest event first; a page is under gRPC's limit of a message. InvalidArgument for a token that
  // no page gave.
  virtual absl::StatusOr<v1::ListDeadLettersResponse> ListDeadLetters(
      const std::string& name, int page_size, const std::string& page_token) = 0;
  // How many will be delivered again: those of the cursors that are dead letters; of all, where
  // `cursors` is empty. InvalidArgument for what is no cursor.
  virtual absl::StatusOr<int64_t> ReplayDeadLetters(const std::string& name,
                                                    const std::vector<std::string>& cursors,
                                                    const ActPtr& act = nullptr) = 0;
  // Likewise, how many were removed for good.
  virtual absl::StatusOr<int64_t> DiscardDeadLetters(const std::string& name,
                                                     const std::vector<std::string>& cursors,
                                                     const ActPtr& act = nullptr) = 0;

  // Does not block; calls `done` once, perhaps before it returns.
  virtual void OpenStream(const std::string& name, const StreamWish& wish, OpenStreamDone done) = 0;

  // Changes deliveries, on whichever stream they were made: the newest one of an event counts until
  // it is delivered again. Once more has the effect of once, so that a call whose answer was lost
  // can be made again. When it answers, the change is durable; an extension is not, since no lease
  // outlives the process. That an ack id no longer counts is told as far as the engine knows. The
  // texts of the ack ids may be anything, and are read before this returns.
  // NotFound for an unknown name, Unavailable where the change may or may not have been made. Does
  // not block.
  virtual void Change(const std::string& name, const std::vector<std::string_view>& ack_ids,
                      AckChange change, AckDone done) = 0;

  // The stream of this id, which may have ended, delivers nothing more; what it has in hand and was
  // in frames after the first `received_frames` ones is released. OK for an unknown stream.
  // NotFound for an unknown name. Does not block.
  virtual void Leave(const std::string& name, const std::string& stream_id, int64_t received_frames,
                     LeaveDone done) = 0;

  // The endpoints that its filter lets events through from; empty: all. Does not block.
  virtual absl::StatusOr<std::vector<std::string>> EndpointsOf(const std::string& name) = 0;

  virtual std::vector<SubscriptionStats> Stats() = 0;
};

}  // namespace mmsmo::broker
