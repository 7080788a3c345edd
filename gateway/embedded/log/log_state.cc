#include "gateway/embedded/log/log_state.h"

#include <string>
#include <string_view>
#include <utility>

#include "gateway/base/status.h"
#include "gateway/embedded/store/big_endian.h"

namespace mmsmo::embedded {
namespace {

constexpr std::string_view kOldestKey = "oldest";
constexpr std::string_view kRemovedBytesKey = "removed_bytes";
constexpr std::string_view kRemovedAcceptKey = "removed_accept_micros";
constexpr std::string_view kLastEarlierKey = "last_earlier";
constexpr std::string_view kTimelineKey = "timeline";

}  // namespace

absl::StatusOr<LogState> ReadLogState(Store* store, const LogReader& reader) {
  LogState state;
  uint64_t removed_accept = 0;
  for (const auto& [key, field] : {std::pair{kOldestKey, &state.oldest},
                                   {kRemovedBytesKey, &state.removed_bytes},
                                   {kRemovedAcceptKey, &removed_accept},
                                   {kLastEarlierKey, &state.last_earlier}}) {
    auto number = store->ReadNumber(key);
    if (!number.ok()) return number.status();
    if (*number) *field = **number;
  }
  auto last = store->LastKey(store->events());
  if (!last.ok()) return last.status();
  // What retention has removed may still lie in files.
  if (last->empty() || LoadBigEndian64(*last) < state.oldest) {
    state.head = state.oldest - 1;
    state.log_bytes = state.removed_bytes;
    state.accept_micros = static_cast<int64_t>(removed_accept);
    return state;
  }
  state.head = LoadBigEndian64(*last);
  auto header = reader.Header(state.head);
  if (!header.ok()) return header.status();
  state.log_bytes = header->log_bytes;
  state.accept_micros = header->accept_micros;
  state.age = header->age;
  if (header->content[0] < broker::kContentVersion) state.last_earlier = state.head;
  return state;
}

void PutRemoved(const Store& store, const LogState& state, const RecordHeader& last_removed,
                rocksdb::WriteBatch* batch) {
  batch->Put(store.meta(), Slice(kOldestKey), BigEndian(state.oldest));
  batch->Put(store.meta(), Slice(kRemovedBytesKey), BigEndian(state.removed_bytes));
  batch->Put(store.meta(), Slice(kRemovedAcceptKey),
             BigEndian(static_cast<uint64_t>(last_removed.accept_micros)));
}

void PutLastEarlier(const Store& store, const LogState& state, rocksdb::WriteBatch* batch) {
  batch->Put(store.meta(), Slice(kLastEarlierKey), BigEndian(state.last_earlier));
}

absl::StatusOr<std::unique_ptr<Timeline>> ReadTimeline(Store* store, const Clock& clock,
                                                       const LogState& state) {
  std::string bytes;
  const rocksdb::Status found = store->db().Get({}, store->meta(), Slice(kTimelineKey), &bytes);
  if (!found.ok() && !found.IsNotFound()) return FromRocks(found, "reading the log's time");
  Timeline::Saved saved = Timeline::Begin(clock);
  if (found.ok()) {
    auto decoded = DecodeTimeline(bytes);
    if (!decoded.ok()) return decoded.status();
    saved = *std::move(decoded);
  } else if (state.accept_micros > 0) {  // of a gateway that did not keep it
    saved = {.age_micros = state.accept_micros, .wall_micros = state.accept_micros};
  }
  return std::make_unique<Timeline>(clock, std::move(saved), state.age);
}

void PutTimeline(const Store& store, const Timeline& timeline, rocksdb::WriteBatch* batch) {
  batch->Put(store.meta(), Slice(kTimelineKey), EncodeTimeline(timeline.ToSave()));
}

}  // namespace mmsmo::embedded
