#include "gateway/embedded/store/rocks_log.h"

#include <array>
#include <cstdarg>
#include <cstdio>

#include "gateway/base/log.h"

namespace mmsmo::embedded {
namespace {

class RocksLog final : public rocksdb::Logger {
 public:
  RocksLog() : Logger(rocksdb::InfoLogLevel::WARN_LEVEL) {}

  using Logger::Logv;
  void Logv(rocksdb::InfoLogLevel level, const char* format, va_list arguments) override {
    if (level < GetInfoLogLevel()) return;
    const bool serious = level >= rocksdb::InfoLogLevel::ERROR_LEVEL;
    Log()->log(serious ? spdlog::level::warn : spdlog::level::debug, "rocksdb: {}",
               Text(format, arguments));
  }
  void Logv(const char* format, va_list arguments) override {
    Logv(rocksdb::InfoLogLevel::INFO_LEVEL, format, arguments);
  }

 private:
  static std::string Text(const char* format, va_list arguments) {
    std::array<char, 1024> text;
    std::vsnprintf(text.data(), text.size(), format, arguments);
    return text.data();
  }
};

}  // namespace

std::shared_ptr<rocksdb::Logger> MakeRocksLog() { return std::make_shared<RocksLog>(); }

}  // namespace mmsmo::embedded
