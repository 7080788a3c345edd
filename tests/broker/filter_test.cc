#include "gateway/broker/filter.h"

#include <gtest/gtest.h>

#include <functional>

#include "tests/support/status_matchers.h"

namespace mmsmo::broker {
namespace {

using testing::HasSubstr;

v1::MmsMo Message() {
  v1::MmsMo message;
  message.mutable_sender()->set_value("1 408 225 7140");
  message.mutable_sender()->set_e164("+14082257140");
  message.mutable_recipient()->set_value("28444");
  message.set_keyword("Stop");
  message.set_operator_id("0001470");
  message.add_media()->set_kind(v1::MEDIA_KIND_SMIL);
  message.add_media()->set_kind(v1::MEDIA_KIND_IMAGE);
  return message;
}

struct Case {
  const char* name;
  std::function<void(v1::Filter*)> set;
  bool matches;
};

const Case kCases[] = {
    {"nothing", [](v1::Filter*) {}, true},
    {"recipient", [](v1::Filter* f) { f->add_recipients("28444"); }, true},
    {"another recipient", [](v1::Filter* f) { f->add_recipients("2844"); }, false},
    {"no E.164 is no match of nothing", [](v1::Filter* f) { f->add_recipients(""); }, false},
    {"sender as sent", [](v1::Filter* f) { f->add_senders("1 408 225 7140"); }, true},
    {"sender in E.164", [](v1::Filter* f) { f->add_senders("+14082257140"); }, true},
    {"sender without its plus", [](v1::Filter* f) { f->add_senders("14082257140"); }, true},
    {"sender in any spelling", [](v1::Filter* f) { f->add_senders("(+1) 408-225.7140/TYPE=PLMN"); },
     true},
    {"sender without its country", [](v1::Filter* f) { f->add_senders("4082257140"); }, false},
    {"recipient in any spelling", [](v1::Filter* f) { f->add_recipients("2-8444"); }, true},
    {"keyword in any case", [](v1::Filter* f) { f->add_keywords("STOP"); }, true},
    {"keyword in full", [](v1::Filter* f) { f->add_keywords("sto"); }, false},
    {"one of two keywords",
     [](v1::Filter* f) {
       f->add_keywords("win");
       f->add_keywords("stop");
     },
     true},
    {"operator", [](v1::Filter* f) { f->add_operator_ids("0001470"); }, true},
    {"operator without its zeros", [](v1::Filter* f) { f->add_operator_ids("1470"); }, false},
    {"any of the media", [](v1::Filter* f) { f->add_media_kinds(v1::MEDIA_KIND_IMAGE); }, true},
    {"none of the media", [](v1::Filter* f) { f->add_media_kinds(v1::MEDIA_KIND_VIDEO); }, false},
    {"endpoint", [](v1::Filter* f) { f->add_endpoints("mms-mo"); }, true},
    {"another endpoint", [](v1::Filter* f) { f->add_endpoints("MMS-MO"); }, false},
    {"every field has to match",
     [](v1::Filter* f) {
       f->add_keywords("stop");
       f->add_recipients("12345");
     },
     false},
};

TEST(EventFilter, LetsThroughWhatMatchesEveryField) {
  v1::Event event;
  *event.mutable_mms_mo() = Message();
  event.set_endpoint("mms-mo");
  for (const Case& one : kCases) {
    v1::Filter wanted;
    one.set(&wanted);
    const EventFilter filter(wanted);
    EXPECT_EQ(filter.Matches(event), one.matches) << one.name;
    EXPECT_EQ(*filter.MatchesSerialised(event.SerializeAsString()), one.matches) << one.name;
  }
}

TEST(EventFilter, FindsAPersonByEitherFormOfTheNumber) {
  v1::Event event;
  v1::Address& sender = *event.mutable_mms_mo()->mutable_sender();
  sender.set_value("+44 (0)20 7946 0958");
  sender.set_e164("+442079460958");
  for (const char* spelling : {"+44 (0)20 7946 0958", "4402079460958", "442079460958"}) {
    v1::Filter wanted;
    wanted.add_senders(spelling);
    EXPECT_TRUE(EventFilter(wanted).Matches(event)) << spelling;
  }
}

TEST(EventFilter, TellsTextsApartByEveryByte) {
  v1::Event event;
  event.mutable_mms_mo()->mutable_sender()->set_value("Some-One@b.example");
  v1::Filter wanted;
  wanted.add_senders("some-one@b.example");
  EXPECT_FALSE(EventFilter(wanted).Matches(event));
  wanted.add_senders("Some-One@b.example");
  EXPECT_TRUE(EventFilter(wanted).Matches(event));
}

TEST(EventFilter, KnowsKeywordsInAnyCase) {
  v1::Event event;
  event.mutable_mms_mo()->set_keyword("ARRÊT");
  v1::Filter wanted;
  wanted.add_keywords("arre\xcc\x82t");
  EXPECT_TRUE(EventFilter(wanted).Matches(event));
}

TEST(EventFilter, SaysWhichFieldIsWrong) {
  v1::Filter filter;
  filter.add_media_kinds(static_cast<v1::MediaKind>(99));
  EXPECT_THAT(EventFilter::Validate("s.filter", filter),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("s.filter.media_kinds: 99")));
  filter.Clear();
  for (int i = 0; i <= EventFilter::kMaxValues; ++i) filter.add_keywords("a");
  EXPECT_THAT(EventFilter::Validate("s.filter", filter),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("s.filter.keywords: 1001")));
}

TEST(EventFilter, RefusesFieldsThatItDoesNotKnow) {
  v1::Filter filter;
  filter.add_keywords("a");
  std::string bytes = filter.SerializeAsString();
  bytes += "\x7a\x01x";  // field 15
  ASSERT_TRUE(filter.ParseFromString(bytes));
  EXPECT_THAT(EventFilter::Validate("filter", filter),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("filter: it has a field")));
}

TEST(EventFilter, ReportsAnEventThatCannotBeRead) {
  v1::Filter filter;
  EXPECT_TRUE(*EventFilter(filter).MatchesSerialised("\xff"));  // needs no reading
  filter.add_keywords("a");
  EXPECT_THAT(EventFilter(filter).MatchesSerialised("\xff"),
              StatusIs(absl::StatusCode::kDataLoss, HasSubstr("cannot be read")));
}

}  // namespace
}  // namespace mmsmo::broker
