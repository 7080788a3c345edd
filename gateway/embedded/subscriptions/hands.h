// What each stream of a subscription has in hand, and how much more it may have.

#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>
#include <optional>
#include <utility>
#include <vector>

#include "absl/container/btree_set.h"
#include "absl/container/flat_hash_map.h"
#include "gateway/embedded/subscriptions/sequential.h"

namespace mmsmo::embedded {

using StreamId = uint32_t;

// What one stream may have unacknowledged.
struct StreamWindow {
  int messages = 1;
  int64_t bytes = 1;  // of events; exceeded by the last one
};

// How many events a stream may have in hand while it has a certain one: the fewer, the more ends of
// streams that one was in hand at.
using GroupSize = uint16_t;
inline constexpr GroupSize kAnyGroup = std::numeric_limits<GroupSize>::max();

// Not thread-safe.
class Hands {
 public:
  void Add(StreamId stream, StreamWindow window) { streams_[stream] = {.window = window}; }
  bool Has(StreamId stream) const { return streams_.contains(stream); }
  // Everything it had must have been dropped.
  void Erase(StreamId stream);
  // Nobody has anything any more; the streams that have ended are forgotten.
  void Clear();

  // It gets nothing more.
  void Close(StreamId stream);
  bool IsClosed(StreamId stream) const { return streams_.at(stream).closed; }
  // The stream has ended, but keeps what it has for its successor until then.
  void End(StreamId stream, int64_t until);
  bool HasEnded(StreamId stream) const { return streams_.at(stream).ended_until > 0; }
  // What a stream that has ended had in hand then.
  size_t AtEnd(StreamId stream) const { return streams_.at(stream).at_end; }
  // The stream that has ended whose time is up first by `now`.
  std::optional<StreamId> FirstOver(int64_t now) const;
  // When that is; INT64_MAX where no stream has ended.
  int64_t NextOver() const;

  void Take(StreamId stream, uint64_t event, uint32_t bytes, GroupSize group);
  void Drop(StreamId stream, uint64_t event, uint32_t bytes, GroupSize group);

  // In the order of the log.
  std::vector<uint64_t> Events(StreamId stream) const;
  int messages(StreamId stream) const {
    return static_cast<int>(streams_.at(stream).events.size());
  }
  bool HasBytesLeft(StreamId stream) const;
  // How many more it may take by its window and by the groups of what it has.
  int64_t Left(StreamId stream) const;
  // Whether an event that may only be in such a group can join what it has.
  bool MayJoin(StreamId stream, GroupSize group) const;

  size_t live() const { return streams_.size() - ended_.size(); }
  // Of those, the ones that may get something.
  size_t open() const { return live() - closed_; }

 private:
  struct Stream {
    StreamWindow window;
    Sequential<absl::btree_set<uint64_t>> events;
    int64_t bytes = 0;
    size_t suspects = 0;          // events of a limited group
    GroupSize group = kAnyGroup;  // the smallest since it last had none
    int64_t ended_until = 0;      // 0 while it lives
    bool closed = false;          // while it lives
    size_t at_end = 0;
  };

  absl::flat_hash_map<StreamId, Stream> streams_;
  absl::btree_set<std::pair<int64_t, StreamId>> ended_;
  size_t closed_ = 0;
};

}  // namespace mmsmo::embedded
