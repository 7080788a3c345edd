#include "gateway/http/admin.h"

#include <string>
#include <utility>

#include "gateway/base/status.h"

namespace mmsmo::http {
namespace {

Answer Text(int status, std::string body) {
  return {.status = status, .content_type = "text/plain; charset=utf-8", .body = std::move(body)};
}

Route Get(std::function<Answer()> answer) {
  return {.method = "GET", .handle = [answer = std::move(answer)](const Request&, Respond respond) {
            respond(answer());
          }};
}

Answer NoCertificate() {
  Answer answer = Text(403, "this path is for clients with a certificate\n");
  answer.reason = "no_certificate";
  return answer;
}

Answer MetricsText(const Metrics& metrics) {
  Answer answer = Text(200, metrics.Serialise());
  answer.content_type = "text/plain; version=0.0.4; charset=utf-8";
  return answer;
}

}  // namespace

Routes AdminRoutes(std::function<absl::Status()> ready, const Metrics* metrics, bool guarded) {
  Routes routes;
  routes.emplace("/healthz", Get([] { return Text(200, "ok\n"); }));
  routes.emplace("/readyz", Get([ready = std::move(ready)] {
                   const absl::Status status = ready();
                   if (status.ok()) return Text(200, "ready\n");
                   Answer answer = Text(503, std::string(MessageOf(status)) + "\n");
                   answer.reason = "not_ready";
                   return answer;
                 }));
  Route metrics_route = Get([metrics] { return MetricsText(*metrics); });
  if (guarded) {
    metrics_route.admit = [](const access::Peer& peer, access::FieldOf, Request*) {
      return peer.certificate ? std::nullopt : std::optional(NoCertificate());
    };
  }
  routes.emplace("/metrics", std::move(metrics_route));
  return routes;
}

}  // namespace mmsmo::http
