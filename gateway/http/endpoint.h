// An endpoint as it is served: who is let in, how often, and what is counted.

#pragma once

#include <chrono>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "gateway/access/endpoint.h"
#include "gateway/access/rate_limit.h"
#include "gateway/base/clock.h"
#include "gateway/base/metrics.h"
#include "gateway/http/message.h"
#include "mutex.h"

namespace mmsmo::http {

// Thread-safe.
class Endpoint {
 public:
  // Both must outlive it.
  Endpoint(std::shared_ptr<const access::Endpoint> access, const Clock* clock, Metrics& metrics);

  const access::Endpoint& access() const { return *access_; }
  const std::string& name() const { return access_->settings().name; }

  // The refusal of a request by its header; nothing where it is let in.
  std::optional<Answer> Admit(const access::Peer& peer, access::FieldOf field, Request* request);
  // The refusal of a request by its body.
  std::optional<Answer> CheckBody(const Request& request);
  // Counts an answer, which was given so long after the request's header.
  void Count(const Answer& answer, std::chrono::nanoseconds after);

 private:
  using Kind = std::pair<int, std::string>;  // status and reason

  Answer Refusal(access::Check check);
  prometheus::Counter& CounterOf(const Kind& kind);

  const std::shared_ptr<const access::Endpoint> access_;
  const Clock* const clock_;
  Metrics& metrics_;
  access::RateLimit rate_;
  prometheus::Counter& ok_;
  prometheus::Histogram& seconds_;

  Mutex mu_;
  std::map<Kind, prometheus::Counter*> others_ ABSL_GUARDED_BY(mu_);
};

}  // namespace mmsmo::http
