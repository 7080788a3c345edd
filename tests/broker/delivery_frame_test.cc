#include "gateway/broker/delivery_frame.h"

#include <gtest/gtest.h>

#include "mmsmo/v1/mms_mo_service.pb.h"

namespace mmsmo::broker {
namespace {

TEST(DeliveryFrame, IsWhatProtobufWouldWrite) {
  for (size_t size : {0, 1, 100, 127, 128, 16'383, 16'384, 300'000}) {
    v1::DeliveryBatch batch;
    std::string framed;
    for (int i = 0; i < 2; ++i) {
      v1::Event event;
      event.set_cursor(std::string(size, 'c'));
      AppendDelivery(event.SerializeAsString(), &framed);
      *batch.add_deliveries()->mutable_event() = event;
    }
    EXPECT_EQ(framed, batch.SerializeAsString()) << size;
    EXPECT_EQ(2 * DeliverySize(batch.deliveries(0).event().ByteSizeLong()), framed.size()) << size;
  }
}

}  // namespace
}  // namespace mmsmo::broker
