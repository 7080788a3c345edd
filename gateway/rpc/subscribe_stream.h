// One Subscribe call: takes from its feed what the last write left room for, and nothing more.

#pragma once

#include <grpcpp/support/byte_buffer.h>
#include <grpcpp/support/server_callback.h>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "gateway/base/clock.h"
#include "gateway/base/thread_pool.h"
#include "gateway/broker/feed.h"
#include "gateway/rpc/frame_sizer.h"
#include "gateway/rpc/gate.h"
#include "mmsmo/v1/mms_mo_service.pb.h"
#include "mutex.h"

namespace mmsmo::rpc {

// Everything a stream does happens in its steps, of which the pool runs one at a time; gRPC's
// callbacks and wake-ups only ask for one. So there is one write in flight, one place that
// finishes, and no race between the two.
class SubscribeStream final : public grpc::ServerWriteReactor<grpc::ByteBuffer>,
                              public std::enable_shared_from_this<SubscribeStream> {
 public:
  using TimePoint = std::chrono::steady_clock::time_point;

  struct Settings {
    std::string stream_id;  // 128 bits in hex
    std::string client_id;
    int max_batch_size = 0;
    std::chrono::milliseconds heartbeat_interval{};
    std::string earliest_cursor;
    ByteBudget* frame_bytes = nullptr;  // of all streams; must outlive this one
  };
  // What it reads, once that is open.
  struct Source {
    std::unique_ptr<broker::Feed> feed;
    // Of a subscription; 0 otherwise.
    int64_t ack_deadline_micros = 0;
    int max_outstanding_messages = 0;
    bool resumed = false;
  };
  // Where its steps run: those that may wait for a disk on threads of their own. Lists, which may
  // read much, have others.
  struct Threads {
    ThreadPool* live;
    ThreadPool* store;
    ThreadPool* lists;
  };
  struct Hooks {
    std::function<void(int events)> delivered;   // handed to gRPC
    std::function<void(SubscribeStream*)> done;  // the call is over
  };

  // The threads and `clock` must outlive the call. The stream keeps itself alive until OnDone, and
  // waits for Open.
  static std::shared_ptr<SubscribeStream> Start(Settings settings,
                                                grpc::CallbackServerContext* context,
                                                Threads threads, const Clock& clock, Hooks hooks);

  // What it reads, or why it cannot: once, from any thread.
  void Open(absl::StatusOr<Source> source);
  // Ends it with that, whatever its client does. Thread-safe.
  void End(const grpc::Status& status);

  // Sends Draining, goes on until the tail or `close_at`, then finishes with UNAVAILABLE.
  // Thread-safe.
  void Drain(TimePoint close_at);

  const Settings& settings() const { return settings_; }
  // What the gate knows it by; set before it is handed to gRPC.
  Gate::Kept kept() const { return kept_; }
  void set_kept(Gate::Kept kept) { kept_ = kept; }
  // Whom it is for: one address a connection, but for unix sockets, which have none.
  const std::string& peer() const { return peer_; }
  // How many events the stream has not taken yet. Thread-safe.
  int64_t Lag() const;

  void OnWriteDone(bool ok) override;
  void OnCancel() override;
  void OnDone() override;

 private:
  enum class Turn { kIdle, kQueued, kRunning, kRunningAndAskedAgain };

  SubscribeStream(Settings settings, grpc::CallbackServerContext* context, Threads threads,
                  const Clock& clock, Hooks hooks);

  const broker::Feed* Feed() const;
  void CancelWrite();
  void AskForStep();
  void AskForStepAt(TimePoint when);
  void Queue();
  void RunSteps();
  void Step();
  bool SendDue();
  void SendDeliveries();
  void AtTail(const std::string& cursor);
  void EndWhenAcknowledged();
  void TryLater();
  void SendHeartbeat(const std::string& cursor);
  void Send(const v1::SubscribeResponse& frame);
  void Send(const grpc::ByteBuffer& frame);
  void FinishOnce(const grpc::Status& status);
  void WaitForMore();

  const Settings settings_;
  grpc::CallbackServerContext* const context_;
  const std::string peer_;
  Gate::Kept kept_ = 0;
  const Threads threads_;
  const Clock& clock_;
  const Hooks hooks_;
  std::shared_ptr<SubscribeStream> self_;  // until OnDone

  // The steps' own.
  uint32_t frames_ = 0;  // handed to gRPC
  bool started_ = false;
  bool caught_up_ = false;
  bool drain_announced_ = false;
  bool finished_ = false;
  TimePoint last_frame_;
  TimePoint wake_at_ = TimePoint::max();  // of the timer that is set
  grpc::ByteBuffer frame_;                // in flight
  FrameSizer sizer_;
  size_t frame_room_ = 0;  // reserved for what is being made ready

  mutable Mutex mu_;
  Turn turn_ ABSL_GUARDED_BY(mu_) = Turn::kIdle;
  bool writing_ ABSL_GUARDED_BY(mu_) = false;
  bool cancelled_ ABSL_GUARDED_BY(mu_) = false;
  std::optional<grpc::Status> end_ ABSL_GUARDED_BY(mu_);
  bool cancelling_ ABSL_GUARDED_BY(mu_) = false;
  bool opened_ ABSL_GUARDED_BY(mu_) = false;
  absl::Status open_error_ ABSL_GUARDED_BY(mu_);
  std::optional<TimePoint> close_at_ ABSL_GUARDED_BY(mu_);

  // Constant once opened_. Last, and so destroyed first: it may be waking this stream.
  Source source_;
};

}  // namespace mmsmo::rpc
