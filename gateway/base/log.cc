#include "gateway/base/log.h"

#include <unistd.h>

#include <chrono>
#include <memory>
#include <mutex>
#include <string_view>

#include "gateway/base/line_writer.h"
#include "gateway/base/status.h"
#include "spdlog/pattern_formatter.h"
#include "spdlog/sinks/base_sink.h"

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

LineWriter& StandardError() {
  static LineWriter* const writer = LineWriter::Start(STDERR_FILENO, [](uint64_t lines) {
    Log()->warn("{} log lines were dropped, since nobody read them", lines);
  });
  return *writer;
}

class LineSink final : public spdlog::sinks::base_sink<std::mutex> {
 protected:
  void sink_it_(const spdlog::details::log_msg& message) override {
    spdlog::memory_buf_t line;
    formatter_->format(message, line);
    std::string_view rest(line.data(), line.size());
    if (!colours_ || message.color_range_end <= message.color_range_start)
      return StandardError().Add(rest);
    StandardError().Add(fmt::format(
        "{}{}{}\033[m{}", rest.substr(0, message.color_range_start), ColourOf(message.level),
        rest.substr(message.color_range_start, message.color_range_end - message.color_range_start),
        rest.substr(message.color_range_end)));
  }
  void flush_() override {}

 private:
  static std::string_view ColourOf(spdlog::level::level_enum level) {
    switch (level) {
      case spdlog::level::warn:
        return "\033[33m\033[1m";
      case spdlog::level::err:
      case spdlog::level::critical:
        return "\033[31m\033[1m";
      default:
        return "\033[32m";
    }
  }

  const bool colours_ = isatty(STDERR_FILENO) != 0;
};

}  // namespace

spdlog::logger* Log() {
  // Kept for good: threads that nobody waits for may log to the last.
  static spdlog::logger* const logger = [] {
    auto made = std::make_unique<spdlog::logger>("mmsmo", std::make_shared<LineSink>());
    SetFormat(*made, isatty(STDERR_FILENO) == 0);
    return made.release();
  }();
  return logger;
}

void FlushLog() {
  constexpr std::chrono::milliseconds kAtMost{200};
  StandardError().Flush(kAtMost);
}

void LogRecord(std::string_view name, std::string_view record) {
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  const auto micros = std::chrono::duration_cast<std::chrono::microseconds>(now).count();
  std::tm utc{};
  const std::time_t seconds = micros / 1'000'000;
  gmtime_r(&seconds, &utc);
  StandardError().Add(
      fmt::format("{{\"time\":\"{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:06}Z\",\"{}\":{}}}\n",
                  utc.tm_year + 1900, utc.tm_mon + 1, utc.tm_mday, utc.tm_hour, utc.tm_min,
                  utc.tm_sec, micros % 1'000'000, name, record));
}

uint64_t DroppedLogLines() { return StandardError().dropped(); }

void SetLogLevel(const std::string& level) {
  const auto parsed = spdlog::level::from_str(level);
  if (parsed != spdlog::level::off) Log()->set_level(parsed);
}

absl::Status InitLog(const LogOptions& options) {
  if (spdlog::level::from_str(options.level) == spdlog::level::off) {
    return InvalidArgument("log-level: '{}' is not one of debug, info, warning, error",
                           options.level);
  }
  if (options.format != "auto" && options.format != "text" && options.format != "json") {
    return InvalidArgument("log-format: '{}' is not one of auto, text, json", options.format);
  }
  SetLogLevel(options.level);
  if (options.format != "auto") SetFormat(*Log(), options.format == "json");
  return absl::OkStatus();
}

}  // namespace mmsmo
