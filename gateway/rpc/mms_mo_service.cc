#include "gateway/rpc/mms_mo_service.h"

#include <grpcpp/impl/codegen/proto_utils.h>

#include <algorithm>
#include <random>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "gateway/base/status.h"
#include "gateway/broker/filter.h"
#include "gateway/broker/page.h"
#include "gateway/broker/proto_time.h"
#include "gateway/broker/request_times.h"
#include "gateway/broker/start_position.h"
#include "gateway/rpc/frame.h"
#include "gateway/rpc/pages.h"
#include "gateway/rpc/refused_stream.h"
#include "gateway/rpc/status.h"

namespace mmsmo::rpc {
namespace {

using access::Permission;

constexpr std::string_view kStart = "start_position";
// All of a start position that only the broker can judge.
constexpr std::string_view kStartCursor = "start_position.after_cursor";
constexpr size_t kMaxClientId = 256;
constexpr size_t kMaxReason = 1024;
constexpr std::chrono::seconds kMaxExtension{3'600};
constexpr std::chrono::seconds kMaxDelay{7 * 86'400};
// A page looks for so long at most: a filter that lets little through gives short pages, as AIP-158
// allows.
constexpr std::chrono::milliseconds kMaxPageTime{500};

// 128 bits from the kernel: whoever knows it may take over what the stream has in hand.
std::string RandomId() {
  std::random_device random;
  return fmt::format("{:08x}{:08x}{:08x}{:08x}", random(), random(), random(), random());
}

using FailedStream = RefusedStream<grpc::ByteBuffer>;

absl::StatusOr<std::chrono::milliseconds> Heartbeat(const google::protobuf::Duration& wanted,
                                                    std::chrono::milliseconds otherwise) {
  if (wanted.seconds() == 0 && wanted.nanos() == 0) return otherwise;
  const auto limit =
      std::chrono::duration_cast<std::chrono::seconds>(MmsMoService::kMaxHeartbeat).count();
  const bool in_range = wanted.seconds() >= 0 && wanted.seconds() <= limit && wanted.nanos() >= 0;
  const std::chrono::milliseconds interval(
      in_range ? wanted.seconds() * 1000 + wanted.nanos() / 1'000'000 : -1);
  if (interval < MmsMoService::kMinHeartbeat || interval > MmsMoService::kMaxHeartbeat) {
    return InvalidArgument(
        "heartbeat_interval: it must be from 0.1 s to 3600 s, or 0 for the server's default");
  }
  return interval;
}

absl::StatusOr<int64_t> DelayMicros(std::string_view field,
                                    const google::protobuf::Duration& duration,
                                    std::chrono::seconds at_most) {
  if (duration.seconds() < 0 || duration.seconds() > at_most.count() || duration.nanos() < 0 ||
      duration.nanos() > 999'999'999) {
    return InvalidArgument("{}: it must be from 0 s to {} s", field, at_most.count());
  }
  return broker::MicrosOf(duration);
}

// What only goes with leaving a stream, and what that goes without.
absl::Status ValidateLeave(const v1::ModifyAckDeadlineRequest& request) {
  if (request.stream_id().empty()) {
    if (request.received_frames() == 0) return absl::OkStatus();
    return InvalidArgument("received_frames: only with stream_id");
  }
  if (!request.has_release()) return InvalidArgument("stream_id: only with release");
  if (!request.ack_ids().empty()) return InvalidArgument("ack_ids: not with stream_id");
  if (request.received_frames() < 0) return InvalidArgument("received_frames: it is below 0");
  return absl::OkStatus();
}

absl::StatusOr<broker::AckChange> ChangeOf(const v1::ModifyAckDeadlineRequest& request) {
  if (auto status = ValidateLeave(request); !status.ok()) return status;
  if (auto status = broker::ValidateTimes("", request); !status.ok()) return status;
  using Kind = broker::AckChange::Kind;
  switch (request.change_case()) {
    case v1::ModifyAckDeadlineRequest::kExtendBy: {
      auto micros = DelayMicros("extend_by", request.extend_by(), kMaxExtension);
      if (!micros.ok()) return micros.status();
      return broker::AckChange{.kind = Kind::kExtend, .micros = *micros};
    }
    case v1::ModifyAckDeadlineRequest::kRedeliverAfter: {
      auto micros = DelayMicros("redeliver_after", request.redeliver_after(), kMaxDelay);
      if (!micros.ok()) return micros.status();
      return broker::AckChange{.kind = Kind::kRedeliver, .micros = *micros};
    }
    case v1::ModifyAckDeadlineRequest::kDeadLetterReason:
      if (request.dead_letter_reason().size() > kMaxReason) {
        return InvalidArgument("dead_letter_reason: it has {} bytes, at most {} are allowed",
                               request.dead_letter_reason().size(), kMaxReason);
      }
      return broker::AckChange{.kind = Kind::kDeadLetter, .reason = request.dead_letter_reason()};
    case v1::ModifyAckDeadlineRequest::kRetry:
      return broker::AckChange{.kind = Kind::kRetry};
    case v1::ModifyAckDeadlineRequest::kRelease:
      return broker::AckChange{.kind = Kind::kRelease};
    case v1::ModifyAckDeadlineRequest::CHANGE_NOT_SET:
      break;
  }
  return InvalidArgument(
      "change: one of extend_by, redeliver_after, dead_letter_reason, retry and release must be "
      "set");
}

// What a page is made of.
struct PageRequest {
  int size = 0;
  v1::StartPosition start;
};

absl::StatusOr<PageRequest> PageRequestOf(const v1::ListEventsRequest& request) {
  if (auto status = broker::ValidateTimes("", request); !status.ok()) return status;
  const auto size = PageSize(request.page_size());
  if (!size.ok()) return size.status();
  auto token = PageToken(request);
  if (!token.ok()) return token.status();
  PageRequest page{.size = *size, .start = request.start_position()};
  if (!token->empty()) {
    page.start.set_after_cursor(*std::move(token));
  } else if (page.start.position_case() == v1::StartPosition::POSITION_NOT_SET) {
    page.start.set_boundary(v1::BOUNDARY_EARLIEST);
  }
  for (const auto& status : {broker::ValidateStart(kStart, page.start),
                             broker::EventFilter::Validate("filter", request.filter())}) {
    if (!status.ok()) return status;
  }
  return page;
}

// A page is what a feed gives; its token is where the feed got to.
absl::Status FillPage(const v1::ListEventsRequest& request, int page_size, broker::Feed& feed,
                      v1::ListEventsResponse* response) {
  const auto until = std::chrono::steady_clock::now() + kMaxPageTime;
  while (true) {
    auto batch = feed.Take({.max_events = page_size, .max_bytes = broker::kMaxPageBytes});
    if (!batch.ok()) return batch.status();
    v1::DeliveryBatch deliveries;
    if (!deliveries.ParseFromString(batch->deliveries))
      return DataLoss("an event of the page cannot be read");
    for (auto& delivery : *deliveries.mutable_deliveries())
      response->add_events()->Swap(delivery.mutable_event());
    const bool at_tail = batch->left == broker::Batch::Left::kNothing;
    if (!at_tail) response->set_next_page_token(BindPageToken(batch->cursor, request));
    if (batch->count > 0 || at_tail || std::chrono::steady_clock::now() >= until)
      return absl::OkStatus();
  }
}

// What is said of an event that the caller may not read: whether there is one is not.
absl::Status NotReadable() { return NotFound("cursor: there is no event that you may read"); }

Question ToRead(const v1::Filter& filter) {
  Question question{.permission = Permission::kRead};
  if (!filter.endpoints().empty())
    question.facts.endpoints.emplace(filter.endpoints().begin(), filter.endpoints().end());
  return question;
}

template <typename Request>
Question ToConsume(const Request& request) {
  return {.permission = Permission::kConsume, .facts = {.subscription = request.subscription()}};
}

bool IsAscii(std::string_view header) {
  return std::all_of(header.begin(), header.end(),
                     [](char c) { return c == '\t' || (c >= ' ' && c <= '~'); });
}

}  // namespace

MmsMoService::MmsMoService(const Options& options, broker::Broker* broker,
                           SubscribeStream::Threads threads, const Clock& clock, Metrics& metrics)
    : options_(options),
      broker_(broker),
      threads_(threads),
      clock_(clock),
      deliveries_(metrics.Counter("mmsmo_deliveries_total", "Events handed to streams.")),
      streams_total_(metrics.Counter("mmsmo_streams_total", "Subscribe calls that began.")),
      streams_now_(metrics.Gauge("mmsmo_streams", "Subscribe calls under way.")) {
  metrics.AddSampler([this] { return SampleStreams(); });
}

void MmsMoService::Drain(std::chrono::steady_clock::time_point close_at) {
  MutexLock lock(&mu_);
  close_at_ = close_at;
  for (SubscribeStream* stream : streams_) stream->Drain(close_at);
}

void MmsMoService::WaitForStreams(std::chrono::steady_clock::time_point deadline) {
  MutexLock lock(&mu_);
  while (!streams_.empty() && std::chrono::steady_clock::now() < deadline) {
    stream_ended_.WaitUntil(&mu_, deadline);
  }
}

absl::StatusOr<SubscribeStream::Settings> MmsMoService::SettingsFor(
    const v1::SubscribeRequest& request) {
  if (auto status = broker::ValidateTimes("", request); !status.ok()) return status;
  if (request.source_case() == v1::SubscribeRequest::SOURCE_NOT_SET) {
    return InvalidArgument(
        "source: one of subscription and start_position must be set; there is no default start");
  }
  if (request.source_case() == v1::SubscribeRequest::kSubscription) {
    if (request.has_filter())
      return InvalidArgument(
          "filter: a subscription has its own; it goes with start_position only");
  } else {
    for (const auto& status : {broker::ValidateStart(kStart, request.start_position()),
                               broker::EventFilter::Validate("filter", request.filter())}) {
      if (!status.ok()) return status;
    }
  }
  if (request.max_batch_size() < 0 || request.max_batch_size() > kMaxBatchSize) {
    return InvalidArgument("max_batch_size: {} is not in 0..{}", request.max_batch_size(),
                           kMaxBatchSize);
  }
  if (request.max_outstanding_messages() < 0 ||
      request.max_outstanding_messages() > kMaxOutstandingMessages) {
    return InvalidArgument("max_outstanding_messages: {} is not in 0..{}",
                           request.max_outstanding_messages(), kMaxOutstandingMessages);
  }
  if (request.max_outstanding_bytes() < 0) {
    return InvalidArgument("max_outstanding_bytes: {} is negative",
                           request.max_outstanding_bytes());
  }
  if (request.client_id().size() > kMaxClientId) {
    return InvalidArgument("client_id: it has {} bytes, at most {} are allowed",
                           request.client_id().size(), kMaxClientId);
  }
  if (request.received_frames() < 0) {
    return InvalidArgument("received_frames: {} is negative", request.received_frames());
  }
  if (request.source_case() != v1::SubscribeRequest::kSubscription &&
      !request.resume_stream_id().empty()) {
    return InvalidArgument("resume_stream_id: it goes with a subscription only");
  }
  auto heartbeat = Heartbeat(request.heartbeat_interval(), options_.heartbeat_interval);
  if (!heartbeat.ok()) return heartbeat.status();
  return SubscribeStream::Settings{.stream_id = RandomId(),
                                   .client_id = request.client_id(),
                                   .max_batch_size = request.max_batch_size() == 0
                                                         ? kDefaultBatchSize
                                                         : request.max_batch_size(),
                                   .heartbeat_interval = *heartbeat,
                                   .earliest_cursor = broker_->EarliestCursor(),
                                   .frame_bytes = options_.frame_bytes};
}

grpc::ServerWriteReactor<grpc::ByteBuffer>* MmsMoService::Subscribe(
    grpc::CallbackServerContext* context, const grpc::ByteBuffer* bytes) {
  v1::SubscribeRequest request;
  grpc::ByteBuffer copy(*bytes);  // of the references only
  if (!grpc::SerializationTraits<v1::SubscribeRequest>::Deserialize(&copy, &request).ok()) {
    return FailedStream::Begin(InvalidArgument("the request is not a mmsmo.v1.SubscribeRequest"));
  }
  Admission admission = options_.unary.gate->Admit(*context, QuestionOf(request));
  if (!admission.ok()) return FailedStream::Begin(options_.unary.gate, admission);
  auto settings = SettingsFor(request);
  if (!settings.ok()) return FailedStream::Begin(settings.status());
  Opening opening{.work = OpenWork::Item(options_.unary.work),
                  .held = ByteBudget::Part(options_.opening_bytes),
                  .stream = nullptr};
  if (!opening.held.Resize(CostOf(request))) return FailedStream::Begin(TooManyBytes());
  if (auto status = options_.streams->Begin(); !status.ok()) return FailedStream::Begin(status);
  if (request.source_case() == v1::SubscribeRequest::kStartPosition)
    *request.mutable_filter() = admission.caller.Within(request.filter());
  const auto stream =
      SubscribeStream::Start(*std::move(settings), context, threads_, clock_,
                             {.delivered = [this](int events) { deliveries_.Increment(events); },
                              .done =
                                  [this](SubscribeStream* done) {
                                    options_.unary.gate->Forget(done->kept());
                                    Unregister(done);
                                    options_.streams->End();
                                  }});
  Register(stream);
  // Without endpoints it now reads all there are.
  Question kept = QuestionOf(request);
  if (!kept.facts.subscription && !kept.facts.endpoints) kept.facts.endpoints.emplace();
  stream->set_kept(
      options_.unary.gate->Keep(*context, std::move(admission.caller), kept,
                                [weak = std::weak_ptr(stream)](const absl::Status& status) {
                                  if (const auto refused = weak.lock())
                                    refused->End(ToGrpc(status));
                                }));
  opening.stream = stream;
  OpenSource(request, std::move(opening));
  return stream.get();
}

// A filter without endpoints is one of all that the caller may read.
Question MmsMoService::QuestionOf(const v1::SubscribeRequest& request) {
  if (request.source_case() == v1::SubscribeRequest::kSubscription) return ToConsume(request);
  return ToRead(request.filter());
}

void MmsMoService::OpenSource(const v1::SubscribeRequest& request, Opening opening) {
  if (request.source_case() == v1::SubscribeRequest::kStartPosition) {
    return broker_->OpenFeed(
        request.start_position(), request.filter(),
        [opening = std::move(opening)](absl::StatusOr<std::unique_ptr<broker::Feed>> feed) {
          if (!feed.ok()) return opening.stream->Open(InField(kStartCursor, feed.status()));
          opening.stream->Open(SubscribeStream::Source{.feed = *std::move(feed)});
        });
  }
  const std::shared_ptr<SubscribeStream> stream = opening.stream;
  broker_->subscriptions().OpenStream(
      request.subscription(),
      {.max_outstanding_messages = request.max_outstanding_messages(),
       .max_outstanding_bytes = request.max_outstanding_bytes(),
       .stream_id = stream->settings().stream_id,
       .resume_stream_id = request.resume_stream_id(),
       .received_frames = request.received_frames(),
       .superseded =
           [weak = std::weak_ptr(stream)] {
             const grpc::Status why(grpc::StatusCode::ABORTED,
                                    "another stream has resumed this one");
             if (const auto superseded = weak.lock()) superseded->End(why);
           }},
      [opening = std::move(opening)](absl::StatusOr<broker::SubscriptionStream> opened) {
        if (!opened.ok()) return opening.stream->Open(opened.status());
        opening.stream->Open(
            SubscribeStream::Source{.feed = std::move(opened->feed),
                                    .ack_deadline_micros = opened->ack_deadline_micros,
                                    .max_outstanding_messages = opened->max_outstanding_messages,
                                    .resumed = opened->resumed});
      });
}

void MmsMoService::Register(const std::shared_ptr<SubscribeStream>& stream) {
  streams_total_.Increment();
  MutexLock lock(&mu_);
  streams_.insert(stream.get());
  streams_now_.Set(static_cast<double>(streams_.size()));
  if (close_at_) stream->Drain(*close_at_);
}

void MmsMoService::Unregister(SubscribeStream* stream) {
  MutexLock lock(&mu_);
  streams_.erase(stream);
  stream_ended_.SignalAll();
  streams_now_.Set(static_cast<double>(streams_.size()));
}

std::vector<prometheus::MetricFamily> MmsMoService::SampleStreams() {
  int64_t largest = 0;
  int most = 0;
  {
    MutexLock lock(&mu_);
    std::unordered_map<std::string_view, int> of_peers;
    for (const SubscribeStream* stream : streams_) {
      largest = std::max(largest, stream->Lag());
      most = std::max(most, ++of_peers[stream->peer()]);
    }
  }
  return {Metrics::GaugeFamily("mmsmo_stream_lag_events",
                               "Events that the stream furthest behind has not taken yet, before "
                               "filtering.",
                               static_cast<double>(largest)),
          Metrics::GaugeFamily("mmsmo_grpc_connection_streams",
                               "Subscribe calls of the connection that has most, beside "
                               "max-streams-per-connection; unix sockets count as one connection.",
                               most)};
}

template <typename Request, typename Response>
void MmsMoService::Change(const Request* request, const broker::AckChange& change,
                          Response* response, const std::shared_ptr<PendingCall>& call) {
  if (request->ack_ids_size() > kMaxAckIds) {
    return call->Answer(InvalidArgument("ack_ids: {} values, at most {} are allowed",
                                        request->ack_ids_size(), kMaxAckIds));
  }
  using Failures = std::vector<broker::AckFailure>;
  broker_->subscriptions().Change(
      request->subscription(), {request->ack_ids().begin(), request->ack_ids().end()}, change,
      [request, response, call](const absl::StatusOr<Failures>& failures) {
        call->Answer([&] {
          if (!failures.ok()) return failures.status();
          for (const auto& [index, reason] : *failures) {
            v1::AckFailure& failure = *response->add_failures();
            failure.set_ack_id(request->ack_ids(static_cast<int>(index)));
            failure.set_reason(reason);
          }
          return absl::OkStatus();
        });
      });
}

grpc::ServerUnaryReactor* MmsMoService::Acknowledge(grpc::CallbackServerContext* context,
                                                    const v1::AcknowledgeRequest* request,
                                                    v1::AcknowledgeResponse* response) {
  UnaryCall* const call = UnaryCall::Begin(options_.unary, *context, *request, ToConsume(*request));
  if (call->refused()) return call;
  Change(request, {.kind = broker::AckChange::Kind::kAcknowledge}, response, call->pending());
  return call;
}

grpc::ServerUnaryReactor* MmsMoService::ModifyAckDeadline(
    grpc::CallbackServerContext* context, const v1::ModifyAckDeadlineRequest* request,
    v1::ModifyAckDeadlineResponse* response) {
  // These are answered at once, whatever other calls wait for.
  const bool waits_for_nothing = request->has_extend_by() || !request->stream_id().empty();
  UnaryCall* const call = UnaryCall::Begin(
      waits_for_nothing ? UnaryLimits{.gate = options_.unary.gate, .work = options_.unary.work}
                        : options_.unary,
      *context, *request, ToConsume(*request));
  if (call->refused()) return call;
  auto change = ChangeOf(*request);
  if (!change.ok()) {
    call->pending()->Answer(change.status());
  } else if (request->stream_id().empty()) {
    Change(request, *change, response, call->pending());
  } else {
    broker_->subscriptions().Leave(
        request->subscription(), request->stream_id(), request->received_frames(),
        [pending = call->pending()](const absl::Status& status) { pending->Answer(status); });
  }
  return call;
}

absl::Status MmsMoService::CheckReadable(const Caller& caller, std::string_view cursor) {
  if (caller.endpoints() == nullptr) return absl::OkStatus();
  const auto bytes = broker_->GetEvent(cursor);
  if (!bytes.ok()) return bytes.status();
  v1::Event event;
  if (!event.ParseFromString(*bytes)) return DataLoss("the event cannot be read");
  return caller.SeesEndpoint(event.endpoint()) ? absl::OkStatus() : NotReadable();
}

grpc::ServerUnaryReactor* MmsMoService::GetEvent(grpc::CallbackServerContext* context,
                                                 const v1::GetEventRequest* request,
                                                 v1::GetEventResponse* response) {
  UnaryCall* const call =
      UnaryCall::Begin(options_.unary, *context, *request, {.permission = Permission::kRead});
  if (call->refused()) return call;
  threads_.store->Run([this, request, response, pending = call->pending()] {
    pending->Answer([&] {
      auto event = broker_->GetEvent(request->cursor());
      if (event.ok() && !response->mutable_event()->ParseFromString(*event))
        event = DataLoss("cursor: the event cannot be read");
      if (event.ok() && !pending->caller().SeesEndpoint(response->event().endpoint())) {
        response->Clear();
        event = NotReadable();
      }
      return InField("cursor", event.status());
    });
  });
  return call;
}

grpc::ServerUnaryReactor* MmsMoService::GetRawPostback(grpc::CallbackServerContext* context,
                                                       const v1::GetRawPostbackRequest* request,
                                                       v1::GetRawPostbackResponse* response) {
  UnaryCall* const call =
      UnaryCall::Begin(options_.unary, *context, *request, {.permission = Permission::kRead});
  if (call->refused()) return call;
  threads_.store->Run([this, request, response, pending = call->pending()] {
    pending->Answer([&] {
      if (auto status = CheckReadable(pending->caller(), request->cursor()); !status.ok())
        return InField("cursor", status);
      auto raw = broker_->GetRawPostback(request->cursor());
      if (raw.ok()) {
        response->set_body(std::move(raw->body));
        // A header's bytes need not be UTF-8, a protobuf string's must.
        if (IsAscii(raw->content_type)) response->set_content_type(std::move(raw->content_type));
        if (IsAscii(raw->content_encoding))
          response->set_content_encoding(std::move(raw->content_encoding));
      }
      return InField("cursor", raw.status());
    });
  });
  return call;
}

grpc::ServerUnaryReactor* MmsMoService::ListEvents(grpc::CallbackServerContext* context,
                                                   const v1::ListEventsRequest* request,
                                                   v1::ListEventsResponse* response) {
  UnaryCall* const call =
      UnaryCall::Begin(options_.unary, *context, *request, ToRead(request->filter()));
  if (call->refused()) return call;
  auto page = PageRequestOf(*request);
  if (!page.ok()) {
    call->pending()->Answer(page.status());
    return call;
  }
  broker_->OpenFeed(page->start, call->pending()->caller().Within(request->filter()),
                    [this, request, size = page->size, response, pending = call->pending()](
                        absl::StatusOr<std::unique_ptr<broker::Feed>> feed) {
                      if (!feed.ok()) return pending->Answer(InField(kStartCursor, feed.status()));
                      threads_.lists->Run([=, feed = *std::move(feed)] {
                        pending->Answer([&] { return FillPage(*request, size, *feed, response); });
                      });
                    });
  return call;
}

}  // namespace mmsmo::rpc
