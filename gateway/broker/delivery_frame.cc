#include "gateway/broker/delivery_frame.h"

#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/wire_format_lite.h>

#include <cstdint>

#include "mmsmo/v1/mms_mo_service.pb.h"

namespace mmsmo::broker {
namespace {

using google::protobuf::internal::WireFormatLite;
using google::protobuf::io::CodedOutputStream;

size_t PrefixSize(size_t length) { return 1 + CodedOutputStream::VarintSize64(length); }

}  // namespace

void AppendLengthPrefix(int field_number, size_t length, std::string* out) {
  // A tag and a length are two varints of at most 10 bytes each.
  uint8_t bytes[20];
  uint8_t* end = CodedOutputStream::WriteTagToArray(
      WireFormatLite::MakeTag(field_number, WireFormatLite::WIRETYPE_LENGTH_DELIMITED), bytes);
  end = CodedOutputStream::WriteVarint64ToArray(length, end);
  out->append(reinterpret_cast<const char*>(bytes), static_cast<size_t>(end - bytes));
}

void AppendDelivery(std::string_view event, std::string* deliveries) {
  AppendLengthPrefix(v1::DeliveryBatch::kDeliveriesFieldNumber,
                     PrefixSize(event.size()) + event.size(), deliveries);
  AppendLengthPrefix(v1::Delivery::kEventFieldNumber, event.size(), deliveries);
  deliveries->append(event);
}

void AppendLeasedDelivery(std::string_view event, const LeaseInfo& lease, std::string* deliveries) {
  v1::Delivery delivery;
  delivery.set_ack_id(lease.ack_id.data(), lease.ack_id.size());
  delivery.set_attempt(lease.attempt);
  delivery.mutable_ack_deadline_time()->set_seconds(lease.deadline_micros / 1'000'000);
  delivery.mutable_ack_deadline_time()->set_nanos(
      static_cast<int32_t>(lease.deadline_micros % 1'000'000) * 1000);
  // The event is the message's last field.
  AppendLengthPrefix(v1::DeliveryBatch::kDeliveriesFieldNumber,
                     delivery.ByteSizeLong() + PrefixSize(event.size()) + event.size(), deliveries);
  delivery.AppendToString(deliveries);
  AppendLengthPrefix(v1::Delivery::kEventFieldNumber, event.size(), deliveries);
  deliveries->append(event);
}

size_t DeliverySize(size_t event_size) {
  const size_t delivery = PrefixSize(event_size) + event_size;
  return PrefixSize(delivery) + delivery;
}

}  // namespace mmsmo::broker
