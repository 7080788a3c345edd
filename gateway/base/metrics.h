// The process's metrics, in Prometheus's terms. A room makes its metrics once, when it is built,
// and keeps references.
//
//   prometheus::Counter& accepted = metrics.Counter("mmsmo_postbacks_total", "Postbacks by
//   outcome.",
//                                                   {{"outcome", "accepted"}});
//   accepted.Increment();

#pragma once

#include <prometheus/collectable.h>
#include <prometheus/counter.h>
#include <prometheus/gauge.h>
#include <prometheus/histogram.h>
#include <prometheus/registry.h>

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "mutex.h"

namespace mmsmo {

// Thread-safe.
class Metrics {
 public:
  using Labels = prometheus::Labels;

  Metrics();

  // The same name and labels give the same metric. References live as long as this.
  prometheus::Counter& Counter(const std::string& name, const std::string& help,
                               const Labels& labels = {});
  prometheus::Gauge& Gauge(const std::string& name, const std::string& help,
                           const Labels& labels = {});
  prometheus::Histogram& Histogram(const std::string& name, const std::string& help,
                                   const prometheus::Histogram::BucketBoundaries& buckets,
                                   const Labels& labels = {});

  // Values that are cheaper to ask for than to keep up to date: `read` runs at every scrape, and
  // must be thread-safe.
  using Sampler = std::function<std::vector<prometheus::MetricFamily>()>;
  void AddSampler(Sampler read);
  // All that were added: whom they ask is about to go. No scrape may be under way.
  void ForgetSamplers();
  // Families of one unlabelled metric, for a sampler.
  static prometheus::MetricFamily GaugeFamily(const std::string& name, const std::string& help,
                                              double value);
  static prometheus::MetricFamily CounterFamily(const std::string& name, const std::string& help,
                                                double value);

  // Everything, in Prometheus's text format 0.0.4, with the process's own metrics.
  std::string Serialise() const;

 private:
  prometheus::Registry registry_;
  mutable Mutex mu_;
  std::vector<Sampler> samplers_ ABSL_GUARDED_BY(mu_);
};

}  // namespace mmsmo
