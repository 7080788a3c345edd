// What changes while the gateway runs: certificates and secrets when their files do, and when it is
// asked to, what its configuration says.

#pragma once

#include <functional>
#include <memory>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "gateway/access/endpoint_files.h"
#include "gateway/access/identity_files.h"
#include "gateway/base/metrics.h"
#include "gateway/broker/subscriptions.h"
#include "gateway/config.h"
#include "gateway/tls/certificates.h"

namespace mmsmo {

// Reads the configuration again, from where it came.
using ReadConfig = std::function<absl::StatusOr<Config>()>;

// Of each listener; null where it is plain.
struct ListenerCertificates {
  std::unique_ptr<tls::Certificates> http;
  std::unique_ptr<tls::Certificates> grpc;
  std::unique_ptr<tls::Certificates> admin;

  absl::Status Load(const Config& config, Metrics& metrics);
  // The first error of Certificates::Look.
  absl::Status Look();
};

// For one thread at a time, which may wait for disks.
class LiveSettings {
 public:
  // Who is told of a change.
  struct Users {
    std::function<void(const access::Endpoints&)> use_endpoints;
    std::function<void(std::shared_ptr<const access::Identities>)> use_identities;
    std::function<void()> judge_certificates;  // after each look at their files
    broker::Subscriptions* subscriptions = nullptr;
  };

  // Reads the files of `config`, which a reload changes; InvalidArgument names the one that is
  // wrong. All must outlive it.
  static absl::StatusOr<std::unique_ptr<LiveSettings>> Open(Config* config, ReadConfig read,
                                                            Metrics& metrics);

  const access::Endpoints& endpoints() const { return endpoints_->endpoints(); }
  std::shared_ptr<const access::Identities> identities() const { return identities_->identities(); }
  const ListenerCertificates& certificates() const { return certificates_; }
  // Before the first Look or Reload.
  void SetUsers(Users users) { users_ = std::move(users); }

  // Looks whether the files of certificates and secrets have changed.
  void Look();
  // Takes over what the configuration says now: all of it that can change, or nothing; which, and
  // why not, is logged and counted.
  void Reload();

 private:
  LiveSettings(Config* config, ReadConfig read, Metrics& metrics);
  absl::Status TakeOver();

  Config* const config_;
  const ReadConfig read_;
  Metrics& metrics_;
  prometheus::Counter& reloaded_;
  prometheus::Counter& failed_;
  Users users_;
  ListenerCertificates certificates_;
  std::unique_ptr<access::EndpointFiles> endpoints_;
  std::unique_ptr<access::IdentityFiles> identities_;
};

}  // namespace mmsmo
