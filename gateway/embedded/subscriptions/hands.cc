#include "gateway/embedded/subscriptions/hands.h"

#include <algorithm>
#include <utility>

namespace mmsmo::embedded {

void Hands::Clear() {
  for (const auto& [until, stream] : ended_) streams_.erase(stream);
  ended_.clear();
  for (auto& [id, stream] : streams_) stream = {.window = stream.window, .closed = stream.closed};
}

void Hands::Close(StreamId stream) {
  Stream& own = streams_.at(stream);
  if (own.ended_until > 0 || own.closed) return;
  own.closed = true;
  ++closed_;
}

void Hands::End(StreamId stream, int64_t until) {
  Stream& own = streams_.at(stream);
  if (std::exchange(own.closed, false)) --closed_;
  own.ended_until = until;
  own.at_end = own.events.size();
  ended_.emplace(until, stream);
}

std::optional<StreamId> Hands::FirstOver(int64_t now) const {
  if (ended_.empty() || ended_.begin()->first > now) return std::nullopt;
  return ended_.begin()->second;
}

int64_t Hands::NextOver() const {
  return ended_.empty() ? std::numeric_limits<int64_t>::max() : ended_.begin()->first;
}

void Hands::Erase(StreamId stream) {
  const auto it = streams_.find(stream);
  if (it == streams_.end()) return;
  if (it->second.closed) --closed_;
  ended_.erase({it->second.ended_until, stream});
  streams_.erase(it);
}

void Hands::Take(StreamId stream, uint64_t event, uint32_t bytes, GroupSize group) {
  Stream& own = streams_.at(stream);
  own.events.emplace_last(event);
  own.bytes += bytes;
  if (group == kAnyGroup) return;
  ++own.suspects;
  own.group = std::min(own.group, group);
}

void Hands::Drop(StreamId stream, uint64_t event, uint32_t bytes, GroupSize group) {
  Stream& own = streams_.at(stream);
  own.events.erase(event);
  own.bytes -= bytes;
  if (group == kAnyGroup) return;
  if (--own.suspects == 0) own.group = kAnyGroup;
}

std::vector<uint64_t> Hands::Events(StreamId stream) const {
  const auto& events = streams_.at(stream).events;
  return {events.begin(), events.end()};
}

bool Hands::HasBytesLeft(StreamId stream) const {
  const Stream& own = streams_.at(stream);
  return own.bytes < own.window.bytes;
}

int64_t Hands::Left(StreamId stream) const {
  const Stream& own = streams_.at(stream);
  if (own.closed || own.ended_until > 0 || own.bytes >= own.window.bytes) return 0;
  const int64_t limit = own.group == kAnyGroup ? own.window.messages
                                               : std::min<int64_t>(own.window.messages, own.group);
  return std::max<int64_t>(limit - static_cast<int64_t>(own.events.size()), 0);
}

bool Hands::MayJoin(StreamId stream, GroupSize group) const {
  return group == kAnyGroup || streams_.at(stream).events.size() < group;
}

}  // namespace mmsmo::embedded
