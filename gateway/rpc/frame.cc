#include "gateway/rpc/frame.h"

#include <grpcpp/support/slice.h>

#include <memory>
#include <string>
#include <utility>

#include "gateway/broker/delivery_frame.h"

namespace mmsmo::rpc {
namespace {

// A slice that owns the string.
grpc::Slice TakeSlice(std::string bytes) {
  auto owned = std::make_unique<std::string>(std::move(bytes));
  std::string* const raw = owned.release();
  return grpc::Slice(
      raw->data(), raw->size(), [](void* string) { delete static_cast<std::string*>(string); },
      raw);
}

}  // namespace

grpc::ByteBuffer MakeFrame(const v1::SubscribeResponse& response) {
  const grpc::Slice slice = TakeSlice(response.SerializeAsString());
  return {&slice, 1};
}

grpc::ByteBuffer MakeBatchFrame(broker::Batch batch) {
  std::string prefix;
  broker::AppendLengthPrefix(v1::SubscribeResponse::kCursorFieldNumber, batch.cursor.size(),
                             &prefix);
  prefix += batch.cursor;
  broker::AppendLengthPrefix(v1::SubscribeResponse::kBatchFieldNumber, batch.deliveries.size(),
                             &prefix);
  const grpc::Slice slices[] = {grpc::Slice(prefix), TakeSlice(std::move(batch.deliveries))};
  return {slices, 2};
}

}  // namespace mmsmo::rpc
