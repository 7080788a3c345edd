#include "gateway/rpc/credentials.h"

#include <grpc/grpc.h>
#include <grpc/grpc_security.h>

#include <string>
#include <utility>

#include "mutex.h"

namespace mmsmo::rpc {
namespace {

grpc_ssl_server_certificate_config* ConfigOf(const tls::Texts& texts) {
  const grpc_ssl_pem_key_cert_pair pair{.private_key = texts.key.c_str(),
                                        .cert_chain = texts.cert.c_str()};
  // gRPC 1.51 wants authorities even where no client is asked for its certificate.
  const std::string& authorities = texts.client_ca.empty() ? texts.cert : texts.client_ca;
  return grpc_ssl_server_certificate_config_create(authorities.c_str(), &pair, 1);
}

// The library's own credentials of C++ have certificates for good, or files of which it drops the
// old ones before it has looked at the new; those of C ask before each handshake.
class RotatingCredentials final : public grpc::ServerCredentials {
 public:
  explicit RotatingCredentials(const tls::Certificates* certificates)
      : certificates_(certificates),
        credentials_(grpc_ssl_server_credentials_create_with_options(
            grpc_ssl_server_credentials_create_options_using_config_fetcher(
                certificates->snapshot()->asks_for_certificate()
                    ? GRPC_SSL_REQUEST_CLIENT_CERTIFICATE_AND_VERIFY
                    : GRPC_SSL_DONT_REQUEST_CLIENT_CERTIFICATE,
                Fetch, this))) {}
  ~RotatingCredentials() override { grpc_server_credentials_release(credentials_); }

  // Who may do what is judged by the services.
  void SetAuthMetadataProcessor(const std::shared_ptr<grpc::AuthMetadataProcessor>&) override {}

 private:
  int AddPortToServer(const std::string& address, grpc_server* server) override {
    return grpc_server_add_http2_port(server, address.c_str(), credentials_);
  }

  static grpc_ssl_certificate_config_reload_status Fetch(
      void* self, grpc_ssl_server_certificate_config** config) {
    return static_cast<RotatingCredentials*>(self)->FetchNewest(config);
  }
  grpc_ssl_certificate_config_reload_status FetchNewest(
      grpc_ssl_server_certificate_config** config) {
    const auto snapshot = certificates_->snapshot();
    MutexLock lock(&mu_);
    if (snapshot == given_) return GRPC_SSL_CERTIFICATE_CONFIG_RELOAD_UNCHANGED;
    given_ = snapshot;
    *config = ConfigOf(snapshot->texts());
    return GRPC_SSL_CERTIFICATE_CONFIG_RELOAD_NEW;
  }

  const tls::Certificates* const certificates_;
  Mutex mu_;
  std::shared_ptr<const tls::Snapshot> given_ ABSL_GUARDED_BY(mu_);
  grpc_server_credentials* const credentials_;
};

}  // namespace

std::shared_ptr<grpc::ServerCredentials> TlsCredentials(const tls::Certificates* certificates) {
  return std::make_shared<RotatingCredentials>(certificates);
}

}  // namespace mmsmo::rpc
