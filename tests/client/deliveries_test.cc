// What a program holds, without a gateway: what waits, what is taken, and what is forgotten.

#include "client/deliveries.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <future>
#include <memory>
#include <string>
#include <vector>

namespace mmsmo {
namespace {

using std::chrono::steady_clock;
using testing::ElementsAre;
using testing::IsEmpty;

std::shared_ptr<v1::SubscribeResponse> FrameOf(const std::vector<std::string>& ack_ids) {
  auto frame = std::make_shared<v1::SubscribeResponse>();
  for (const std::string& id : ack_ids) frame->mutable_batch()->add_deliveries()->set_ack_id(id);
  return frame;
}

TEST(Deliveries, GivesBackWhatWaitedForTooLongOnceItIsResumed) {
  Deliveries deliveries;
  deliveries.Push(FrameOf({"a", "b"}));
  deliveries.Push(FrameOf({"c"}));
  const auto begun = deliveries.Take();
  // Each attempt to connect that fails says so again; the first time counts.
  deliveries.DropWaitingAt(steady_clock::now());
  deliveries.DropWaitingAt(steady_clock::time_point::max());
  deliveries.Drain(steady_clock::time_point::max());
  EXPECT_FALSE(deliveries.Take());
  EXPECT_FALSE(deliveries.Take());
  EXPECT_THAT(deliveries.held_ack_ids(), ElementsAre("a"));
  EXPECT_THAT(deliveries.KeepWaiting(), ElementsAre("b", "c"));
  EXPECT_THAT(deliveries.KeepWaiting(), IsEmpty()) << "once";
  EXPECT_EQ(deliveries.Finish(*begun), "a");
}

TEST(Deliveries, ForgetsWhatTheNextStreamGetsAgain) {
  Deliveries deliveries;
  deliveries.Push(FrameOf({"a"}));
  deliveries.DropWaiting();
  EXPECT_THAT(deliveries.held_ack_ids(), IsEmpty());
  EXPECT_THAT(deliveries.KeepWaiting(), IsEmpty());
}

TEST(Deliveries, NobodyWaitsUntilThatIsFinishedWhichIsForgotten) {
  Deliveries deliveries;
  deliveries.Push(FrameOf({"a"}));
  deliveries.Drain(steady_clock::time_point::max());
  auto finished = std::async(std::launch::async, [&] { return deliveries.WaitUntilFinished(); });
  deliveries.DropWaiting();
  EXPECT_TRUE(finished.get());
}

TEST(Deliveries, WhatAHandlerHasIsFinishedOnceItReturns) {
  Deliveries deliveries;
  deliveries.Push(FrameOf({"a"}));
  const auto claim = deliveries.Take();
  deliveries.Drain(steady_clock::now());
  EXPECT_FALSE(deliveries.WaitUntilFinished());
  EXPECT_EQ(deliveries.Finish(*claim), "a");
  EXPECT_TRUE(deliveries.WaitUntilFinished());
}

TEST(Deliveries, TheEarliestTimeToFinishCounts) {
  Deliveries deliveries;
  deliveries.Push(FrameOf({"a"}));
  deliveries.Drain(steady_clock::time_point::max());
  auto finished = std::async(std::launch::async, [&] { return deliveries.WaitUntilFinished(); });
  deliveries.Drain(steady_clock::now());
  deliveries.Drain(steady_clock::time_point::max());
  EXPECT_FALSE(finished.get());
}

TEST(Deliveries, WhatIsDisownedIsNotHeldAndStaysAsItIs) {
  Deliveries deliveries;
  deliveries.Push(FrameOf({"a"}));
  const auto claim = deliveries.Take();
  EXPECT_EQ(deliveries.Disown(*claim), "a");
  EXPECT_EQ(claim->delivery().ack_id(), "a") << "its handler may read it";
  EXPECT_THAT(deliveries.held_ack_ids(), IsEmpty());
  EXPECT_EQ(deliveries.Finish(*claim), "");
}

}  // namespace
}  // namespace mmsmo
