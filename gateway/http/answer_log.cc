#include "gateway/http/answer_log.h"

#include "gateway/base/log.h"
#include "gateway/ingest/outcome.h"

namespace mmsmo::http {

AnswerLog::AnswerLog(std::string server, Metrics& metrics)
    : server_(std::move(server)), metrics_(metrics), ok_(CounterOf({200, ""})) {}

prometheus::Counter& AnswerLog::CounterOf(const Kind& kind) {
  return metrics_.Counter(
      "mmsmo_http_answers_total", "Answers by status and reason.",
      {{"server", server_}, {"status", std::to_string(kind.first)}, {"reason", kind.second}});
}

void AnswerLog::Count(const Answer& answer) {
  if (answer.status == 200) return ok_.Increment();
  Kind kind(answer.status, ingest::ReasonLabel(answer.reason));
  MutexLock lock(&mu_);
  Refusals& refusals = refusals_[kind];
  if (refusals.counter == nullptr) refusals.counter = &CounterOf(kind);
  refusals.counter->Increment();
  ++refusals.untold;
  refusals.note = answer.note;
}

void AnswerLog::Tell(Clock::time_point now) {
  MutexLock lock(&mu_);
  for (auto& [kind, refusals] : refusals_) {
    if (refusals.untold == 0 || now < refusals.tell_at) continue;
    Log()->warn(
        "{}: {} answered {}{}{}{}{}", server_,
        refusals.untold == 1 ? "a request was" : fmt::format("{} requests were", refusals.untold),
        kind.first, kind.second.empty() ? "" : " ", kind.second,
        refusals.note.empty() ? "" : "; of the last one ", refusals.note);
    refusals.untold = 0;
    refusals.tell_at = now + kTellEvery;
  }
}

}  // namespace mmsmo::http
