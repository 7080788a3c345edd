// How a delivery stands on the wire, so that stored event bytes are framed as they are and never
// parsed again.

#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "mmsmo/v1/mms_mo_service.pb.h"

namespace mmsmo::broker {

// Appends one entry of v1.DeliveryBatch.deliveries that holds only `event`, a serialised v1.Event:
// what a reader with a start position gets, without ack id, attempt or deadline.
void AppendDelivery(std::string_view event, std::string* deliveries);

// The size of what AppendDelivery appends for an event of `event_size` bytes.
size_t DeliverySize(size_t event_size);

// The same of a delivery that is to be acknowledged: `lease` has everything but the event.
void AppendLeasedDelivery(const v1::Delivery& lease, std::string_view event,
                          std::string* deliveries);

// Appends one field of protobuf's wire type LEN: its tag, its length and, left to the caller, its
// bytes.
void AppendLengthPrefix(int field_number, size_t length, std::string* out);

}  // namespace mmsmo::broker
