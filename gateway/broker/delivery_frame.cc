#include "gateway/broker/delivery_frame.h"

#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/wire_format_lite.h>

#include <cstdint>

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

void AppendLeasedDelivery(const v1::Delivery& lease, std::string_view event,
                          std::string* deliveries) {
  // The event is the message's last field.
  AppendLengthPrefix(v1::DeliveryBatch::kDeliveriesFieldNumber,
                     lease.ByteSizeLong() + PrefixSize(event.size()) + event.size(), deliveries);
  lease.AppendToString(deliveries);
  AppendLengthPrefix(v1::Delivery::kEventFieldNumber, event.size(), deliveries);
  deliveries->append(event);
}

size_t DeliverySize(size_t event_size) {
  const size_t delivery = PrefixSize(event_size) + event_size;
  return PrefixSize(delivery) + delivery;
}

}  // namespace mmsmo::broker
