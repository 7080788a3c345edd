#include "gateway/live_settings.h"

#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_join.h"
#include "gateway/base/clock.h"
#include "gateway/base/log.h"
#include "gateway/base/status.h"
#include "gateway/declared_subscriptions.h"

namespace mmsmo {
namespace {

constexpr char kReloads[] = "mmsmo_reloads_total";
constexpr char kReloadsHelp[] = "Times that the configuration was read again, by the outcome.";

// Those of the settings that only a new start changes.
std::vector<std::string> ChangedForLater(const Config& before, const Config& after) {
  std::vector<std::string> names;
  for (const auto& [name, value] : after.texts) {
    if (name == "log-level" || name == "http-path" || name == "endpoint") continue;
    const auto was = before.texts.find(name);
    if (was == before.texts.end() || was->second != value) names.push_back(name);
  }
  return names;
}

}  // namespace

absl::Status ListenerCertificates::Load(const Config& config, Metrics& metrics) {
  const auto load = [&metrics](const std::string& listener, const tls::Files& files,
                               std::unique_ptr<tls::Certificates>* certificates) {
    if (!files.enabled()) return absl::OkStatus();
    auto loaded = tls::Certificates::Load(listener, files, SystemClock(), metrics);
    if (!loaded.ok()) return loaded.status();
    *certificates = *std::move(loaded);
    return absl::OkStatus();
  };
  if (auto status = load("http", config.http_tls, &http); !status.ok()) return status;
  if (auto status = load("grpc", config.grpc_tls, &grpc); !status.ok()) return status;
  return load("admin", config.admin_tls, &admin);
}

absl::Status ListenerCertificates::Look() {
  absl::Status first;
  for (const auto* one : {&http, &grpc, &admin}) {
    const absl::Status status = *one ? (*one)->Look() : absl::OkStatus();
    if (first.ok()) first = status;
  }
  return first;
}

LiveSettings::LiveSettings(Config* config, ReadConfig read, Metrics& metrics)
    : config_(config),
      read_(std::move(read)),
      metrics_(metrics),
      reloaded_(metrics.Counter(kReloads, kReloadsHelp, {{"result", "ok"}})),
      failed_(metrics.Counter(kReloads, kReloadsHelp, {{"result", "failed"}})) {}

absl::StatusOr<std::unique_ptr<LiveSettings>> LiveSettings::Open(Config* config, ReadConfig read,
                                                                 Metrics& metrics) {
  std::unique_ptr<LiveSettings> live(new LiveSettings(config, std::move(read), metrics));
  if (auto status = live->certificates_.Load(*config, metrics); !status.ok()) return status;
  auto endpoints = access::EndpointFiles::Open(config->endpoints, metrics);
  // A secret that is not there is a wrong setting, too.
  if (!endpoints.ok()) return InvalidArgument("{}", MessageOf(endpoints.status()));
  live->endpoints_ = *std::move(endpoints);
  auto identities = access::IdentityFiles::Open(config->identities, metrics);
  if (!identities.ok()) return InvalidArgument("{}", MessageOf(identities.status()));
  live->identities_ = *std::move(identities);
  return live;
}

void LiveSettings::Look() {
  certificates_.Look().IgnoreError();  // it is logged and counted
  users_.judge_certificates();
  if (endpoints_->Look()) users_.use_endpoints(endpoints_->endpoints());
  if (auto identities = identities_->Look()) users_.use_identities(std::move(identities));
}

void LiveSettings::Reload() {
  const absl::Status status = TakeOver();
  (status.ok() ? reloaded_ : failed_).Increment();
  if (!status.ok()) Log()->error("the configuration stays as it was: {}", MessageOf(status));
}

// What can fail comes first.
absl::Status LiveSettings::TakeOver() {
  auto config = read_();
  if (!config.ok()) return config.status();
  absl::Status certificates = certificates_.Look();
  users_.judge_certificates();
  if (!certificates.ok()) return certificates;
  auto endpoints = access::EndpointFiles::Open(config->endpoints, metrics_);
  if (!endpoints.ok()) return endpoints.status();
  auto identities = access::IdentityFiles::Open(config->identities, metrics_);
  if (!identities.ok()) return identities.status();
  auto declared = DeclareSubscriptions(config->subscriptions, *users_.subscriptions);
  if (!declared.ok()) return declared;

  endpoints_ = *std::move(endpoints);
  users_.use_endpoints(endpoints_->endpoints());
  identities_ = *std::move(identities);
  users_.use_identities(identities_->identities());
  SetLogLevel(config->log_level);
  config_->endpoints = std::move(config->endpoints);
  config_->identities = std::move(config->identities);
  config_->subscriptions = std::move(config->subscriptions);
  const std::vector<std::string> for_later = ChangedForLater(*config_, *config);
  Log()->info("the configuration was read again");
  if (!for_later.empty())
    Log()->warn("only a new start changes {}", absl::StrJoin(for_later, ", "));
  return absl::OkStatus();
}

}  // namespace mmsmo
