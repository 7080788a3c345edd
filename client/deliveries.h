// The deliveries that this program holds: those that wait for a handler, and those in one.

#pragma once

#include <chrono>
#include <list>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "mmsmo/v1/mms_mo_service.pb.h"
#include "mutex.h"

namespace mmsmo {

// Thread-safe. A delivery is held while its ack_id is not empty, and it is not disowned.
class Deliveries {
 private:
  struct Frame {
    std::shared_ptr<v1::SubscribeResponse> response;
    int next = 0;  // the first that waits
    int held = 0;
    std::set<int> disowned;  // of those that handlers have, who may read their ack_ids

    int size() const { return response->batch().deliveries_size(); }
    std::string* ack_id(int i) {
      return response->mutable_batch()->mutable_deliveries(i)->mutable_ack_id();
    }
  };

 public:
  using Time = std::chrono::steady_clock::time_point;

  class Claim {
   public:
    const v1::Delivery& delivery() const { return frame_->response->batch().deliveries(index_); }

   private:
    friend class Deliveries;
    std::list<Frame>::iterator frame_;
    int index_ = 0;
  };

  // A frame of a stream, as a whole: one wake-up, and nothing is copied. Not after Drain or Close.
  void Push(std::shared_ptr<v1::SubscribeResponse> response);

  // The next that waits, once there is one. Nothing after Close, or once all is taken after Drain.
  std::optional<Claim> Take();
  // Returns the ack_id of what was taken, which is not held any more; empty after Disown.
  std::string Finish(const Claim& claim);
  // The same before the end: it is not held any more, and not finished yet.
  std::string Disown(const Claim& claim);

  // Forgets what waits.
  void DropWaiting();
  // Unless KeepWaiting is called before, what waits is forgotten then, or at the time that an
  // earlier call gave: nothing of it is taken any more.
  void DropWaitingAt(Time when);
  // Returns the ack_ids of what was forgotten at such a time.
  std::vector<std::string> KeepWaiting();
  // Nothing comes any more, and what is here is to be finished until then; the earliest of several.
  void Drain(Time until);
  // Nothing comes and nothing is taken any more.
  void Close();
  // Once draining: waits until all is finished, or Close; false where its time was over first.
  bool WaitUntilFinished();
  // The ack_ids of what waits, which is forgotten.
  std::vector<std::string> TakeBack();

  std::vector<std::string> held_ack_ids() const;

 private:
  // What is done with is put into `done`, to be freed without the lock.
  std::vector<std::string> TakeBackLocked(std::list<Frame>* done)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void DropWhatIsDue(std::list<Frame>* done) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  bool has_waiting() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) { return waiting_ != frames_.end(); }

  mutable Mutex mu_;
  CondVar changed_;
  bool draining_ ABSL_GUARDED_BY(mu_) = false;
  bool closed_ ABSL_GUARDED_BY(mu_) = false;
  Time finish_by_ ABSL_GUARDED_BY(mu_) = Time::max();
  Time drop_at_ ABSL_GUARDED_BY(mu_) = Time::max();
  std::vector<std::string> dropped_ ABSL_GUARDED_BY(mu_);  // at its time, and perhaps not lost
  std::list<Frame> frames_ ABSL_GUARDED_BY(mu_);
  // The first frame of which some wait.
  std::list<Frame>::iterator waiting_ ABSL_GUARDED_BY(mu_) = frames_.end();
};

}  // namespace mmsmo
