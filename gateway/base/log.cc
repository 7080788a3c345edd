#include "gateway/base/log.h"

#include <unistd.h>

#include <memory>
#include <string_view>

#include "gateway/base/status.h"
#include "spdlog/pattern_formatter.h"
#include "spdlog/sinks/ansicolor_sink.h"

namespace mmsmo {
namespace {

// %* : the message as the inside of a JSON string.
class JsonMessage final : public spdlog::custom_flag_formatter {
 public:
  void format(const spdlog::details::log_msg& message, const std::tm&,
              spdlog::memory_buf_t& out) override {
    for (const char c : message.payload) {
      const auto byte = static_cast<unsigned char>(c);
      if (c == '"' || c == '\\') {
        out.push_back('\\');
        out.push_back(c);
      } else if (byte < 0x20 || byte == 0x7f) {
        fmt::format_to(std::back_inserter(out), "\\u{:04x}", byte);
      } else {
        out.push_back(c);
      }
    }
  }
  std::unique_ptr<custom_flag_formatter> clone() const override {
    return std::make_unique<JsonMessage>();
  }
};

void SetFormat(spdlog::logger& logger, bool json) {
  if (json) {
    auto formatter = std::make_unique<spdlog::pattern_formatter>(spdlog::pattern_time_type::utc);
    formatter->add_flag<JsonMessage>('*').set_pattern(
        R"({"time":"%Y-%m-%dT%H:%M:%S.%fZ","level":"%l","thread":%t,"message":"%*"})");
    logger.set_formatter(std::move(formatter));
  } else {
    logger.set_pattern("%Y-%m-%d %H:%M:%S.%e %^%-7l%$ %v");
  }
}

}  // namespace

spdlog::logger* Log() {
  static const auto logger = [] {
    auto made = std::make_shared<spdlog::logger>(
        "mmsmo", std::make_shared<spdlog::sinks::ansicolor_stderr_sink_mt>());
    SetFormat(*made, isatty(STDERR_FILENO) == 0);
    made->flush_on(spdlog::level::trace);
    return made;
  }();
  return logger.get();
}

absl::Status InitLog(const LogOptions& options) {
  const auto level = spdlog::level::from_str(options.level);
  if (level == spdlog::level::off) {
    return InvalidArgument("log-level: '{}' is not one of debug, info, warning, error",
                           options.level);
  }
  if (options.format != "auto" && options.format != "text" && options.format != "json") {
    return InvalidArgument("log-format: '{}' is not one of auto, text, json", options.format);
  }
  Log()->set_level(level);
  if (options.format != "auto") SetFormat(*Log(), options.format == "json");
  return absl::OkStatus();
}

}  // namespace mmsmo
