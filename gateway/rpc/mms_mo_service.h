// mmsmo.v1.MmsMoService.

#pragma once

#include <chrono>
#include <memory>
#include <optional>
#include <string_view>
#include <unordered_set>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "gateway/base/clock.h"
#include "gateway/base/metrics.h"
#include "gateway/broker/broker.h"
#include "gateway/rpc/call_limit.h"
#include "gateway/rpc/subscribe_stream.h"
#include "gateway/rpc/unary_call.h"
#include "mmsmo/v1/mms_mo_service.grpc.pb.h"
#include "mutex.h"

namespace mmsmo::rpc {

// Subscribe writes bytes; the unary calls are typed.
using MmsMoServiceBase = v1::MmsMoService::WithRawCallbackMethod_Subscribe<
    v1::MmsMoService::WithCallbackMethod_Acknowledge<
        v1::MmsMoService::WithCallbackMethod_ModifyAckDeadline<
            v1::MmsMoService::WithCallbackMethod_GetEvent<
                v1::MmsMoService::WithCallbackMethod_ListEvents<
                    v1::MmsMoService::WithCallbackMethod_GetRawPostback<
                        v1::MmsMoService::Service>>>>>>;

// Thread-safe.
class MmsMoService final : public MmsMoServiceBase {
 public:
  static constexpr int kDefaultBatchSize = 256;
  static constexpr int kMaxBatchSize = 10'000;
  static constexpr int kMaxOutstandingMessages = 1'000'000;
  static constexpr int kMaxAckIds = 1'000;
  static constexpr std::chrono::milliseconds kMinHeartbeat{100};
  static constexpr std::chrono::milliseconds kMaxHeartbeat{3'600'000};

  struct Options {
    std::chrono::milliseconds heartbeat_interval{15'000};  // what a request that asks for none gets
    UnaryLimits unary;
    CallLimit* streams = nullptr;
    ByteBudget* opening_bytes = nullptr;  // of the requests of streams that are not open yet
    ByteBudget* frame_bytes = nullptr;    // of all streams
  };

  // All, those of the options too, must outlive the service.
  MmsMoService(const Options& options, broker::Broker* broker, SubscribeStream::Threads threads,
               const Clock& clock, Metrics& metrics);

  // Drains every stream, and every one that still comes.
  void Drain(std::chrono::steady_clock::time_point close_at);
  // Returns when there are no more streams, or at the deadline.
  void WaitForStreams(std::chrono::steady_clock::time_point deadline);

  grpc::ServerWriteReactor<grpc::ByteBuffer>* Subscribe(grpc::CallbackServerContext* context,
                                                        const grpc::ByteBuffer* request) override;
  grpc::ServerUnaryReactor* Acknowledge(grpc::CallbackServerContext* context,
                                        const v1::AcknowledgeRequest* request,
                                        v1::AcknowledgeResponse* response) override;
  grpc::ServerUnaryReactor* ModifyAckDeadline(grpc::CallbackServerContext* context,
                                              const v1::ModifyAckDeadlineRequest* request,
                                              v1::ModifyAckDeadlineResponse* response) override;
  grpc::ServerUnaryReactor* GetEvent(grpc::CallbackServerContext* context,
                                     const v1::GetEventRequest* request,
                                     v1::GetEventResponse* response) override;
  grpc::ServerUnaryReactor* ListEvents(grpc::CallbackServerContext* context,
                                       const v1::ListEventsRequest* request,
                                       v1::ListEventsResponse* response) override;
  grpc::ServerUnaryReactor* GetRawPostback(grpc::CallbackServerContext* context,
                                           const v1::GetRawPostbackRequest* request,
                                           v1::GetRawPostbackResponse* response) override;

 private:
  absl::StatusOr<SubscribeStream::Settings> SettingsFor(const v1::SubscribeRequest& request);
  // A stream that is being opened, which may be over by then.
  struct Opening {
    OpenWork::Item work;
    ByteBudget::Part held;
    std::shared_ptr<SubscribeStream> stream;
  };
  // Opens what the request asks for.
  void OpenSource(const v1::SubscribeRequest& request, Opening opening);
  static Question QuestionOf(const v1::SubscribeRequest& request);
  // NotFound where the caller may not read the event at a cursor; errors as Broker::GetEvent.
  absl::Status CheckReadable(const Caller& caller, std::string_view cursor);
  // Starts the change of a request's ack_ids, which answers the call.
  template <typename Request, typename Response>
  void Change(const Request* request, const broker::AckChange& change, Response* response,
              const std::shared_ptr<PendingCall>& call);
  void Register(const std::shared_ptr<SubscribeStream>& stream);
  void Unregister(SubscribeStream* stream);
  std::vector<prometheus::MetricFamily> SampleStreams();

  const Options options_;
  broker::Broker* const broker_;
  const SubscribeStream::Threads threads_;
  const Clock& clock_;
  prometheus::Counter& deliveries_;
  prometheus::Counter& streams_total_;
  prometheus::Gauge& streams_now_;

  Mutex mu_;
  CondVar stream_ended_;
  std::unordered_set<SubscribeStream*> streams_ ABSL_GUARDED_BY(mu_);
  std::optional<std::chrono::steady_clock::time_point> close_at_ ABSL_GUARDED_BY(mu_);
};

}  // namespace mmsmo::rpc
