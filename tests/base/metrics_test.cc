#include "gateway/base/metrics.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace mmsmo {
namespace {

using testing::HasSubstr;
using testing::Not;

TEST(Metrics, AreSerialisedWithSamplesAndTheProcess) {
  Metrics metrics;
  metrics.Counter("a_total", "A.", {{"kind", "x"}}).Increment(2);
  metrics.Gauge("b", "B.").Set(1.5);
  metrics.Histogram("c_seconds", "C.", {1, 2}).Observe(1.5);
  metrics.AddSampler([] { return std::vector{Metrics::GaugeFamily("d", "D.", 7)}; });
  const std::string text = metrics.Serialise();
  for (const char* line : {"a_total{kind=\"x\"} 2\n", "b 1.5\n", "c_seconds_bucket{le=\"2\"} 1\n",
                           "c_seconds_count 1\n", "d 7\n", "# HELP d D.\n", "# TYPE d gauge\n",
                           "process_resident_memory_bytes", "process_start_time_seconds"}) {
    EXPECT_THAT(text, HasSubstr(line));
  }
}

TEST(Metrics, ForgetSamplersButNotTheProcess) {
  Metrics metrics;
  metrics.AddSampler([] { return std::vector{Metrics::GaugeFamily("d", "D.", 7)}; });
  metrics.ForgetSamplers();
  EXPECT_THAT(metrics.Serialise(), Not(HasSubstr("d 7\n")));
  EXPECT_THAT(metrics.Serialise(), HasSubstr("process_start_time_seconds"));
}

TEST(Metrics, OfTheSameNameAndLabelsAreTheSame) {
  Metrics metrics;
  EXPECT_EQ(&metrics.Counter("a_total", "A."), &metrics.Counter("a_total", "A."));
  EXPECT_NE(&metrics.Counter("a_total", "A."), &metrics.Counter("a_total", "A.", {{"k", "v"}}));
}

}  // namespace
}  // namespace mmsmo
