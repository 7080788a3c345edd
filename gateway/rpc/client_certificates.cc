#include "gateway/rpc/client_certificates.h"

#include <grpc/grpc_security_constants.h>

#include <utility>

namespace mmsmo::rpc {
namespace {

constexpr char kSanProperty[] = "x509_subject_alternative_name";
// More are forgotten, and looked at anew.
constexpr size_t kMostShown = 1'024;
constexpr int64_t kLookAgainMicros = 4'000'000;

std::string ValueOf(const grpc::AuthContext& connection, const char* property) {
  const std::vector<grpc::string_ref> values = connection.FindPropertyValues(property);
  return values.empty() ? std::string() : std::string(values[0].data(), values[0].size());
}

}  // namespace

std::shared_ptr<ClientCertificates::Shown> ClientCertificates::Of(
    const grpc::AuthContext& connection) {
  if (certificates_ == nullptr || !connection.IsPeerAuthenticated()) return nullptr;
  std::string certificate = ValueOf(connection, GRPC_X509_PEM_CERT_PROPERTY_NAME);
  std::string chain = ValueOf(connection, GRPC_X509_PEM_CERT_CHAIN_PROPERTY_NAME);
  if (certificate.empty()) return nullptr;
  MutexLock lock(&mu_);
  const std::string both = certificate + chain;
  if (const auto known = shown_.find(both); known != shown_.end()) return known->second;
  if (shown_.size() >= kMostShown) shown_.clear();
  auto shown = std::make_shared<Shown>();
  for (const grpc::string_ref& name : connection.FindPropertyValues(kSanProperty))
    shown->names_.emplace_back(name.data(), name.size());
  shown->certificate_ = std::move(certificate);
  shown->chain_ = std::move(chain);
  // A session that is resumed brings its certificate alone.
  shown_[shown->certificate_] = shown;
  shown_[both] = shown;
  return shown;
}

bool ClientCertificates::IsGood(Shown& shown) {
  const uint64_t version = certificates_->version();  // before the snapshot that belongs to it
  const int64_t now = clock_.MonotonicMicros();
  {
    MutexLock lock(&mu_);
    if (shown.version_ == version && now < shown.until_micros_) return shown.good_;
  }
  const bool good = certificates_->snapshot()->Verifies(shown.certificate_, shown.chain_);
  MutexLock lock(&mu_);
  shown.good_ = good;
  shown.version_ = version;
  shown.until_micros_ = now + kLookAgainMicros;
  return good;
}

}  // namespace mmsmo::rpc
