// A listener's certificates, from files that are looked at again and again: what is new in them
// concerns new handshakes, and what is broken in them changes nothing.

#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "gateway/base/clock.h"
#include "gateway/base/metrics.h"
#include "gateway/tls/files.h"
#include "gateway/tls/snapshot.h"
#include "mutex.h"

namespace mmsmo::tls {

// The handshakes of one listener.
struct Handshakes {
  Handshakes(const std::string& listener, Metrics& metrics);

  prometheus::Gauge& under_way;
  prometheus::Counter& done;
  // Why they failed: a certificate that does not verify, HTTP without TLS, no version or cipher in
  // common, an end before theirs, and the rest.
  prometheus::Counter& certificate;
  prometheus::Counter& plain_http;
  prometheus::Counter& nothing_shared;
  prometheus::Counter& broken_off;
  prometheus::Counter& other;
};

// Thread-safe.
class Certificates {
 public:
  // `listener` labels the metrics and begins the settings' names: with "http" they are
  // http-tls-cert and so on. Errors name the setting and the file: FailedPrecondition for one that
  // cannot be read, InvalidArgument for one that is not what it should be. A certificate that has
  // expired, or is not valid yet, is served all the same, with a warning: clients decide.
  static absl::StatusOr<std::unique_ptr<Certificates>> Load(const std::string& listener,
                                                            const Files& files, const Clock& clock,
                                                            Metrics& metrics);

  std::shared_ptr<const Snapshot> snapshot() const;
  // Changes with the snapshot; for whoever looks often.
  uint64_t version() const { return version_; }
  Handshakes& handshakes() { return handshakes_; }

  // Reads the files again. Where they have changed and are good, the snapshot is new; where they
  // are not, it stays, a log line says so once, and the error is returned for as long as they are
  // like that.
  absl::Status Look();

 private:
  // What the files said, or why they could not be read.
  struct Reading {
    absl::Status status;
    Texts texts;
    bool operator==(const Reading&) const = default;
  };

  Certificates(const std::string& listener, Files files, const Clock& clock, Metrics& metrics);
  Reading Read() const;
  absl::StatusOr<std::shared_ptr<const Snapshot>> Build(const Reading& reading) const;
  void Use(std::shared_ptr<const Snapshot> snapshot, const Reading& reading);
  void ShowExpiry(const Snapshot& snapshot);

  const std::string prefix_;
  const Files files_;
  const Clock& clock_;
  prometheus::Gauge& expiry_days_;
  prometheus::Gauge& expiry_timestamp_;
  prometheus::Counter& reloads_;
  prometheus::Counter& failed_reloads_;
  Handshakes handshakes_;
  std::atomic<uint64_t> version_{0};

  mutable Mutex mu_;
  std::shared_ptr<const Snapshot> snapshot_ ABSL_GUARDED_BY(mu_);
  Reading seen_ ABSL_GUARDED_BY(mu_);          // last
  absl::Status seen_is_ ABSL_GUARDED_BY(mu_);  // why it could not be used, if so
};

}  // namespace mmsmo::tls
