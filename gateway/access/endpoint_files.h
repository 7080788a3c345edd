// The endpoints that are declared, and the files that their secrets stand in, which change while
// the gateway runs.

#pragma once

#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "gateway/access/endpoint.h"
#include "gateway/access/secret.h"
#include "gateway/base/metrics.h"

namespace mmsmo::access {

using Endpoints = std::vector<std::shared_ptr<const Endpoint>>;

// For one thread at a time. Logs what is wrong with a file, once for each change of that.
class EndpointFiles {
 public:
  // FailedPrecondition where a secret cannot be read, InvalidArgument for settings that are wrong,
  // also of two with the same name or path; both name the endpoint and the key. `metrics` must
  // outlive it.
  static absl::StatusOr<std::unique_ptr<EndpointFiles>> Open(
      const std::vector<EndpointSettings>& settings, Metrics& metrics);

  // In the order in which they are declared.
  const Endpoints& endpoints() const { return endpoints_; }

  // Reads the files again. Whether an endpoint has changed; one keeps what it had where one of its
  // files is broken.
  bool Look();

 private:
  explicit EndpointFiles(Metrics& metrics);

  ReloadCounters reloads_;
  SecretReader reader_;
  Endpoints endpoints_;
  std::vector<std::string> broken_;  // why those of each that are there now are not in force
};

}  // namespace mmsmo::access
