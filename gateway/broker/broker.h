// The seam between what the gateway does and where events live. An engine implements Broker;
// nothing above it knows which one. Every promise of the gateway is a promise of this interface:
// what Append has acknowledged is durable, every Feed will see it, and the same postback is
// published once.

#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "gateway/broker/audit.h"
#include "gateway/broker/feed.h"
#include "gateway/broker/postback_key.h"
#include "gateway/broker/quarantine.h"
#include "gateway/broker/subscriptions.h"
#include "mmsmo/v1/event.pb.h"

namespace mmsmo::broker {

// Equal for equal content, whatever its format. The first byte is the version of the rules that
// made it and its postback's key.
using ContentId = std::array<uint8_t, 17>;
inline constexpr uint8_t kContentVersion = 2;

// Where postbacks are kept that are not published. Each has a budget of its own, so that noise
// cannot push out messages: on the first two the oldest make room, what is on the last was answered
// 200 and leaves by age only.
enum class Shelf : char { kRejected, kNotMmsMo, kKept };

// One postback on its way in: an event to publish, or what is to be kept and why.
struct Entry {
  std::string endpoint;  // the endpoint's configured name
  // As received; empty where there was none.
  std::string content_type;
  std::string content_encoding;
  std::string trace_parent;
  std::vector<std::string> verified_by;  // the checks of the endpoint that it passed
  std::string body;

  // A serialised v1.Event without cursor and accept_time, which the engine puts in front; empty:
  // keep this. An event of the same key and the same content is a repetition.
  std::string event;
  PostbackKey key;
  ContentId content{};
  // What the version before made of it, of which events may still be stored; content of version 0
  // is none. Its keys do not tell recipients apart: an event of that key is another one where its
  // recipient is, else a repetition where it has that content.
  PostbackKey earlier_key;
  ContentId earlier_content{};
  // Who has it published; null: its provider.
  ActPtr act;
  // Publish the event also where its key has one of other content. From then on repetitions of
  // either are repetitions.
  bool publish_conflict = false;

  // Without an event: where to keep it, and as what it is shown.
  Shelf shelf = Shelf::kKept;
  std::string tracking_id;  // empty where none was found
  int http_status = 0;
  std::string reason;
  std::string detail;
};

// What became of an entry once it is durable.
struct Receipt {
  enum class Outcome {
    kAccepted,
    kDuplicate,
    kConflict,  // its key has an event of other content: nothing was done
    kQuarantined,
  };
  Outcome outcome = Outcome::kAccepted;
  // kAccepted: the event's; kDuplicate: that of the event it repeats; kConflict: of one that it is
  // in conflict with.
  std::string cursor;
  std::string quarantine_id;     // kQuarantined
  std::shared_ptr<Entry> entry;  // kConflict: given back, to be kept
};

using Receipts = std::vector<absl::StatusOr<Receipt>>;
// What the engine must do once all have their receipts whose entries became durable together; may
// be null. A thread that is woken up before would on a busy core run at once, again for each.
using Then = absl::AnyInvocable<void()>;
// Takes one result for each entry, in order. Errors: Unavailable with reason "not_durable" (the
// entry may still have been kept), ResourceExhausted with reason "quarantine_full".
using AppendDone = absl::AnyInvocable<Then(Receipts) &&>;

// What was opened, or why not.
using OpenFeedDone = absl::AnyInvocable<void(absl::StatusOr<std::unique_ptr<Feed>>) &&>;

// A raw postback, as received.
struct RawPostback {
  std::string body;
  std::string content_type;
  std::string content_encoding;
};

// A measure of the log for people and metrics.
struct LogStats {
  struct Shelf {
    std::string shelf;  // "rejected", "not_mms_mo", "kept": what has a budget of its own
    uint64_t count = 0;
    uint64_t bytes = 0;    // of bodies
    uint64_t dropped = 0;  // made room or grew too old, ever
  };
  // The newest and the oldest event's number; numbers grow, and may have gaps.
  uint64_t head = 0;
  uint64_t oldest = 0;
  uint64_t events_retained = 0;
  uint64_t bytes_retained = 0;  // raw bodies included
  std::vector<Shelf> quarantined;
};

// Thread-safe. Outlives every Feed that it opened. Errors say what is wrong, not with which field
// of a request: an engine knows no requests.
class Broker {
 public:
  virtual ~Broker() = default;

  // Makes the entries durable in their order. Does not block; calls `done` once, from a thread of
  // the engine, which must not be held up there. Entries appended together become durable together
  // where the engine can.
  virtual void Append(std::vector<Entry> entries, AppendDone done) = 0;

  // OK while appends and acknowledgements can succeed; otherwise why not. Does not block.
  virtual absl::Status Ready() const = 0;

  // A reader's way through the log. `start` and `filter` are valid, as ValidateStart and
  // EventFilter::Validate have it. Does not block; calls `done` once, perhaps before it returns,
  // else from a thread of the engine, which must not be held up there. Errors: OutOfRange with
  // reason "CURSOR_EXPIRED" and metadata "earliest_cursor" for a cursor of another log, older than
  // what is retained or beyond the head; InvalidArgument for what is no cursor.
  virtual void OpenFeed(const v1::StartPosition& start, const v1::Filter& filter,
                        OpenFeedDone done) = 0;

  // The position before the oldest retained event: a reader that resumes after it receives
  // everything there is.
  virtual std::string EarliestCursor() const = 0;

  // The event at a cursor, serialised. Both read the store, so not for threads that must not
  // block. Errors as OpenFeed's.
  virtual absl::StatusOr<std::string> GetEvent(std::string_view cursor) = 0;
  // Also NotFound, where raw bodies are not kept.
  virtual absl::StatusOr<RawPostback> GetRawPostback(std::string_view cursor) = 0;

  virtual Subscriptions& subscriptions() = 0;
  // Lives as long as the broker.
  virtual Quarantine& quarantine() = 0;
  // Likewise.
  virtual Audit& audit() = 0;

  virtual LogStats Stats() const = 0;
};

}  // namespace mmsmo::broker
