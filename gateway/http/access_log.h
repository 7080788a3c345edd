// A line for each request, or for a sample of them.

#pragma once

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "gateway/access/address.h"
#include "gateway/access/rate_limit.h"

namespace mmsmo::http {

// What is told of a request: nothing that a client chose the text of.
struct AccessLine {
  std::string_view endpoint;  // the name of its route; empty where its path has none
  std::string_view method;    // where it is one of RFC 9110's
  std::optional<access::Address> client;
  size_t body_bytes = 0;
  int status = 0;
  std::string_view reason;
  std::chrono::nanoseconds after{0};  // from its header to its answer
};

// Thread-safe.
class AccessLog {
 public:
  // At most so many lines a second; 0: none. What is left out is counted in the next line.
  AccessLog(std::string server, int lines_a_second);

  bool enabled() const { return enabled_; }
  void Add(const AccessLine& line);

 private:
  const std::string server_;
  const bool enabled_;
  access::RateLimit rate_;
  std::atomic<int64_t> left_out_{0};
};

}  // namespace mmsmo::http
