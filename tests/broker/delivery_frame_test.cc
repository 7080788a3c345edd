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

TEST(DeliveryFrame, OfALeaseIsWhatProtobufWouldWrite) {
  v1::Delivery lease;
  lease.set_ack_id("ack");
  lease.set_attempt(300);
  lease.mutable_ack_deadline_time()->set_seconds(1'700'000'000);
  v1::DeliveryBatch batch;
  v1::Delivery& delivery = *batch.add_deliveries();
  delivery = lease;
  delivery.mutable_event()->set_cursor("c");
  std::string framed;
  AppendLeasedDelivery(lease, delivery.event().SerializeAsString(), &framed);
  EXPECT_EQ(framed, batch.SerializeAsString());
}

}  // namespace
}  // namespace mmsmo::broker
