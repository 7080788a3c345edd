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

Outcome TooLarge(size_t max_bytes) {
  return {.kind = Outcome::Kind::kRejected,
          .http_status = 413,
          .reason = "body_too_large",
          .detail = fmt::format("the body is over {} bytes", max_bytes)};
}

Handler HandlerOf(const PostbackContext& context, const std::shared_ptr<Endpoint>& endpoint,
                  const std::shared_ptr<ingest::Lane>& lane, size_t max_bytes) {
  return [context, endpoint, lane, max_bytes](Request request, Respond respond) {
    if (context.draining->load(std::memory_order_relaxed)) {
      const Outcome outcome =
          ingest::Unavailable("draining", "this gateway is shutting down; send it again");
      context.ingest->Count(outcome);
      return respond(AnswerFor(outcome));
    }
    if (auto refusal = endpoint->CheckBody(request)) return respond(*std::move(refusal));
    lane->Submit({.endpoint = endpoint->name(),
                  .body = std::move(request.body),
                  .content_type = std::move(request.content_type),
                  .content_encoding = std::move(request.content_encoding),
                  .trace_parent = std::move(request.trace_parent),
                  .verified_by = endpoint->access().verified_by(),
                  .max_bytes = max_bytes,
                  .held = std::move(request.held)},
                 [respond = std::move(respond)](const Outcome& outcome) mutable {
                   respond(AnswerFor(outcome));
                 });
  };
}

Route PostbackRoute(const PostbackContext& context, const std::shared_ptr<Endpoint>& endpoint,
                    const std::shared_ptr<ingest::Lane>& lane) {
  const access::EndpointSettings& settings = endpoint->access().settings();
  const size_t max_bytes =
      settings.max_body_bytes > 0 ? settings.max_body_bytes : context.max_body_bytes;
  Route route{.name = endpoint->name(), .method = "POST", .max_body_bytes = max_bytes};
  if (!settings.path_secrets.empty()) {
    route.is_secret = [endpoint](std::string_view segment) {
      return endpoint->access().IsPathSecret(segment);
    };
  }
  route.admit = [endpoint](const access::Peer& peer, access::FieldOf field, Request* request) {
    return endpoint->Admit(peer, field, request);
  };
  route.handle = HandlerOf(context, endpoint, lane, max_bytes);
  route.refuse_body = [ingest = context.ingest, max_bytes](BodyRefusal why) {
    const Outcome outcome =
        why == BodyRefusal::kOverloaded
            ? ingest::Unavailable("overloaded", "too many postbacks are in flight; send it again")
            : TooLarge(max_bytes);
    ingest->Count(outcome);
    return AnswerFor(outcome);
  };
  // Where it becomes durable after all, it is counted as that, too.
  route.answer_late = [ingest = context.ingest] {
    const Outcome outcome = ingest::Unavailable(
        "not_durable", "not durable in time; the postback may still have been kept");
    ingest->Count(outcome);
    return AnswerFor(outcome);
  };
  route.answered = [endpoint](const Answer& answer, std::chrono::nanoseconds after) {
    endpoint->Count(answer, after);
  };
  return route;
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

Routes PostbackRoutes(const PostbackContext& context,
                      const std::vector<std::shared_ptr<Endpoint>>& endpoints, Post post) {
  const auto lane = ingest::Lane::Make(context.ingest, std::move(post));
  Routes routes;
  for (const auto& endpoint : endpoints) {
    routes.emplace(endpoint->access().settings().path, PostbackRoute(context, endpoint, lane));
  }
  return routes;
}

}  // namespace mmsmo::http
