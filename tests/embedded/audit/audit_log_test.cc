// Who changed what, as the engine keeps it.

#include <algorithm>
#include <future>
#include <optional>
#include <string>
#include <vector>

#include "gateway/broker/subscription_settings.h"
#include "tests/embedded/engine.h"
#include "tests/support/file_size_limit.h"

namespace mmsmo::embedded {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

class AuditLogTest : public testing::Test, protected Engine {
 protected:
  AuditLogTest() { Open(); }

  static broker::ActPtr By(const std::string& identity, const std::string& method) {
    auto act = std::make_shared<broker::Act>();
    act->record.set_identity(identity);
    act->record.set_method(method);
    return act;
  }
  absl::Status CreateBy(const std::string& name, const std::string& identity = "operator") {
    return subscriptions()
        .Create(*broker::CompleteSubscription(Wanted(name)), By(identity, "create " + name))
        .status();
  }
  int64_t DiscardBy(const std::vector<std::string>& ids, const broker::ActPtr& act) {
    std::promise<absl::StatusOr<int64_t>> promise;
    broker().quarantine().Discard(
        ids, [&promise](auto discarded) { promise.set_value(std::move(discarded)); }, act);
    return *promise.get_future().get();
  }
  // As "identity: method count".
  std::vector<std::string> Records(int page_size = 100) {
    std::vector<std::string> records;
    std::string token;
    do {
      auto page = broker().audit().List(page_size, token);
      EXPECT_THAT(page, IsOk());
      EXPECT_LE(page->records_size(), page_size);
      for (const auto& record : page->records()) {
        records.push_back(
            fmt::format("{}: {} {}", record.identity(), record.method(), record.count()));
      }
      token = page->next_page_token();
    } while (!token.empty());
    return records;
  }
  // Once the writer has kept house.
  void AwaitRecords(const std::vector<std::string>& wanted) {
    Await([&] { return Records() == wanted; });
  }
};

TEST_F(AuditLogTest, HasEveryChangeOfAnAct) {
  v1::Subscription changed = Wanted("orders");
  ASSERT_THAT(CreateBy("orders"), IsOk());
  changed.set_max_attempts(7);
  ASSERT_THAT(subscriptions().Update(changed, {}, By("b", "update")), IsOk());
  ASSERT_THAT(subscriptions().Seek("orders", Earliest(), By("c", "seek")), IsOk());
  ASSERT_THAT(subscriptions().Delete("orders", By("d", "delete")), IsOk());
  EXPECT_THAT(Records(),
              ElementsAre("operator: create orders 0", "b: update 0", "c: seek 0", "d: delete 0"));
  const auto page = broker().audit().List(1, "");
  EXPECT_EQ(page->records(0).time().seconds(), clock().NowMicros() / 1'000'000);
}

TEST_F(AuditLogTest, HasNothingOfWhatChangedNothing) {
  ASSERT_THAT(CreateBy("orders"), IsOk());
  ASSERT_THAT(CreateBy("orders", "again"), IsOk());
  EXPECT_FALSE(subscriptions().Delete("missing", By("b", "delete")).ok());
  ASSERT_THAT(subscriptions().Update(Wanted("orders"), {}, By("c", "update")), IsOk());
  EXPECT_EQ(*subscriptions().DiscardDeadLetters("orders", {}, By("d", "discard")), 0);
  EXPECT_EQ(DiscardBy({"missing"}, By("e", "discard")), 0);
  ASSERT_THAT(subscriptions().Seek("orders", Earliest()), IsOk());  // nobody's
  EXPECT_THAT(Records(), ElementsAre("operator: create orders 0"));
}

TEST_F(AuditLogTest, CountsThingsOfOneActInOneRecord) {
  std::vector<std::string> ids;
  ids.reserve(5);
  for (int i = 0; i < 5; ++i) {
    ids.push_back(Append(Rejected(400, "bad_xml", "x"))->quarantine_id);
  }
  const broker::ActPtr act = By("operator", "discard");
  EXPECT_EQ(DiscardBy({ids[0], ids[1], "missing"}, act), 2);
  EXPECT_EQ(DiscardBy({ids[2]}, act), 1);
  EXPECT_EQ(DiscardBy({ids[3]}, By("other", "discard")), 1);
  EXPECT_THAT(Records(), ElementsAre("operator: discard 3", "other: discard 1"));
  broker::Entry published = EventOf("a");
  published.act = By("operator", "reprocess");
  ASSERT_THAT(Append(published), IsOk());
  ASSERT_THAT(Append(published), IsOk());  // a repetition
  EXPECT_EQ(Records().back(), "operator: reprocess 1");
}

TEST_F(AuditLogTest, ListsByPageAfterARestart) {
  for (const char* name : {"a", "b", "c"}) ASSERT_THAT(CreateBy(name), IsOk());
  Reopen();
  ASSERT_THAT(CreateBy("d"), IsOk());
  for (const int page_size : {1, 2, 4, 100}) {
    EXPECT_THAT(Records(page_size), ElementsAre("operator: create a 0", "operator: create b 0",
                                                "operator: create c 0", "operator: create d 0"));
  }
  for (const char* token : {"x", "-1", "1x"}) {
    EXPECT_THAT(broker().audit().List(1, token),
                StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("next_page_token")));
  }
}

TEST_F(AuditLogTest, IsBoundedByAge) {
  options().audit_age_micros = 3600ll * 1'000'000;
  Reopen();
  ASSERT_THAT(CreateBy("old"), IsOk());
  clock().AdvanceSeconds(3000);
  ASSERT_THAT(CreateBy("new"), IsOk());
  clock().AdvanceSeconds(1000);
  AwaitRecords({"operator: create new 0"});
  Reopen();
  AwaitRecords({"operator: create new 0"});
  clock().AdvanceSeconds(3000);
  AwaitRecords({});
}

TEST_F(AuditLogTest, IsBoundedByBytes) {
  options().audit_bytes = 700;
  Reopen();
  const std::string long_name(300, 'x');
  for (const char* name : {"a", "b", "c", "d", "e"}) ASSERT_THAT(CreateBy(name, long_name), IsOk());
  AwaitRecords({long_name + ": create d 0", long_name + ": create e 0"});
  Reopen();
  ASSERT_THAT(CreateBy("f", long_name), IsOk());
  AwaitRecords({long_name + ": create e 0", long_name + ": create f 0"});
}

TEST_F(AuditLogTest, HasNothingOfWhatCouldNotBeWritten) {
  {
    const NoFileMayGrow disk;
    EXPECT_FALSE(CreateBy("orders").ok());
  }
  Reopen();
  EXPECT_THAT(Records(), IsEmpty());
  ASSERT_THAT(CreateBy("orders"), IsOk());
  EXPECT_THAT(Records(), ElementsAre("operator: create orders 0"));
}

}  // namespace
}  // namespace mmsmo::embedded
