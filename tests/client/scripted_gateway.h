// A gateway that does what the test says, and remembers what it was asked.

#pragma once

#include <google/protobuf/util/time_util.h>
#include <grpcpp/grpcpp.h>

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "mmsmo/subscriber.h"
#include "mmsmo/v1/mms_mo_service.grpc.pb.h"

namespace mmsmo {

using Writer = grpc::ServerWriter<v1::SubscribeResponse>;
// One Subscribe call, as the gateway answers it.
using Script =
    std::function<grpc::Status(grpc::ServerContext*, const v1::SubscribeRequest&, Writer*)>;

// The first frame of a stream; with an ack deadline, one of a named subscription.
inline v1::SubscribeResponse Started(const std::string& cursor, int heartbeat_millis = 60'000,
                                     int ack_deadline_millis = 0) {
  const auto set = [](google::protobuf::Duration* duration, int millis) {
    duration->set_seconds(millis / 1000);
    duration->set_nanos(millis % 1000 * 1'000'000);
  };
  v1::SubscribeResponse frame;
  frame.set_cursor(cursor);
  set(frame.mutable_started()->mutable_heartbeat_interval(), heartbeat_millis);
  if (ack_deadline_millis > 0) {
    set(frame.mutable_started()->mutable_ack_deadline(), ack_deadline_millis);
  }
  return frame;
}

// Deliveries of the events with these cursors, which are their ack_ids too.
inline v1::SubscribeResponse Batch(const std::vector<std::string>& cursors, int attempt = 0) {
  v1::SubscribeResponse frame;
  for (const std::string& cursor : cursors) {
    v1::Delivery& delivery = *frame.mutable_batch()->add_deliveries();
    delivery.mutable_event()->set_cursor(cursor);
    if (attempt > 0) delivery.set_ack_id(cursor);
    delivery.set_attempt(attempt);
    frame.set_cursor(cursor);
  }
  return frame;
}

inline grpc::Status Unavailable() { return {grpc::StatusCode::UNAVAILABLE, "gone"}; }

// Holds a call open until its client leaves.
inline grpc::Status StayOpen(grpc::ServerContext* context) {
  while (!context->IsCancelled()) std::this_thread::sleep_for(std::chrono::milliseconds(1));
  return grpc::Status::CANCELLED;
}

inline Script Writes(const std::vector<v1::SubscribeResponse>& frames, const grpc::Status& end) {
  return [frames, end](grpc::ServerContext*, const v1::SubscribeRequest&, Writer* writer) {
    for (const auto& frame : frames) writer->Write(frame);
    return end;
  };
}

inline Script WritesAndStaysOpen(const std::vector<v1::SubscribeResponse>& frames) {
  return [frames](grpc::ServerContext* context, const v1::SubscribeRequest&, Writer* writer) {
    for (const auto& frame : frames) writer->Write(frame);
    return StayOpen(context);
  };
}

class ScriptedGateway : public v1::MmsMoService::Service {
 public:
  // Answers an Acknowledge; `call` counts from 0.
  using Acknowledges = std::function<grpc::Status(
      grpc::ServerContext*, int call, const v1::AcknowledgeRequest&, v1::AcknowledgeResponse*)>;

  explicit ScriptedGateway(std::vector<Script> scripts, int port = 0,
                           Acknowledges acknowledges = {}, grpc::Service* other = nullptr)
      : scripts_(std::move(scripts)), acknowledges_(std::move(acknowledges)) {
    grpc::ServerBuilder builder;
    builder.AddListeningPort("127.0.0.1:" + std::to_string(port), grpc::InsecureServerCredentials(),
                             &port_);
    builder.RegisterService(this);
    if (other != nullptr) builder.RegisterService(other);
    server_ = builder.BuildAndStart();
  }
  ~ScriptedGateway() override {
    server_->Shutdown(std::chrono::system_clock::now() + std::chrono::milliseconds(100));
  }

  std::string target() const { return "127.0.0.1:" + std::to_string(port_); }
  int port() const { return port_; }

  // The start positions of the calls of Subscribe so far.
  std::vector<std::string> starts() const {
    const std::lock_guard lock(mu_);
    return starts_;
  }
  std::vector<v1::AcknowledgeRequest> acknowledged() const {
    const std::lock_guard lock(mu_);
    return acknowledged_;
  }
  std::vector<v1::ModifyAckDeadlineRequest> modified() const {
    const std::lock_guard lock(mu_);
    return modified_;
  }
  // Waits until an ack_id was prolonged.
  void WaitUntilExtended(const std::string& ack_id) const {
    std::unique_lock lock(mu_);
    changed_.wait(lock, [&] {
      return std::any_of(modified_.begin(), modified_.end(), [&](const auto& request) {
        return request.has_extend_by() && Names(request, ack_id);
      });
    });
  }
  // Waits until it was handed back.
  void WaitUntilReleased(const std::string& ack_id) const {
    std::unique_lock lock(mu_);
    changed_.wait(lock, [&] {
      return std::any_of(modified_.begin(), modified_.end(), [&](const auto& request) {
        return request.has_release() && Names(request, ack_id);
      });
    });
  }
  void WaitUntilLeft(const std::string& stream_id) const {
    std::unique_lock lock(mu_);
    changed_.wait(lock, [&] {
      return std::any_of(modified_.begin(), modified_.end(), [&](const auto& request) {
        return request.has_release() && request.stream_id() == stream_id;
      });
    });
  }
  // Waits until a call asked to acknowledge it.
  void WaitUntilAcknowledged(const std::string& ack_id) const {
    std::unique_lock lock(mu_);
    changed_.wait(lock, [&] {
      return std::any_of(acknowledged_.begin(), acknowledged_.end(),
                         [&](const auto& request) { return Names(request, ack_id); });
    });
  }

  grpc::Status Subscribe(grpc::ServerContext* context, const v1::SubscribeRequest* request,
                         Writer* writer) override {
    size_t call = 0;
    {
      const std::lock_guard lock(mu_);
      call = starts_.size();
      const auto& start = request->start_position();
      starts_.push_back(request->has_subscription() ? request->subscription()
                        : start.has_after_cursor()  ? start.after_cursor()
                                                    : v1::Boundary_Name(start.boundary()));
    }
    return call < scripts_.size() ? scripts_[call](context, *request, writer) : StayOpen(context);
  }

  grpc::Status Acknowledge(grpc::ServerContext* context, const v1::AcknowledgeRequest* request,
                           v1::AcknowledgeResponse* response) override {
    int call = 0;
    {
      const std::lock_guard lock(mu_);
      call = static_cast<int>(acknowledged_.size());
      acknowledged_.push_back(*request);
      changed_.notify_all();
    }
    return acknowledges_ ? acknowledges_(context, call, *request, response) : grpc::Status::OK;
  }

  grpc::Status ModifyAckDeadline(grpc::ServerContext*, const v1::ModifyAckDeadlineRequest* request,
                                 v1::ModifyAckDeadlineResponse*) override {
    const std::lock_guard lock(mu_);
    modified_.push_back(*request);
    changed_.notify_all();
    return grpc::Status::OK;
  }

 private:
  template <typename Request>
  static bool Names(const Request& request, const std::string& ack_id) {
    const auto& ids = request.ack_ids();
    return std::find(ids.begin(), ids.end(), ack_id) != ids.end();
  }

  const std::vector<Script> scripts_;
  const Acknowledges acknowledges_;
  int port_ = 0;
  std::unique_ptr<grpc::Server> server_;
  mutable std::mutex mu_;
  mutable std::condition_variable changed_;
  std::vector<std::string> starts_;
  std::vector<v1::AcknowledgeRequest> acknowledged_;
  std::vector<v1::ModifyAckDeadlineRequest> modified_;
};

inline SubscriberOptions Options(const std::string& target) {
  return {.target = target,
          .min_backoff = std::chrono::milliseconds(1),
          .max_backoff = std::chrono::milliseconds(10)};
}

// The first frame of a named subscription.
inline v1::SubscribeResponse Begun(int ack_deadline_millis = 60'000) {
  return Started("c0", 60'000, ack_deadline_millis);
}

// What was acknowledged.
inline std::vector<std::string> AckIds(const ScriptedGateway& gateway) {
  std::vector<std::string> ids;
  for (const auto& request : gateway.acknowledged()) {
    ids.insert(ids.end(), request.ack_ids().begin(), request.ack_ids().end());
  }
  return ids;
}

// What else became of deliveries, but for extensions, as "a b after 5" or "c dead: reason".
inline std::vector<std::string> Modifications(const ScriptedGateway& gateway) {
  std::vector<std::string> all;
  for (const auto& request : gateway.modified()) {
    if (request.has_extend_by()) continue;
    std::string text;
    for (const std::string& id : request.ack_ids()) text += id + " ";
    all.push_back(request.has_retry()     ? text + "retry"
                  : request.has_release() ? text + "release"
                  : request.has_redeliver_after()
                      ? text + "after " +
                            std::to_string(google::protobuf::util::TimeUtil::DurationToMilliseconds(
                                request.redeliver_after()))
                      : text + "dead: " + request.dead_letter_reason());
  }
  return all;
}

// Runs on a named subscription until the handler has had `last`.
inline absl::Status RunUntil(const std::string& last, SubscriberOptions options,
                             const Subscriber::DeliveryHandler& handler) {
  Subscriber subscriber(std::move(options));
  return subscriber.Run("billing", [&](const v1::Delivery& delivery) {
    if (delivery.event().cursor() == last) subscriber.Stop();
    return handler(delivery);
  });
}

}  // namespace mmsmo
