// A broker as a test wants to talk to it.

#pragma once

#include <chrono>
#include <functional>
#include <future>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "gateway/broker/broker.h"
#include "mmsmo/v1/mms_mo_service.pb.h"
#include "tests/support/status_matchers.h"

namespace mmsmo::broker {

inline Entry EventOf(const std::string& tracking_id, uint8_t content = 0,
                     const std::string& keyword = "all", const std::string& sender = "") {
  v1::Event event;
  event.set_endpoint("mms-mo");
  event.mutable_mms_mo()->set_tracking_id(tracking_id);
  event.mutable_mms_mo()->set_keyword(keyword);
  if (!sender.empty()) event.mutable_mms_mo()->mutable_sender()->set_value(sender);
  Entry entry{.endpoint = "mms-mo",
              .content_type = "text/xml",
              .body = "<" + tracking_id + "/>",
              .event = event.SerializeAsString(),
              .key = MakePostbackKey("mms-mo", tracking_id),
              .tracking_id = tracking_id};
  entry.content.fill(content);
  return entry;
}

inline Entry ByForce(Entry entry) {
  entry.publish_conflict = true;
  return entry;
}

inline Entry Rejected(int http_status, const std::string& reason, const std::string& body) {
  return {.endpoint = "mms-mo",
          .body = body,
          .shelf = http_status >= 400       ? Shelf::kRejected
                   : reason == "not_mms_mo" ? Shelf::kNotMmsMo
                                            : Shelf::kKept,
          .http_status = http_status,
          .reason = reason,
          .detail = "why"};
}

// Waits for what comes about by itself, half a minute at most.
inline void Await(const std::function<bool()>& is_so) {
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(30);
  while (!is_so() && std::chrono::steady_clock::now() < deadline) std::this_thread::yield();
  EXPECT_TRUE(is_so());
}

class BrokerVerbs {
 public:
  virtual ~BrokerVerbs() = default;

  virtual Broker& broker() = 0;
  // Returns once whoever reads has been told of everything that came before this.
  virtual void Settle() = 0;

  // --- The log.

  Receipts Append(std::vector<Entry> entries) {
    std::promise<Receipts> promise;
    broker().Append(std::move(entries), [&promise](Receipts receipts) -> Then {
      promise.set_value(std::move(receipts));
      return nullptr;
    });
    Receipts receipts = promise.get_future().get();
    Settle();
    return receipts;
  }
  absl::StatusOr<Receipt> Append(Entry entry) {
    std::vector<Entry> one;
    one.push_back(std::move(entry));
    return Append(std::move(one))[0];
  }
  // The cursor of a new event.
  std::string Accept(const std::string& tracking_id, const std::string& keyword = "all") {
    const auto receipt = Append(EventOf(tracking_id, 0, keyword));
    EXPECT_THAT(receipt, IsOk());
    if (!receipt.ok()) return "";
    EXPECT_EQ(receipt->outcome, Receipt::Outcome::kAccepted) << tracking_id;
    return receipt->cursor;
  }

  static v1::StartPosition Earliest() {
    v1::StartPosition start;
    start.set_boundary(v1::BOUNDARY_EARLIEST);
    return start;
  }
  static v1::StartPosition Latest() {
    v1::StartPosition start;
    start.set_boundary(v1::BOUNDARY_LATEST);
    return start;
  }
  static v1::StartPosition After(const std::string& cursor) {
    v1::StartPosition start;
    start.set_after_cursor(cursor);
    return start;
  }

  absl::StatusOr<std::unique_ptr<Feed>> OpenFeed(const v1::StartPosition& start,
                                                 const v1::Filter& filter = {}) {
    std::promise<absl::StatusOr<std::unique_ptr<Feed>>> promise;
    broker().OpenFeed(start, filter, [&](auto feed) { promise.set_value(std::move(feed)); });
    return promise.get_future().get();
  }
  // Everything from there to the tail.
  absl::StatusOr<std::vector<v1::Event>> Read(const v1::StartPosition& start,
                                              const v1::Filter& filter = {}, int batch = 7) {
    auto feed = OpenFeed(start, filter);
    if (!feed.ok()) return feed.status();
    return Drain(**feed, batch);
  }
  static absl::StatusOr<std::vector<v1::Event>> Drain(Feed& feed, int batch_size = 7) {
    std::vector<v1::Event> events;
    while (true) {
      auto batch = feed.Take({.max_events = batch_size, .max_bytes = 1 << 20});
      if (!batch.ok()) return batch.status();
      v1::DeliveryBatch deliveries;
      if (!deliveries.ParseFromString(batch->deliveries))
        return DataLoss("the batch cannot be parsed");
      for (auto& delivery : *deliveries.mutable_deliveries())
        events.push_back(std::move(*delivery.mutable_event()));
      if (batch->left == Batch::Left::kNothing) return events;
    }
  }
  std::vector<std::string> ReadIds(const v1::StartPosition& start, const v1::Filter& filter = {}) {
    std::vector<std::string> ids;
    auto events = Read(start, filter);
    EXPECT_THAT(events, IsOk());
    if (events.ok()) {
      for (const auto& event : *events) ids.push_back(event.mms_mo().tracking_id());
    }
    return ids;
  }

  // --- The quarantine.

  Quarantine& quarantine() { return broker().quarantine(); }
  LogStats::Shelf StatsOf(Shelf shelf) {
    return broker().Stats().quarantined[static_cast<size_t>(shelf)];
  }
  // The id of one that was kept for that reason.
  std::string Keep(const std::string& reason, const std::string& body, int http_status = 200) {
    auto receipt = Append(Rejected(http_status, reason, body));
    EXPECT_THAT(receipt, IsOk());
    return receipt.ok() ? receipt->quarantine_id : "";
  }
  absl::StatusOr<int64_t> Discard(std::vector<std::string> ids) {
    std::promise<absl::StatusOr<int64_t>> promise;
    quarantine().Discard(std::move(ids), [&promise](absl::StatusOr<int64_t> discarded) {
      promise.set_value(std::move(discarded));
    });
    return promise.get_future().get();
  }
  // The bodies in quarantine in the order of the list, page by page.
  std::vector<std::string> Bodies(int page_size = 1000, const std::string& reason = "") {
    std::vector<std::string> bodies;
    std::string token;
    do {
      auto page = quarantine().List(reason, page_size, token);
      EXPECT_THAT(page, IsOk());
      if (!page.ok()) break;
      EXPECT_LE(page->postbacks_size(), page_size);
      EXPECT_LT(page->ByteSizeLong(), size_t{4} << 20);
      for (const auto& postback : page->postbacks())
        bodies.push_back(quarantine().Get(postback.id())->body());
      token = page->next_page_token();
    } while (!token.empty());
    return bodies;
  }
};

}  // namespace mmsmo::broker
