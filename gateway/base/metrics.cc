#include "gateway/base/metrics.h"

#include <prometheus/text_serializer.h>
#include <unistd.h>

#include <chrono>
#include <cstdint>
#include <cstdio>
#include <ctime>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <system_error>
#include <utility>

#include "gateway/base/log.h"

namespace mmsmo {
namespace {

// The metrics that Prometheus's client libraries give for every process, and the log's.
std::vector<prometheus::MetricFamily> ProcessMetrics() {
  static const double start_time =
      std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count();
  timespec cpu{};
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &cpu);
  uint64_t virtual_pages = 0, resident_pages = 0;
  std::ifstream("/proc/self/statm") >> virtual_pages >> resident_pages;
  const auto page = static_cast<double>(sysconf(_SC_PAGESIZE));
  std::error_code error;
  const auto descriptors =
      std::distance(std::filesystem::directory_iterator("/proc/self/fd", error), {});

  return {
      Metrics::CounterFamily(
          "process_cpu_seconds_total", "User and system CPU time, in seconds.",
          static_cast<double>(cpu.tv_sec) + static_cast<double>(cpu.tv_nsec) / 1e9),
      Metrics::GaugeFamily("process_resident_memory_bytes", "Resident memory, in bytes.",
                           static_cast<double>(resident_pages) * page),
      Metrics::GaugeFamily("process_virtual_memory_bytes", "Virtual memory, in bytes.",
                           static_cast<double>(virtual_pages) * page),
      Metrics::GaugeFamily("process_open_fds", "Open file descriptors.",
                           static_cast<double>(descriptors)),
      Metrics::GaugeFamily("process_start_time_seconds",
                           "When the process started, in seconds since the epoch.", start_time),
      Metrics::CounterFamily("mmsmo_log_lines_dropped_total",
                             "Log lines that were dropped because nobody read them.",
                             static_cast<double>(DroppedLogLines())),
  };
}

}  // namespace

Metrics::Metrics() {
  ProcessMetrics();  // fixes the start time
}

prometheus::Counter& Metrics::Counter(const std::string& name, const std::string& help,
                                      const Labels& labels) {
  return prometheus::BuildCounter().Name(name).Help(help).Register(registry_).Add(labels);
}

prometheus::Gauge& Metrics::Gauge(const std::string& name, const std::string& help,
                                  const Labels& labels) {
  return prometheus::BuildGauge().Name(name).Help(help).Register(registry_).Add(labels);
}

prometheus::Histogram& Metrics::Histogram(const std::string& name, const std::string& help,
                                          const prometheus::Histogram::BucketBoundaries& buckets,
                                          const Labels& labels) {
  return prometheus::BuildHistogram().Name(name).Help(help).Register(registry_).Add(labels,
                                                                                    buckets);
}

void Metrics::AddSampler(Sampler read) {
  MutexLock lock(&mu_);
  samplers_.push_back(std::move(read));
}

void Metrics::ForgetSamplers() {
  MutexLock lock(&mu_);
  samplers_.clear();
}

prometheus::MetricFamily Metrics::GaugeFamily(const std::string& name, const std::string& help,
                                              double value) {
  prometheus::MetricFamily family{
      .name = name, .help = help, .type = prometheus::MetricType::Gauge, .metric = {{}}};
  family.metric[0].gauge.value = value;
  return family;
}

prometheus::MetricFamily Metrics::CounterFamily(const std::string& name, const std::string& help,
                                                double value) {
  prometheus::MetricFamily family{
      .name = name, .help = help, .type = prometheus::MetricType::Counter, .metric = {{}}};
  family.metric[0].counter.value = value;
  return family;
}

std::string Metrics::Serialise() const {
  std::vector<prometheus::MetricFamily> families = registry_.Collect();
  std::vector<Sampler> samplers{ProcessMetrics};
  {
    MutexLock lock(&mu_);
    samplers.insert(samplers.end(), samplers_.begin(), samplers_.end());
  }
  for (const auto& read : samplers) {
    for (auto& family : read()) families.push_back(std::move(family));
  }
  return prometheus::TextSerializer().Serialize(families);
}

}  // namespace mmsmo
