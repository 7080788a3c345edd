// An embedded engine with a clock of its own, as a test wants to talk to it.

#pragma once

#include <future>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "gateway/base/metrics.h"
#include "gateway/embedded/broker.h"
#include "gateway/embedded/quarantine/schema.h"
#include "mmsmo/v1/mms_mo_service.pb.h"
#include "tests/support/fake_clock.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temp_dir.h"

namespace mmsmo::embedded {

inline broker::Entry EventOf(const std::string& tracking_id, uint8_t content = 0,
                             const std::string& keyword = "all") {
  v1::Event event;
  event.set_endpoint("mms-mo");
  event.mutable_mms_mo()->set_tracking_id(tracking_id);
  event.mutable_mms_mo()->set_keyword(keyword);
  broker::Entry entry{.endpoint = "mms-mo",
                      .content_type = "text/xml",
                      .body = "<" + tracking_id + "/>",
                      .event = event.SerializeAsString(),
                      .key = broker::MakePostbackKey("mms-mo", tracking_id),
                      .tracking_id = tracking_id};
  entry.content.fill(content);
  return entry;
}

inline broker::Entry ByForce(broker::Entry entry) {
  entry.publish_conflict = true;
  return entry;
}

inline broker::Entry Rejected(int http_status, const std::string& reason, const std::string& body) {
  return {.endpoint = "mms-mo",
          .body = body,
          .shelf = http_status >= 400       ? Shelf::kRejected
                   : reason == "not_mms_mo" ? Shelf::kNotMmsMo
                                            : Shelf::kKept,
          .http_status = http_status,
          .reason = reason,
          .detail = "why"};
}

class Engine {
 public:
  Engine() { options_.data_dir = dir_ / "data"; }

  Options& options() { return options_; }
  FakeClock& clock() { return clock_; }
  broker::Broker& broker() { return *broker_; }

  void Open() {
    auto opened = EmbeddedBroker::Open(options_, clock_, metrics_);
    ASSERT_THAT(opened, IsOk());
    broker_ = *std::move(opened);
  }
  void Close() { broker_.reset(); }
  void Reopen() {
    Close();
    Open();
  }

  broker::Receipts Append(std::vector<broker::Entry> entries) {
    std::promise<broker::Receipts> promise;
    broker_->Append(std::move(entries), [&promise](broker::Receipts receipts) {
      promise.set_value(std::move(receipts));
    });
    broker::Receipts receipts = promise.get_future().get();
    // Streams are woken after that: once the writer is at what comes next, they are.
    (void)Discard({});
    return receipts;
  }
  absl::StatusOr<broker::Receipt> Append(broker::Entry entry) {
    std::vector<broker::Entry> one;
    one.push_back(std::move(entry));
    return Append(std::move(one))[0];
  }

  static v1::StartPosition Earliest() {
    v1::StartPosition start;
    start.set_boundary(v1::BOUNDARY_EARLIEST);
    return start;
  }
  static v1::StartPosition After(const std::string& cursor) {
    v1::StartPosition start;
    start.set_after_cursor(cursor);
    return start;
  }

  absl::StatusOr<std::unique_ptr<broker::Feed>> OpenFeed(const v1::StartPosition& start,
                                                         const v1::Filter& filter = {}) {
    std::promise<absl::StatusOr<std::unique_ptr<broker::Feed>>> promise;
    broker_->OpenFeed(start, filter, [&](auto feed) { promise.set_value(std::move(feed)); });
    return promise.get_future().get();
  }
  // Everything from there to the tail.
  absl::StatusOr<std::vector<v1::Event>> Read(const v1::StartPosition& start,
                                              const v1::Filter& filter = {}, int batch = 7) {
    auto feed = OpenFeed(start, filter);
    if (!feed.ok()) return feed.status();
    return Drain(**feed, batch);
  }
  static absl::StatusOr<std::vector<v1::Event>> Drain(broker::Feed& feed, int batch_size = 7) {
    std::vector<v1::Event> events;
    while (true) {
      auto batch = feed.Take({.max_events = batch_size, .max_bytes = 1 << 20});
      if (!batch.ok()) return batch.status();
      v1::DeliveryBatch deliveries;
      if (!deliveries.ParseFromString(batch->deliveries))
        return DataLoss("the batch cannot be parsed");
      for (auto& delivery : *deliveries.mutable_deliveries())
        events.push_back(std::move(*delivery.mutable_event()));
      if (batch->left == broker::Batch::Left::kNothing) return events;
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

  // What the stream gets, once what is made ready for it is ready.
  static absl::StatusOr<broker::Batch> TakeReady(broker::Feed& feed, int max = 100) {
    while (true) {
      auto batch = feed.Take({.max_events = max, .max_bytes = 1 << 20, .frame = 1});
      if (!batch.ok() || batch->count > 0) return batch;
      if (batch->left == broker::Batch::Left::kMore) continue;
      if (batch->left != broker::Batch::Left::kComing) return batch;
      std::promise<void> woken;
      feed.Wait([&woken] { woken.set_value(); });
      woken.get_future().wait();
    }
  }
  static absl::StatusOr<broker::SubscriptionStream> OpenStreamOf(
      broker::Subscriptions& subscriptions, const std::string& name,
      const broker::StreamWish& wish = {}) {
    absl::StatusOr<broker::SubscriptionStream> stream;
    subscriptions.OpenStream(name, wish, [&](auto opened) { stream = std::move(opened); });
    return stream;
  }

  broker::Quarantine& quarantine() { return broker_->quarantine(); }
  broker::LogStats::Shelf StatsOf(Shelf shelf) {
    return broker_->Stats().quarantined[static_cast<size_t>(shelf)];
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
      for (const auto& postback : page->postbacks())
        bodies.push_back(quarantine().Get(postback.id())->body());
      token = page->next_page_token();
    } while (!token.empty());
    return bodies;
  }

 private:
  TempDir dir_;
  FakeClock clock_;
  Metrics metrics_;
  Options options_;
  std::unique_ptr<EmbeddedBroker> broker_;
};

}  // namespace mmsmo::embedded
