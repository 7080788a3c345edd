// One ReprocessQuarantined call: postbacks go to be judged again batch by batch, and what became of
// them to the client one by one.

#pragma once

#include <grpcpp/support/server_callback.h>

#include <atomic>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "gateway/base/byte_budget.h"
#include "gateway/base/status.h"
#include "gateway/base/thread_pool.h"
#include "gateway/broker/broker.h"
#include "gateway/ingest/reprocess.h"
#include "gateway/rpc/call_limit.h"
#include "gateway/rpc/gate.h"
#include "mmsmo/v1/quarantine_service.pb.h"
#include "mutex.h"

namespace mmsmo::rpc {

// Requests that name ids or all, and with all a reason. InvalidArgument names the field where one
// does not.
template <typename Request>
absl::Status CheckWhich(const Request& request) {
  if (request.ids().empty() != request.all())
    return InvalidArgument("ids, all: one of them must be given, and not both");
  if (!request.all() && !request.reason().empty())
    return InvalidArgument("reason: it goes with all only");
  return absl::OkStatus();
}

// As Quarantine::Get, for what the caller may see: anything else is not there.
absl::StatusOr<v1::GetQuarantinedResponse> GetSeen(const Caller& caller,
                                                   broker::Quarantine& quarantine,
                                                   std::string_view id);
// Leaves those that the caller may see.
void KeepSeen(const Caller& caller,
              google::protobuf::RepeatedPtrField<v1::QuarantinedPostback>* postbacks);

// A chain of steps on the pool, each of which waits for one thing before the next: a write, a batch
// on its way to the disk, or nothing. So no two run at once, and the call does not end while a
// batch is on its way. Only OnCancel comes in between.
class ReprocessStream final : public grpc::ServerWriteReactor<v1::ReprocessQuarantinedResponse>,
                              public std::enable_shared_from_this<ReprocessStream> {
 public:
  struct Limits {
    Gate* gate;
    CallLimit* calls;
    ByteBudget* request_bytes;  // of what is asked for
    ByteBudget* in_flight;      // of the batch that is on its way
  };

  // All must outlive the call, which `caller` may make. It ends with UNAVAILABLE once `draining`.
  // The stream keeps itself alive until OnDone.
  static ReprocessStream* Start(const grpc::CallbackServerContext& context, Caller caller,
                                const v1::ReprocessQuarantinedRequest& request,
                                broker::Broker* broker, ThreadPool* pool, const Limits& limits,
                                const std::atomic<bool>* draining);

  void OnWriteDone(bool ok) override;
  void OnCancel() override { cancelled_ = true; }
  void OnDone() override;

 private:
  ReprocessStream(Caller caller, broker::Broker* broker, ThreadPool* pool, const Limits& limits,
                  const std::atomic<bool>* draining);

  absl::Status Begin(const v1::ReprocessQuarantinedRequest& request);
  // From now on it ends where it has got to.
  void Refuse(const absl::Status& why);
  absl::Status refused() const;
  void RunStep();
  void Meet();
  void Step();
  bool WriteNext();
  void Collect();
  absl::Status CheckGiven();
  absl::Status ListPage();
  void ReprocessBatch();
  void End(const absl::Status& status);

  const Caller caller_;
  const broker::ActPtr act_;
  broker::Broker* const broker_;
  ThreadPool* const pool_;
  const Limits limits_;
  const std::atomic<bool>* const draining_;
  std::shared_ptr<ReprocessStream> self_;  // until OnDone
  std::atomic<bool> cancelled_{false};
  std::atomic<bool> met_{false};
  Gate::Kept kept_ = 0;

  mutable Mutex mu_;
  absl::Status refused_ ABSL_GUARDED_BY(mu_);

  bool counts_ = false;  // against the limit of calls
  ByteBudget::Part held_;
  v1::ReprocessQuarantinedRequest request_;

  // The steps' own.
  bool collected_ = false;
  std::string page_token_;
  std::vector<std::string> ids_;  // those given, or a page of all
  size_t next_id_ = 0;
  ingest::Reprocessed results_;  // of the last batch
  size_t next_result_ = 0;
  v1::ReprocessQuarantinedResponse response_;  // in flight
};

}  // namespace mmsmo::rpc
