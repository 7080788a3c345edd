#include "gateway/log_metrics.h"

#include <algorithm>
#include <string>
#include <utility>

#include "gateway/base/metrics.h"

namespace mmsmo {
namespace {

using Families = std::vector<prometheus::MetricFamily>;

// One family with a metric for each of `items`.
template <typename Item, typename NameOf, typename ValueOf>
void AddEach(const std::string& name, const std::string& help, prometheus::MetricType type,
             const std::string& label, const std::vector<Item>& items, NameOf name_of,
             ValueOf value_of, Families* families) {
  prometheus::MetricFamily family{.name = name, .help = help, .type = type, .metric = {}};
  for (const Item& item : items) {
    prometheus::ClientMetric metric;
    metric.label = {{label, name_of(item)}};
    const auto value = static_cast<double>(value_of(item));
    if (type == prometheus::MetricType::Counter) {
      metric.counter.value = value;
    } else {
      metric.gauge.value = value;
    }
    family.metric.push_back(std::move(metric));
  }
  families->push_back(std::move(family));
}

void AddQuarantine(const broker::LogStats& stats, Families* families) {
  const auto gauge = [&](const std::string& name, const std::string& help, auto value) {
    AddEach(
        name, help, prometheus::MetricType::Gauge, "shelf", stats.quarantined,
        [](const auto& shelf) { return shelf.shelf; }, value, families);
  };
  gauge("mmsmo_quarantine_postbacks", "Postbacks in quarantine.",
        [](const auto& shelf) { return shelf.count; });
  gauge("mmsmo_quarantine_bytes", "Bytes of their bodies.",
        [](const auto& shelf) { return shelf.bytes; });
  gauge("mmsmo_quarantine_dropped", "Postbacks that left the quarantine by budget or age.",
        [](const auto& shelf) { return shelf.dropped; });
}

struct SubscriptionMeasure {
  const char* name;
  const char* help;
  prometheus::MetricType type;
  double (*value)(const broker::SubscriptionStats&);
};

constexpr auto kGauge = prometheus::MetricType::Gauge;
constexpr auto kCounter = prometheus::MetricType::Counter;

#define FIELD(field) [](const broker::SubscriptionStats& s) { return static_cast<double>(s.field); }
constexpr SubscriptionMeasure kSubscriptionMeasures[] = {
    {"backlog", "Events that are not acknowledged, before filtering.", kGauge, FIELD(backlog)},
    {"oldest_unacked_seconds", "Age of the oldest unacknowledged event.", kGauge,
     FIELD(oldest_unacked_seconds)},
    {"in_flight", "Deliveries that are not acknowledged.", kGauge, FIELD(in_flight)},
    {"dead_letters", "Dead letters that are kept.", kGauge, FIELD(dead_letters)},
    {"waiting_dead_letters", "Events to become dead letters, which they cannot yet.", kGauge,
     FIELD(given_up)},
    {"expired_events", "Events that retention removed before they were acknowledged.", kGauge,
     FIELD(expired)},
    {"delivered_total", "Deliveries.", kCounter, FIELD(delivered_total)},
    {"redelivered_total", "Deliveries after the first of an event.", kCounter,
     FIELD(redelivered_total)},
    {"acked_total", "Acknowledgements.", kCounter, FIELD(acked_total)},
    {"lease_expired_total", "Deliveries that were not acknowledged in time.", kCounter,
     FIELD(lease_expired_total)},
    {"dead_lettered_total", "Events that became dead letters.", kCounter,
     FIELD(dead_lettered_total)},
};
#undef FIELD

// So many names at most: each is a time series of every family. The others are summed under what
// cannot be a name.
constexpr size_t kMostNames = 1'000;
constexpr const char* kOthers = "(others)";

void AddTo(broker::SubscriptionStats* sum, const broker::SubscriptionStats& one) {
  sum->backlog += one.backlog;
  sum->oldest_unacked_seconds = std::max(sum->oldest_unacked_seconds, one.oldest_unacked_seconds);
  sum->in_flight += one.in_flight;
  sum->dead_letters += one.dead_letters;
  sum->given_up += one.given_up;
  sum->expired += one.expired;
  sum->delivered_total += one.delivered_total;
  sum->redelivered_total += one.redelivered_total;
  sum->acked_total += one.acked_total;
  sum->lease_expired_total += one.lease_expired_total;
  sum->dead_lettered_total += one.dead_lettered_total;
}

std::vector<broker::SubscriptionStats> WithFewNames(std::vector<broker::SubscriptionStats> stats) {
  if (stats.size() <= kMostNames) return stats;
  std::sort(stats.begin(), stats.end(),
            [](const auto& a, const auto& b) { return a.name < b.name; });
  broker::SubscriptionStats others{.name = kOthers};
  for (size_t i = kMostNames; i < stats.size(); ++i) AddTo(&others, stats[i]);
  stats.resize(kMostNames);
  stats.push_back(std::move(others));
  return stats;
}

void AddSubscriptions(const std::vector<broker::SubscriptionStats>& stats, Families* families) {
  for (const SubscriptionMeasure& measure : kSubscriptionMeasures) {
    AddEach(
        std::string("mmsmo_subscription_") + measure.name, measure.help, measure.type,
        "subscription", stats, [](const auto& one) { return one.name; }, measure.value, families);
  }
}

}  // namespace

Families LogMetrics(broker::Broker& broker) {
  const broker::LogStats stats = broker.Stats();
  Families families = {
      Metrics::GaugeFamily("mmsmo_journal_head", "The newest event's number; the first is 1.",
                           static_cast<double>(stats.head)),
      Metrics::GaugeFamily("mmsmo_journal_oldest", "The oldest retained event's number.",
                           static_cast<double>(stats.oldest)),
      Metrics::GaugeFamily("mmsmo_journal_bytes", "Bytes of retained events, raw bodies included.",
                           static_cast<double>(stats.bytes_retained)),
      Metrics::GaugeFamily("mmsmo_ready", "1 while postbacks can be made durable.",
                           broker.Ready().ok() ? 1 : 0)};
  AddQuarantine(stats, &families);
  AddSubscriptions(WithFewNames(broker.subscriptions().Stats()), &families);
  return families;
}

}  // namespace mmsmo
