// Sends many postbacks, and says how that went.

#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "client/command/http_client.h"
#include "client/command/sample.h"

namespace mmsmo::command {

struct LoadOptions {
  Url url;
  Https https;
  PostSecrets secrets;
  // Its tracking id is followed by "-1", "-2", …: the same options send the same postbacks.
  Sample sample;
  bool json = false;
  int64_t count = 1;
  // Postbacks a second, whatever the answers take (an open loop); 0: as fast as they come.
  double rate = 0;
  int connections = 8;
  std::chrono::milliseconds timeout{10'000};
  // How long to send one postback again that got no answer, 503 or 429; 0: once.
  std::chrono::milliseconds retry_for{0};
  // Where each answer becomes a line "tracking-id status outcome cursor"; empty: nowhere.
  std::string answers_file;
};

struct LoadSummary {
  std::chrono::steady_clock::time_point begin;  // once the connections were there
  int64_t accepted = 0;
  int64_t duplicate = 0;
  int64_t other_200 = 0;   // quarantined
  int64_t refused = 0;     // any other status
  int64_t unanswered = 0;  // and what an interruption left unsent
  double seconds = 0;
  // From the moment a postback was due to its answer, in microseconds, sorted. So one that had to
  // wait for a free connection counts its wait.
  std::vector<int64_t> latencies;

  int64_t ok() const { return accepted + duplicate + other_200; }
  // The latency that `share` (0 to 1) of the answers did not exceed; 0 without answers.
  int64_t Percentile(double share) const;
};

// Until all is answered or given up, or SIGINT. Progress goes to stderr once a second. Fails where
// the answers cannot be written.
absl::StatusOr<LoadSummary> RunLoad(const LoadOptions& options);

}  // namespace mmsmo::command
