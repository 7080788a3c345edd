#include "gateway/rpc/reprocess_stream.h"

#include <algorithm>
#include <utility>

#include "gateway/base/status.h"
#include "gateway/rpc/status.h"
#include "gateway/rpc/unary_call.h"

namespace mmsmo::rpc {
namespace {

// A step looks at so many ids at most, so that it does not keep streams waiting.
constexpr int kIdsAStep = 1000;
// So many at most become durable with one sync.
constexpr size_t kBatchSize = 32;

absl::Status ShuttingDown() {
  return Unavailable("this gateway is shutting down; what is left can be reprocessed later");
}

}  // namespace

absl::StatusOr<v1::GetQuarantinedResponse> GetSeen(const Caller& caller,
                                                   broker::Quarantine& quarantine,
                                                   std::string_view id) {
  auto quarantined = quarantine.Get(id);
  if (quarantined.ok() && !caller.SeesEndpoint(quarantined->postback().endpoint()))
    return broker::NotInQuarantine(id);
  return quarantined;
}

void KeepSeen(const Caller& caller,
              google::protobuf::RepeatedPtrField<v1::QuarantinedPostback>* postbacks) {
  const auto unseen = [&](const v1::QuarantinedPostback& postback) {
    return !caller.SeesEndpoint(postback.endpoint());
  };
  postbacks->erase(std::remove_if(postbacks->begin(), postbacks->end(), unseen), postbacks->end());
}

ReprocessStream* ReprocessStream::Start(const grpc::CallbackServerContext& context, Caller caller,
                                        const v1::ReprocessQuarantinedRequest& request,
                                        broker::Broker* broker, ThreadPool* pool,
                                        const Limits& limits, const std::atomic<bool>* draining) {
  const std::shared_ptr<ReprocessStream> stream(
      new ReprocessStream(std::move(caller), broker, pool, limits, draining));
  stream->self_ = stream;
  stream->kept_ =
      limits.gate->Keep(context, stream->caller_, {.permission = access::Permission::kQuarantine},
                        [weak = std::weak_ptr(stream)](const absl::Status& why) {
                          if (const auto refused = weak.lock()) refused->Refuse(why);
                        });
  if (auto status = stream->Begin(request); status.ok()) {
    stream->RunStep();
  } else {
    stream->End(status);
  }
  return stream.get();
}

ReprocessStream::ReprocessStream(Caller caller, broker::Broker* broker, ThreadPool* pool,
                                 const Limits& limits, const std::atomic<bool>* draining)
    : caller_(std::move(caller)),
      act_(caller_.ActOf("ReprocessQuarantined")),
      broker_(broker),
      pool_(pool),
      limits_(limits),
      draining_(draining),
      held_(limits.request_bytes) {}

absl::Status ReprocessStream::Begin(const v1::ReprocessQuarantinedRequest& request) {
  if (auto status = limits_.calls->Begin(); !status.ok()) return status;
  counts_ = true;
  if (!held_.Resize(CostOf(request))) return TooManyBytes();
  request_ = request;
  return absl::OkStatus();
}

void ReprocessStream::OnWriteDone(bool ok) {
  if (!ok) cancelled_ = true;
  Meet();
}

void ReprocessStream::OnDone() {
  limits_.gate->Forget(kept_);
  if (counts_) limits_.calls->End();
  const auto last = std::move(self_);  // the step that has finished the call may not have returned
}

void ReprocessStream::Refuse(const absl::Status& why) {
  MutexLock lock(&mu_);
  refused_ = why;
}

absl::Status ReprocessStream::refused() const {
  MutexLock lock(&mu_);
  return refused_;
}

void ReprocessStream::RunStep() {
  pool_->Run([self = shared_from_this()] { self->Step(); });
}

// The step has done its part, or what it waits for has come: the later of the two runs the next
// one. So steps do not overlap even where a write is done before StartWrite returns.
void ReprocessStream::Meet() {
  if (!met_.exchange(true)) return;
  met_ = false;
  RunStep();
}

// What a batch did is told before anything else: it cannot be found out later.
void ReprocessStream::Step() {
  if (cancelled_) return End(MakeStatus(absl::StatusCode::kCancelled, "the call was cancelled"));
  if (WriteNext()) return;
  if (auto why = refused(); !why.ok()) return End(why);
  if (*draining_) return End(ShuttingDown());
  if (next_id_ < ids_.size() && (collected_ || request_.all())) return ReprocessBatch();
  if (!collected_) return Collect();
  End(absl::OkStatus());
}

// Whether it has ended the step.
bool ReprocessStream::WriteNext() {
  while (next_result_ < results_.size()) {
    auto& result = results_[next_result_++];
    if (absl::IsNotFound(result.status())) continue;  // somebody else has removed it meanwhile
    if (result.ok()) {
      response_ = *std::move(result);
      StartWrite(&response_);
      Meet();
    } else {
      End(result.status());
    }
    return true;
  }
  return false;
}

void ReprocessStream::Collect() {
  if (auto status = CheckWhich(request_); !status.ok()) return End(status);
  if (auto status = broker_->Ready(); !status.ok())
    return End(Unavailable("nothing can be made durable now: {}", MessageOf(status)));
  if (auto status = request_.all() ? ListPage() : CheckGiven(); !status.ok()) return End(status);
  RunStep();
}

absl::Status ReprocessStream::ListPage() {
  auto page = broker_->quarantine().List(request_.reason(), kIdsAStep, page_token_);
  if (!page.ok()) return page.status();
  KeepSeen(caller_, page->mutable_postbacks());
  ids_.clear();
  next_id_ = 0;
  for (auto& postback : *page->mutable_postbacks())
    ids_.push_back(std::move(*postback.mutable_id()));
  page_token_ = page->next_page_token();
  collected_ = page_token_.empty();
  return absl::OkStatus();
}

absl::Status ReprocessStream::CheckGiven() {
  const auto begin = request_.ids().begin() + static_cast<ptrdiff_t>(ids_.size());
  const auto end = begin + std::min<ptrdiff_t>(kIdsAStep, request_.ids().end() - begin);
  for (auto id = begin; id != end; ++id) {
    if (auto quarantined = GetSeen(caller_, broker_->quarantine(), *id); !quarantined.ok())
      return quarantined.status();
    ids_.push_back(*id);
  }
  collected_ = end == request_.ids().end();
  return absl::OkStatus();
}

void ReprocessStream::ReprocessBatch() {
  const auto begin = ids_.begin() + static_cast<ptrdiff_t>(next_id_);
  const size_t size = std::min(kBatchSize, ids_.size() - next_id_);
  ingest::Reprocess(std::vector<std::string>(begin, begin + static_cast<ptrdiff_t>(size)),
                    request_.publish_conflicts(), act_, broker_, limits_.in_flight,
                    [this](ingest::Reprocessed results) {
                      next_id_ += results.size();
                      results_ = std::move(results);
                      next_result_ = 0;
                      Meet();
                    });
  Meet();
}

void ReprocessStream::End(const absl::Status& status) { Finish(ToGrpc(status)); }

}  // namespace mmsmo::rpc
