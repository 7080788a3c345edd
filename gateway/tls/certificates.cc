#include "gateway/tls/certificates.h"

#include <sys/stat.h>

#include <algorithm>
#include <utility>

#include "gateway/base/log.h"
#include "gateway/base/small_file.h"
#include "gateway/base/status.h"

namespace mmsmo::tls {
namespace {

constexpr double kSecondsADay = 86'400;

prometheus::Counter& Failures(const std::string& listener, const std::string& reason,
                              Metrics& metrics) {
  return metrics.Counter("mmsmo_tls_handshake_failures_total",
                         "TLS handshakes that failed, by reason.",
                         {{"listener", listener}, {"reason", reason}});
}

prometheus::Counter& Reloads(const std::string& listener, const std::string& result,
                             Metrics& metrics) {
  return metrics.Counter("mmsmo_tls_reloads_total",
                         "Changes of the files of TLS, by whether they could be used.",
                         {{"listener", listener}, {"result", result}});
}

int64_t UnixSeconds(Snapshot::Time time) {
  return std::chrono::duration_cast<std::chrono::seconds>(time.time_since_epoch()).count();
}

absl::Status Under(std::string_view prefix, std::string_view setting, const absl::Status& status) {
  return MakeStatus(status.code(), fmt::format("{}{}: {}", prefix, setting, MessageOf(status)));
}

}  // namespace

Handshakes::Handshakes(const std::string& listener, Metrics& metrics)
    : under_way(metrics.Gauge("mmsmo_tls_handshakes", "TLS handshakes under way.",
                              {{"listener", listener}})),
      done(metrics.Counter("mmsmo_tls_handshakes_total", "TLS handshakes that were completed.",
                           {{"listener", listener}})),
      certificate(Failures(listener, "certificate", metrics)),
      plain_http(Failures(listener, "plain_http", metrics)),
      nothing_shared(Failures(listener, "nothing_shared", metrics)),
      broken_off(Failures(listener, "broken_off", metrics)),
      other(Failures(listener, "other", metrics)) {}

absl::StatusOr<std::unique_ptr<Certificates>> Certificates::Load(const std::string& listener,
                                                                 const Files& files,
                                                                 const Clock& clock,
                                                                 Metrics& metrics) {
  std::unique_ptr<Certificates> certificates(new Certificates(listener, files, clock, metrics));
  const Reading reading = certificates->Read();
  auto snapshot = certificates->Build(reading);
  if (!snapshot.ok()) return snapshot.status();
  certificates->Use(*std::move(snapshot), reading);
  if (struct stat info{}; stat(files.key.c_str(), &info) == 0 && (info.st_mode & S_IROTH) != 0)
    Log()->warn("{}key: everybody on this machine can read '{}'", certificates->prefix_, files.key);
  return certificates;
}

Certificates::Certificates(const std::string& listener, Files files, const Clock& clock,
                           Metrics& metrics)
    : prefix_(listener + "-tls-"),
      files_(std::move(files)),
      clock_(clock),
      expiry_days_(metrics.Gauge("mmsmo_tls_certificate_expiry_days",
                                 "Days until the first certificate of the listener's chain "
                                 "expires; negative once it has.",
                                 {{"listener", listener}})),
      expiry_timestamp_(metrics.Gauge("mmsmo_tls_certificate_expiry_timestamp_seconds",
                                      "When it expires, since the Unix epoch.",
                                      {{"listener", listener}})),
      reloads_(Reloads(listener, "ok", metrics)),
      failed_reloads_(Reloads(listener, "failed", metrics)),
      handshakes_(listener, metrics) {}

std::shared_ptr<const Snapshot> Certificates::snapshot() const {
  MutexLock lock(&mu_);
  return snapshot_;
}

absl::Status Certificates::Look() {
  const Reading reading = Read();
  {
    MutexLock lock(&mu_);
    ShowExpiry(*snapshot_);
    if (reading == seen_) return seen_is_;
  }
  auto snapshot = Build(reading);
  // The files may have been exchanged between the reading of one and the next.
  if (!snapshot.ok() && Read() != reading) return Look();
  if (!snapshot.ok()) {
    failed_reloads_.Increment();
    Log()->error("{}; the certificate before it stays in use", MessageOf(snapshot.status()));
    MutexLock lock(&mu_);
    seen_ = reading;
    return seen_is_ = snapshot.status();
  }
  reloads_.Increment();
  Use(*std::move(snapshot), reading);
  Log()->info("{}cert: '{}' has changed: new connections get what is in it now", prefix_,
              files_.cert);
  return absl::OkStatus();
}

Certificates::Reading Certificates::Read() const {
  Reading reading;
  const auto read = [&](std::string_view setting, const std::string& file, std::string* text) {
    if (file.empty() || !reading.status.ok()) return;
    auto content = ReadSmallFile(file);
    if (content.ok()) {
      *text = *std::move(content);
    } else {
      reading.status = Under(prefix_, setting, content.status());
    }
  };
  read("cert", files_.cert, &reading.texts.cert);
  read("key", files_.key, &reading.texts.key);
  read("client-ca", files_.client_ca, &reading.texts.client_ca);
  return reading;
}

absl::StatusOr<std::shared_ptr<const Snapshot>> Certificates::Build(const Reading& reading) const {
  if (!reading.status.ok()) return reading.status;
  return Snapshot::Create(reading.texts, files_, prefix_);
}

void Certificates::Use(std::shared_ptr<const Snapshot> snapshot, const Reading& reading) {
  const auto now = Snapshot::Time(std::chrono::microseconds(clock_.NowMicros()));
  if (now > snapshot->not_after()) {
    Log()->warn("{}cert: '{}' has expired: clients will refuse it", prefix_, files_.cert);
  } else if (now < snapshot->not_before()) {
    Log()->warn("{}cert: '{}' is not valid yet: clients will refuse it", prefix_, files_.cert);
  }
  ShowExpiry(*snapshot);
  MutexLock lock(&mu_);
  snapshot_ = std::move(snapshot);
  seen_ = reading;
  seen_is_ = absl::OkStatus();
  ++version_;
}

void Certificates::ShowExpiry(const Snapshot& snapshot) {
  const int64_t at = UnixSeconds(snapshot.not_after());
  expiry_timestamp_.Set(static_cast<double>(at));
  const int64_t now = clock_.NowMicros() / 1'000'000;
  expiry_days_.Set(static_cast<double>(at - now) / kSecondsADay);
}

}  // namespace mmsmo::tls
