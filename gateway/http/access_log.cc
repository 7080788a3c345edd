#include "gateway/http/access_log.h"

#include <utility>

#include "fmt/format.h"
#include "gateway/base/clock.h"
#include "gateway/base/log.h"
#include "gateway/http/message.h"

namespace mmsmo::http {

AccessLog::AccessLog(std::string server, int lines_a_second)
    : server_(std::move(server)), enabled_(lines_a_second > 0), rate_(lines_a_second) {}

void AccessLog::Add(const AccessLine& line) {
  if (!enabled_) return;
  if (rate_.TakeMicros(SystemClock().MonotonicMicros()) > 0) {
    left_out_.fetch_add(1, std::memory_order_relaxed);
    return;
  }
  std::string members;
  const auto text = [&members](std::string_view name, std::string_view value) {
    if (value.empty()) return;
    members += fmt::format(R"(,"{}":)", name);
    AppendJsonString(value, &members);
  };
  text("endpoint", line.endpoint);
  text("method", line.method);
  text("client", line.client ? ToString(*line.client) : std::string());
  text("reason", line.reason);
  LogRecord("access",
            fmt::format(
                R"({{"server":"{}","status":{},"millis":{:.3f},"body_bytes":{},"left_out":{}{}}})",
                server_, line.status, std::chrono::duration<double, std::milli>(line.after).count(),
                line.body_bytes, left_out_.exchange(0), members));
}

}  // namespace mmsmo::http
