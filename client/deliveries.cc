#include "client/deliveries.h"

#include <algorithm>
#include <iterator>
#include <utility>

namespace mmsmo {

void Deliveries::Push(std::shared_ptr<v1::SubscribeResponse> response) {
  std::list<Frame> added(1);
  added.front().response = std::move(response);
  added.front().held = added.front().size();
  if (added.front().held == 0) return;
  const MutexLock lock(&mu_);
  if (draining_) return;
  frames_.splice(frames_.end(), added);
  if (!has_waiting()) waiting_ = std::prev(frames_.end());
  changed_.SignalAll();
}

std::optional<Deliveries::Claim> Deliveries::Take() {
  std::list<Frame> done;  // freed without the lock
  const MutexLock lock(&mu_);
  DropWhatIsDue(&done);
  while (!draining_ && !has_waiting()) {
    changed_.Wait(&mu_);
    DropWhatIsDue(&done);
  }
  if (closed_ || !has_waiting()) return std::nullopt;
  Claim claim;
  claim.frame_ = waiting_;
  claim.index_ = waiting_->next++;
  if (waiting_->next == waiting_->size()) ++waiting_;
  return claim;
}

std::string Deliveries::Finish(const Claim& claim) {
  std::list<Frame> done;  // freed without the lock
  const MutexLock lock(&mu_);
  Frame& frame = *claim.frame_;
  std::string ack_id = std::exchange(*frame.ack_id(claim.index_), {});
  if (frame.disowned.erase(claim.index_) > 0) ack_id.clear();
  if (--frame.held == 0) done.splice(done.end(), frames_, claim.frame_);
  if (draining_ && frames_.empty()) changed_.SignalAll();
  return ack_id;
}

std::string Deliveries::Disown(const Claim& claim) {
  const MutexLock lock(&mu_);
  claim.frame_->disowned.insert(claim.index_);
  return claim.delivery().ack_id();
}

void Deliveries::DropWaiting() {
  std::list<Frame> done;
  const MutexLock lock(&mu_);
  TakeBackLocked(&done);
  dropped_.clear();
}

void Deliveries::DropWaitingAt(Time when) {
  const MutexLock lock(&mu_);
  drop_at_ = std::min(drop_at_, when);
}

std::vector<std::string> Deliveries::KeepWaiting() {
  const MutexLock lock(&mu_);
  drop_at_ = Time::max();
  return std::exchange(dropped_, {});
}

std::vector<std::string> Deliveries::TakeBackLocked(std::list<Frame>* done) {
  drop_at_ = Time::max();
  std::vector<std::string> ack_ids;
  while (has_waiting()) {
    const auto frame = waiting_++;
    for (; frame->next < frame->size(); ++frame->next, --frame->held) {
      ack_ids.push_back(std::exchange(*frame->ack_id(frame->next), {}));
    }
    if (frame->held == 0) done->splice(done->end(), frames_, frame);
  }
  changed_.SignalAll();  // whoever waits until all is finished
  return ack_ids;
}

void Deliveries::DropWhatIsDue(std::list<Frame>* done) {
  if (drop_at_ == Time::max() || std::chrono::steady_clock::now() < drop_at_) return;
  for (std::string& ack_id : TakeBackLocked(done)) dropped_.push_back(std::move(ack_id));
}

void Deliveries::Drain(Time until) {
  const MutexLock lock(&mu_);
  finish_by_ = std::min(finish_by_, until);
  draining_ = true;
  changed_.SignalAll();
}

void Deliveries::Close() {
  const MutexLock lock(&mu_);
  draining_ = closed_ = true;
  changed_.SignalAll();
}

bool Deliveries::WaitUntilFinished() {
  const MutexLock lock(&mu_);
  while (!closed_ && !frames_.empty()) {
    if (std::chrono::steady_clock::now() >= finish_by_) return false;
    changed_.WaitUntil(&mu_, finish_by_);
  }
  return true;
}

std::vector<std::string> Deliveries::TakeBack() {
  std::list<Frame> done;  // freed without the lock
  const MutexLock lock(&mu_);
  return TakeBackLocked(&done);
}

std::vector<std::string> Deliveries::held_ack_ids() const {
  std::vector<std::string> ack_ids;
  const MutexLock lock(&mu_);
  for (const Frame& frame : frames_) {
    for (int i = 0; i < frame.size(); ++i) {
      const std::string& ack_id = frame.response->batch().deliveries(i).ack_id();
      if (!ack_id.empty() && !frame.disowned.contains(i)) ack_ids.push_back(ack_id);
    }
  }
  return ack_ids;
}

}  // namespace mmsmo
