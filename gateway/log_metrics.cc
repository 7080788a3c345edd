#include "gateway/log_metrics.h"

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

void AddSubscriptions(const std::vector<broker::SubscriptionStats>& stats, Families* families) {
  const auto add = [&](const std::string& name, const std::string& help,
                       prometheus::MetricType type, auto value) {
    AddEach(
        "mmsmo_subscription_" + name, help, type, "subscription", stats,
        [](const auto& one) { return one.name; }, value, families);
  };
  using Type = prometheus::MetricType;
  add("backlog", "Events that are not acknowledged, before filtering.", Type::Gauge,
      [](const auto& one) { return one.backlog; });
  add("oldest_unacked_seconds", "Age of the oldest unacknowledged event.", Type::Gauge,
      [](const auto& one) { return one.oldest_unacked_seconds; });
  add("in_flight", "Deliveries that are not acknowledged.", Type::Gauge,
      [](const auto& one) { return one.in_flight; });
  add("dead_letters", "Dead letters that are kept.", Type::Gauge,
      [](const auto& one) { return one.dead_letters; });
  add("expired_events", "Events that retention removed before they were acknowledged.", Type::Gauge,
      [](const auto& one) { return one.expired; });
  add("delivered_total", "Deliveries.", Type::Counter,
      [](const auto& one) { return one.delivered_total; });
  add("redelivered_total", "Deliveries after the first of an event.", Type::Counter,
      [](const auto& one) { return one.redelivered_total; });
  add("acked_total", "Acknowledgements.", Type::Counter,
      [](const auto& one) { return one.acked_total; });
  add("lease_expired_total", "Deliveries that were not acknowledged in time.", Type::Counter,
      [](const auto& one) { return one.lease_expired_total; });
  add("dead_lettered_total", "Events that became dead letters.", Type::Counter,
      [](const auto& one) { return one.dead_lettered_total; });
}

}  // namespace

Families LogMetrics(broker::Broker& broker) {
  const broker::LogStats stats = broker.Stats();
  Families families = {
      Metrics::GaugeFamily("mmsmo_journal_head", "The newest event's number; the first is 1.",
                           static_cast<double>(stats.events_appended)),
      Metrics::GaugeFamily("mmsmo_journal_oldest", "The oldest retained event's number.",
                           static_cast<double>(stats.events_appended + 1 - stats.events_retained)),
      Metrics::GaugeFamily("mmsmo_journal_bytes", "Bytes of retained events, raw bodies included.",
                           static_cast<double>(stats.bytes_retained)),
      Metrics::GaugeFamily("mmsmo_ready", "1 while postbacks can be made durable.",
                           broker.Ready().ok() ? 1 : 0)};
  AddQuarantine(stats, &families);
  AddSubscriptions(broker.subscriptions().Stats(), &families);
  return families;
}

}  // namespace mmsmo
