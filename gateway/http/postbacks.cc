#include "gateway/http/postbacks.h"

#include <string>
#include <utility>

#include "fmt/format.h"

namespace mmsmo::http {
namespace {

using ingest::Outcome;

Answer Accepted(const Outcome& outcome) {
  return {.status = 200,
          .body = fmt::format(R"({{"outcome":"{}","cursor":"{}"}})", Name(outcome.kind),
                              outcome.cursor)};
}

Answer Quarantined(const Outcome& outcome) {
  Answer answer{.status = 200};
  answer.body = fmt::format(R"({{"outcome":"quarantined","reason":"{}","detail":)", outcome.reason);
  AppendJsonString(outcome.detail, &answer.body);
  answer.body += fmt::format(R"(,"quarantineId":"{}"}})", outcome.quarantine_id);
  return answer;
}

}  // namespace

Answer AnswerFor(const Outcome& outcome) {
  switch (outcome.kind) {
    case Outcome::Kind::kAccepted:
    case Outcome::Kind::kDuplicate:
      return Accepted(outcome);
    case Outcome::Kind::kQuarantined:
      return Quarantined(outcome);
    case Outcome::Kind::kRejected:
    case Outcome::Kind::kUnavailable:
      break;
  }
  return ProblemAnswer({.status = outcome.http_status,
                        .outcome = std::string(Name(outcome.kind)),
                        .reason = outcome.reason,
                        .detail = outcome.detail,
                        .quarantine_id = outcome.quarantine_id});
}

Route PostbackRoute(ingest::Ingest* ingest, const std::atomic<bool>* draining,
                    size_t max_body_bytes, Post post) {
  const auto lane = std::make_shared<ingest::Lane>(ingest, std::move(post));
  Route route{.method = "POST"};
  route.handle = [ingest, draining, lane, max_body_bytes](Request request,
                                                          Respond respond) mutable {
    if (draining->load(std::memory_order_relaxed)) {
      const Outcome outcome =
          ingest::Unavailable("draining", "this gateway is shutting down; send it again");
      ingest->Count(outcome);
      return respond(AnswerFor(outcome));
    }
    lane->Submit({.body = std::move(request.body),
                  .content_type = std::move(request.content_type),
                  .content_encoding = std::move(request.content_encoding),
                  .trace_parent = std::move(request.trace_parent),
                  .max_bytes = max_body_bytes,
                  .held = std::move(request.held)},
                 [respond = std::move(respond)](const Outcome& outcome) mutable {
                   respond(AnswerFor(outcome));
                 });
  };
  route.refuse_body = [ingest, max_body_bytes](BodyRefusal why) {
    const Outcome outcome =
        why == BodyRefusal::kOverloaded
            ? ingest::Unavailable("overloaded", "too many postbacks are in flight; send it again")
            : Outcome{.kind = Outcome::Kind::kRejected,
                      .http_status = 413,
                      .reason = "body_too_large",
                      .detail = fmt::format("the body is over {} bytes", max_body_bytes)};
    ingest->Count(outcome);
    return AnswerFor(outcome);
  };
  // Where it becomes durable after all, it is counted as that, too.
  route.answer_late = [ingest] {
    const Outcome outcome = ingest::Unavailable(
        "not_durable", "not durable in time; the postback may still have been kept");
    ingest->Count(outcome);
    return AnswerFor(outcome);
  };
  return route;
}

}  // namespace mmsmo::http
