#include "gateway/http/endpoint.h"

#include "fmt/format.h"
#include "gateway/ingest/outcome.h"

namespace mmsmo::http {
namespace {

// Whoever tries secrets out waits for each answer; whoever has the right one never does.
constexpr std::chrono::milliseconds kWrongIsLate{500};

}  // namespace

Endpoint::Endpoint(std::shared_ptr<const access::Endpoint> access, const Clock* clock,
                   Metrics& metrics)
    : access_(std::move(access)),
      clock_(clock),
      metrics_(metrics),
      rate_(access_->settings().rate),
      ok_(CounterOf({200, ""})),
      seconds_(metrics.Histogram(
          "mmsmo_endpoint_seconds", "From a request's header to its answer, by endpoint.",
          {2.5e-4, 5e-4, 1e-3, 2.5e-3, 5e-3, 1e-2, 2.5e-2, 0.1, 1, 10}, {{"endpoint", name()}})) {}

prometheus::Counter& Endpoint::CounterOf(const Kind& kind) {
  return metrics_.Counter(
      "mmsmo_endpoint_answers_total", "Answers by endpoint, status and reason.",
      {{"endpoint", name()}, {"status", std::to_string(kind.first)}, {"reason", kind.second}});
}

std::optional<Answer> Endpoint::Admit(const access::Peer& peer, access::FieldOf field,
                                      Request* request) {
  if (const auto check = access_->CheckHeader(peer, field)) return Refusal(*check);
  if (const int64_t micros = rate_.TakeMicros(clock_->MonotonicMicros()); micros > 0) {
    Answer answer = ProblemAnswer({.status = 429,
                                   .outcome = "unavailable",
                                   .reason = "rate_limited",
                                   .detail = "more postbacks a second than this endpoint takes"});
    answer.extra_headers = fmt::format("Retry-After: {}\r\n", (micros + 999'999) / 1'000'000);
    return answer;
  }
  request->signature = access_->SignatureOf(field);
  return std::nullopt;
}

std::optional<Answer> Endpoint::CheckBody(const Request& request) {
  const auto check =
      access_->CheckBody(request.signature, request.body, clock_->NowMicros() / 1000);
  if (!check) return std::nullopt;
  return Refusal(*check);
}

// Says nothing of which check it was, but to the metrics.
Answer Endpoint::Refusal(access::Check check) {
  metrics_
      .Counter("mmsmo_endpoint_refused_total", "Requests that failed a check, by endpoint.",
               {{"endpoint", name()}, {"check", std::string(access::Name(check))}})
      .Increment();
  if (check == access::Check::kAddress || check == access::Check::kCertificate) {
    return ProblemAnswer(
        {.status = 403, .reason = "forbidden", .detail = "this endpoint is for other clients"});
  }
  Answer answer = ProblemAnswer({.status = 401,
                                 .reason = "unauthenticated",
                                 .detail = "the request lacks what this endpoint asks for"});
  answer.extra_headers = fmt::format("WWW-Authenticate: {}\r\n", access_->Challenge());
  answer.late = kWrongIsLate;
  return answer;
}

void Endpoint::Count(const Answer& answer, std::chrono::nanoseconds after) {
  seconds_.Observe(std::chrono::duration<double>(after).count());
  if (answer.status == 200) return ok_.Increment();
  Kind kind(answer.status, ingest::ReasonLabel(answer.reason));
  MutexLock lock(&mu_);
  prometheus::Counter*& counter = others_[kind];
  if (counter == nullptr) counter = &CounterOf(kind);
  counter->Increment();
}

}  // namespace mmsmo::http
