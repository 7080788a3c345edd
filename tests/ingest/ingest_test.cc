// The use case against a broker that does what the test says.

#include "gateway/ingest/ingest.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <deque>
#include <functional>
#include <memory>
#include <utility>
#include <vector>

#include "gateway/broker/page.h"
#include "tests/support/broker_stub.h"
#include "tests/support/status_matchers.h"

namespace mmsmo::ingest {
namespace {

using broker::Receipt;
using testing::HasSubstr;
using testing::Not;

// Keeps what is appended until the test answers.
class FakeBroker : public BrokerStub {
 public:
  void Append(std::vector<broker::Entry> entries, broker::AppendDone done) override {
    appended.push_back(std::move(entries));
    done_.push_back(std::move(done));
  }
  // The receipts of the oldest Append.
  broker::Then Answer(broker::Receipts receipts) {
    broker::AppendDone done = std::move(done_.front());
    done_.pop_front();
    return std::move(done)(std::move(receipts));
  }

  std::vector<std::vector<broker::Entry>> appended;

 private:
  std::deque<broker::AppendDone> done_;
};

class IngestTest : public testing::Test {
 protected:
  void Submit(const std::string& body, const std::string& content_type = "text/xml") {
    lane_->Submit({.endpoint = "mms-mo", .body = body, .content_type = content_type},
                  [this](Outcome outcome) { outcomes_.push_back(std::move(outcome)); });
  }
  // One pass of the thread's loop.
  void RunPass() {
    for (auto& task : std::exchange(tasks_, {})) task();
  }
  void Answer(broker::Receipts receipts) {
    if (auto then = broker_.Answer(std::move(receipts))) then();
    RunPass();
  }
  static std::string Xml(const std::string& id) {
    return "<postback><code>N401</code><from>14082257140</from><to>28444</to><tracking-id>" + id +
           "</tracking-id></postback>";
  }

  Metrics metrics_;
  FakeBroker broker_;
  Ingest ingest_{&broker_, metrics_};
  std::vector<absl::AnyInvocable<void()>> tasks_;
  const std::shared_ptr<Lane> lane_ = Lane::Make(
      &ingest_, [this](absl::AnyInvocable<void()> task) { tasks_.push_back(std::move(task)); });
  std::vector<Outcome> outcomes_;
};

TEST_F(IngestTest, AppendsOnceAPass) {
  Submit(Xml("A"));
  Submit(Xml("B"));
  EXPECT_TRUE(broker_.appended.empty());
  RunPass();
  ASSERT_EQ(broker_.appended.size(), 1u);
  EXPECT_EQ(broker_.appended[0].size(), 2u);
  Submit(Xml("C"));
  RunPass();
  EXPECT_EQ(broker_.appended.size(), 2u);
}

TEST_F(IngestTest, AnswersOnlyOnceItIsDurable) {
  Submit(Xml("A"));
  Submit(Xml("B"));
  RunPass();
  EXPECT_TRUE(outcomes_.empty());
  Answer(
      {Receipt{.cursor = "c1"}, Receipt{.outcome = Receipt::Outcome::kDuplicate, .cursor = "c0"}});
  ASSERT_EQ(outcomes_.size(), 2u);
  EXPECT_EQ(outcomes_[0].kind, Outcome::Kind::kAccepted);
  EXPECT_EQ(outcomes_[0].http_status, 200);
  EXPECT_EQ(outcomes_[0].cursor, "c1");
  EXPECT_EQ(outcomes_[1].kind, Outcome::Kind::kDuplicate);
  EXPECT_EQ(outcomes_[1].cursor, "c0");
}

TEST_F(IngestTest, WakesItsThreadOnceForAllThatBecameDurableTogether) {
  for (const std::string id : {"A", "B"}) {
    Submit(Xml(id));
    RunPass();
  }
  broker::Then then = broker_.Answer({Receipt{.cursor = "c1"}});
  EXPECT_EQ(broker_.Answer({Receipt{.cursor = "c2"}}), nullptr);
  EXPECT_TRUE(tasks_.empty());
  then();
  EXPECT_EQ(tasks_.size(), 1u);
  RunPass();
  ASSERT_EQ(outcomes_.size(), 2u);
  EXPECT_EQ(outcomes_[0].cursor, "c1");
  EXPECT_EQ(outcomes_[1].cursor, "c2");
  // And again for those that come later.
  Submit(Xml("C"));
  RunPass();
  Answer({Receipt{.cursor = "c3"}});
  EXPECT_EQ(outcomes_.size(), 3u);
}

TEST_F(IngestTest, PublishesTheNormalisedMessage) {
  lane_->Submit({.endpoint = "mms-mo",
                 .body = Xml("A"),
                 .content_type = "text/xml",
                 .trace_parent = "00-trace",
                 .verified_by = {"basic", "address"}},
                [](const Outcome&) {});
  RunPass();
  const broker::Entry& entry = broker_.appended[0][0];
  v1::Event event;
  ASSERT_TRUE(event.ParseFromString(entry.event));
  EXPECT_EQ(event.endpoint(), "mms-mo");
  EXPECT_EQ(event.trace_parent(), "00-trace");
  EXPECT_THAT(event.verified_by(), testing::ElementsAre("basic", "address"));
  EXPECT_EQ(event.mms_mo().tracking_id(), "A");
  EXPECT_EQ(event.cursor(), "");  // the engine's
  EXPECT_EQ(entry.endpoint, "mms-mo");
  EXPECT_EQ(entry.tracking_id, "A");
  EXPECT_EQ(entry.body, Xml("A"));
}

TEST_F(IngestTest, SaysWhatThePostbackIsByTheRulesOfNowAndBefore) {
  lane_->Submit({.endpoint = "mms-mo", .body = Xml("A"), .content_type = "text/xml"},
                [](const Outcome&) {});
  RunPass();
  const broker::Entry& entry = broker_.appended[0][0];
  v1::Event event;
  ASSERT_TRUE(event.ParseFromString(entry.event));
  const std::string& recipient = event.mms_mo().recipient().value();
  EXPECT_EQ(entry.key, broker::MakePostbackKey("mms-mo", "A", recipient));
  EXPECT_EQ(entry.content[0], broker::kContentVersion);
  EXPECT_EQ(entry.earlier_key, broker::MakePostbackKey("mms-mo", "A"));
  EXPECT_EQ(entry.earlier_content[0], 1);
}

TEST_F(IngestTest, HoldsBodyAndEventOfTheBudgetUntilTheReceipt) {
  ByteBudget budget(12'000);
  const std::string body = Xml(std::string(2'000, 'A'));
  const auto submit = [&] {
    ByteBudget::Part held(&budget);
    ASSERT_TRUE(held.Resize(static_cast<int64_t>(body.size())));
    lane_->Submit(
        {.endpoint = "mms-mo", .body = body, .content_type = "text/xml", .held = std::move(held)},
        [this](Outcome outcome) { outcomes_.push_back(std::move(outcome)); });
  };
  submit();
  RunPass();
  const broker::Entry& entry = broker_.appended[0][0];
  const auto both =
      static_cast<int64_t>(entry.body.size() + entry.event.size() + entry.tracking_id.size());
  const int64_t one = budget.held();
  EXPECT_GE(one, both);
  EXPECT_LE(one, both + 2'048);
  submit();  // its body has room, its event has not
  ASSERT_EQ(outcomes_.size(), 1u);
  EXPECT_EQ(outcomes_[0].kind, Outcome::Kind::kUnavailable);
  EXPECT_EQ(outcomes_[0].reason, "overloaded");
  EXPECT_EQ(budget.held(), one);
  Answer({Receipt{.cursor = "c1"}});
  EXPECT_EQ(outcomes_.back().cursor, "c1");
  EXPECT_EQ(budget.held(), 0);
}

TEST_F(IngestTest, RefusesAnEventThatClientsCouldNotReceive) {
  Submit(Xml(std::string(broker::kMaxEventBytes, 'A')));
  RunPass();
  EXPECT_TRUE(broker_.appended.empty());
  ASSERT_EQ(outcomes_.size(), 1u);
  EXPECT_EQ(outcomes_[0].kind, Outcome::Kind::kRejected);
  EXPECT_EQ(outcomes_[0].http_status, 413);
  EXPECT_EQ(outcomes_[0].reason, "body_too_large");
}

TEST_F(IngestTest, CountsByReasonsOfItsOwnOnly) {
  Submit(Xml("A"));
  Submit(Xml("B"));
  RunPass();
  Answer({WithReason(mmsmo::Unavailable("full"), "quarantine_full"),
          WithReason(mmsmo::Unavailable("odd"), "+14085550100")});
  const std::string metrics = metrics_.Serialise();
  EXPECT_THAT(metrics, HasSubstr("{outcome=\"unavailable\",reason=\"quarantine_full\"} 1"));
  EXPECT_THAT(metrics, HasSubstr("{outcome=\"unavailable\",reason=\"other\"} 1"));
  EXPECT_THAT(metrics, Not(HasSubstr("14085550100")));
}

TEST_F(IngestTest, HandsOnWhatIsForTheQuarantine) {
  const struct {
    std::string body, content_type, reason;
    int status;
    broker::Shelf shelf;
    Outcome::Kind kind;
  } kCases[] = {
      {"<a", "text/xml", "bad_xml", 400, broker::Shelf::kRejected, Outcome::Kind::kRejected},
      {"hello", "text/plain", "unsupported_media_type", 415, broker::Shelf::kRejected,
       Outcome::Kind::kRejected},
      {"<postback><code>N401</code><from>1</from></postback>", "text/xml", "missing_field", 200,
       broker::Shelf::kKept, Outcome::Kind::kQuarantined},
      {"<postback><code>N101</code></postback>", "text/xml", "not_mms_mo", 200,
       broker::Shelf::kNotMmsMo, Outcome::Kind::kQuarantined},
  };
  for (const auto& expected : kCases) {
    outcomes_.clear();
    Submit(expected.body, expected.content_type);
    RunPass();
    const broker::Entry& entry = broker_.appended.back()[0];
    EXPECT_EQ(entry.event, "") << expected.reason;
    EXPECT_EQ(entry.reason, expected.reason);
    EXPECT_EQ(entry.http_status, expected.status);
    EXPECT_EQ(entry.shelf, expected.shelf);
    Answer({Receipt{.outcome = Receipt::Outcome::kQuarantined, .quarantine_id = "q1"}});
    EXPECT_EQ(outcomes_[0].kind, expected.kind);
    EXPECT_EQ(outcomes_[0].http_status, expected.status);
    EXPECT_EQ(outcomes_[0].reason, expected.reason);
    EXPECT_EQ(outcomes_[0].quarantine_id, "q1");
  }
}

TEST_F(IngestTest, KeepsAConflictWithASecondAppend) {
  Submit(Xml("A"));
  Submit(Xml("B"));
  RunPass();
  auto given = std::make_shared<broker::Entry>(broker_.appended[0][0]);
  Answer({Receipt{.outcome = Receipt::Outcome::kConflict, .cursor = "c0", .entry = given},
          Receipt{.cursor = "c1"}});
  ASSERT_EQ(outcomes_.size(), 1u) << "the other one is not held up";
  EXPECT_EQ(outcomes_[0].cursor, "c1");
  ASSERT_EQ(broker_.appended.size(), 2u);
  const broker::Entry& kept = broker_.appended[1][0];
  EXPECT_EQ(kept.event, "");
  EXPECT_EQ(kept.body, Xml("A"));
  EXPECT_EQ(kept.tracking_id, "A");
  EXPECT_EQ(kept.shelf, broker::Shelf::kKept);
  EXPECT_EQ(kept.http_status, 200);
  EXPECT_EQ(kept.reason, "id_conflict");
  EXPECT_THAT(kept.detail, HasSubstr("c0"));
  Answer({Receipt{.outcome = Receipt::Outcome::kQuarantined, .quarantine_id = "q1"}});
  EXPECT_EQ(outcomes_[1].kind, Outcome::Kind::kQuarantined);
  EXPECT_EQ(outcomes_[1].http_status, 200);
  EXPECT_EQ(outcomes_[1].quarantine_id, "q1");
  EXPECT_EQ(outcomes_[1].reason, "id_conflict");
  EXPECT_EQ(outcomes_[1].detail, kept.detail);
}

TEST_F(IngestTest, AppendsNoMoreThanAboutAMebibyteAtOnce) {
  const std::string large = "<a>" + std::string(300'000, 'x');
  for (int i = 0; i < 10; ++i) Submit(large);
  RunPass();
  ASSERT_EQ(broker_.appended.size(), 3u);
  EXPECT_EQ(broker_.appended[0].size(), 4u);
  EXPECT_EQ(broker_.appended[2].size(), 2u);
}

TEST_F(IngestTest, AsksForARepetitionWhereItIsNotSafe) {
  Submit(Xml("A"));
  Submit("<a");
  RunPass();
  Answer({WithReason(mmsmo::Unavailable("the disk is full"), "not_durable"),
          WithReason(mmsmo::Unavailable("full"), "quarantine_full")});
  for (const Outcome& outcome : outcomes_) {
    EXPECT_EQ(outcome.kind, Outcome::Kind::kUnavailable);
    EXPECT_EQ(outcome.http_status, 503);
  }
  EXPECT_EQ(outcomes_[0].reason, "not_durable");
  EXPECT_THAT(outcomes_[0].detail, HasSubstr("the disk is full"));
  EXPECT_EQ(outcomes_[1].reason, "quarantine_full");
}

TEST_F(IngestTest, CountsOutcomesByReason) {
  Submit(Xml("A"));
  Submit("<a");
  RunPass();
  Answer({Receipt{.cursor = "c1"},
          Receipt{.outcome = Receipt::Outcome::kQuarantined, .quarantine_id = "q1"}});
  const std::string text = metrics_.Serialise();
  EXPECT_THAT(text, HasSubstr("mmsmo_postbacks_total{outcome=\"accepted\",reason=\"\"} 1"));
  EXPECT_THAT(text, HasSubstr("mmsmo_postbacks_total{outcome=\"rejected\",reason=\"bad_xml\"} 1"));
}

}  // namespace
}  // namespace mmsmo::ingest
