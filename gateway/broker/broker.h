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
#include "gateway/broker/feed.h"
#include "gateway/broker/quarantine.h"
#include "gateway/broker/subscriptions.h"
#include "mmsmo/v1/event.pb.h"

namespace mmsmo::broker {

// Equal for equal content, whatever its format. The first byte is the version of the rule that made
// it.
using ContentId = std::array<uint8_t, 17>;

// One postback on its way in: an event to publish, or what could not be published and why. Or one
// on its way out of quarantine: an event to publish, or none to discard it.
struct Entry {
  std::string endpoint;      // the endpoint's configured name; with tracking_id the dedupe key
  std::string tracking_id;   // empty where none was found
  std::string content_type;  // as received; empty where there was none
  std::string body;          // as received

  // A serialised v1.Event without cursor and accept_time, which the engine puts in front; empty:
  // quarantine this.
  std::string event;
  ContentId content{};

  // Without an event: as answered. The reason and its detail as HTTP gives them.
  int http_status = 0;
  std::string reason;
  std::string detail;

  // The quarantined postback that this is made of. It leaves the quarantine in the commit that
  // publishes the event or finds it to be a duplicate; in conflict it stays there under this id.
  std::string quarantine_id;
  // Publish the event also where its tracking id has one of other content. From then on
  // repetitions are compared with this one.
  bool publish_conflict = false;
};

// What became of an entry once it is durable.
struct Receipt {
  enum class Outcome { kAccepted, kDuplicate, kQuarantined, kDiscarded };
  Outcome outcome = Outcome::kAccepted;
  std::string cursor;         // kAccepted: the event's; kDuplicate: that of the event it repeats
  std::string quarantine_id;  // kQuarantined
  std::string reason;         // kQuarantined, "id_conflict" where the engine decided it
  std::string detail;         // kQuarantined
};

using Receipts = std::vector<absl::StatusOr<Receipt>>;
// Takes one result for each entry, in order. Errors: Unavailable with reason "not_durable" (the
// entry may still have been kept), ResourceExhausted with reason "quarantine_full", NotFound with
// reason "not_quarantined" where there is nothing under its quarantine_id, so that nothing was
// done.
using AppendDone = absl::AnyInvocable<void(Receipts) &&>;

// A raw postback, as received.
struct RawPostback {
  std::string body;
  std::string content_type;
};

// A measure of the log for people and metrics.
struct LogStats {
  struct Shelf {
    std::string shelf;  // "rejected", "not_mms_mo", "kept": what has a budget of its own
    uint64_t count = 0;
    uint64_t bytes = 0;    // of bodies
    uint64_t dropped = 0;  // made room or grew too old, ever
  };
  uint64_t events_appended = 0;  // since the log began: the head
  uint64_t events_retained = 0;
  uint64_t bytes_retained = 0;  // raw bodies included
  std::vector<Shelf> quarantined;
};

// Thread-safe. Outlives every Feed that it opened.
class Broker {
 public:
  virtual ~Broker() = default;

  // Makes the entries durable in their order. Does not block; calls `done` once, from a thread of
  // the engine, which must not be held up there. Entries appended together become durable together
  // where the engine can.
  virtual void Append(std::vector<Entry> entries, AppendDone done) = 0;

  // OK while appends can succeed; otherwise why not.
  virtual absl::Status Ready() const = 0;

  // True once appends cannot succeed any more, although they could in a broker that is opened anew.
  virtual bool NeedsReopening() const = 0;

  // A reader's way through the log. May read the store, so not for threads that must not block.
  // Errors: OutOfRange with reason "CURSOR_EXPIRED" and metadata "earliest_cursor" for a cursor of
  // another log, older than what is retained or beyond the head; InvalidArgument names the field.
  virtual absl::StatusOr<std::unique_ptr<Feed>> OpenFeed(const v1::StartPosition& start,
                                                         const v1::Filter& filter) = 0;

  // The position before the oldest retained event: a reader that resumes after it receives
  // everything there is.
  virtual std::string EarliestCursor() const = 0;

  // The event at a cursor, serialised. Errors as OpenFeed.
  virtual absl::StatusOr<std::string> GetEvent(std::string_view cursor) = 0;
  // NotFound where raw bodies are not kept.
  virtual absl::StatusOr<RawPostback> GetRawPostback(std::string_view cursor) = 0;

  virtual Subscriptions& subscriptions() = 0;
  // Lives as long as the broker.
  virtual Quarantine& quarantine() = 0;

  virtual LogStats Stats() const = 0;
};

}  // namespace mmsmo::broker
