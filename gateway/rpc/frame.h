// The frames of Subscribe as bytes. Batches are put together from stored bytes; nothing is parsed
// or serialised again.

#pragma once

#include <grpcpp/support/byte_buffer.h>

#include "gateway/broker/feed.h"
#include "mmsmo/v1/mms_mo_service.pb.h"

namespace mmsmo::rpc {

// A frame is at most this large unless one event alone is larger.
inline constexpr size_t kMaxFrameBytes = 1 << 20;
// What a frame needs besides its deliveries: the cursor, tags and lengths.
inline constexpr size_t kFrameOverhead = 256;

grpc::ByteBuffer MakeFrame(const v1::SubscribeResponse& response);
// Takes the batch's deliveries without copying them.
grpc::ByteBuffer MakeBatchFrame(broker::Batch batch);

}  // namespace mmsmo::rpc
