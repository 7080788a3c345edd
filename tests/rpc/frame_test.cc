#include "gateway/rpc/frame.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "gateway/broker/delivery_frame.h"

namespace mmsmo::rpc {
namespace {

std::string Bytes(const grpc::ByteBuffer& buffer) {
  std::vector<grpc::Slice> slices;
  EXPECT_TRUE(buffer.Dump(&slices).ok());
  std::string bytes;
  for (const grpc::Slice& slice : slices) {
    bytes.append(reinterpret_cast<const char*>(slice.begin()), slice.size());
  }
  return bytes;
}

TEST(Frame, OfABatchIsWhatProtobufWouldWrite) {
  v1::SubscribeResponse frame;
  frame.set_cursor("c3");
  broker::Batch batch{.cursor = "c3"};
  for (const char* cursor : {"c1", "c2", "c3"}) {
    v1::Event event;
    event.set_cursor(cursor);
    event.mutable_mms_mo()->set_subject(std::string(200, 's'));
    broker::AppendDelivery(event.SerializeAsString(), &batch.deliveries);
    *frame.mutable_batch()->add_deliveries()->mutable_event() = event;
  }
  EXPECT_EQ(Bytes(MakeBatchFrame(batch)), frame.SerializeAsString());
}

TEST(Frame, OfAMessageIsTheMessage) {
  v1::SubscribeResponse frame;
  frame.set_cursor("c3");
  frame.mutable_caught_up();
  EXPECT_EQ(Bytes(MakeFrame(frame)), frame.SerializeAsString());
}

}  // namespace
}  // namespace mmsmo::rpc
