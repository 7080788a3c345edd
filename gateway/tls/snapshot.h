// What a listener's files said at one time: constant, and shared by the connections made with it.

#pragma once

#include <chrono>
#include <memory>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "gateway/tls/files.h"
#include "gateway/tls/openssl.h"

namespace mmsmo::tls {

// PEM.
struct Texts {
  std::string cert;
  std::string key;
  std::string client_ca;
  bool operator==(const Texts&) const = default;
};

// Thread-safe.
class Snapshot {
 public:
  using Time = std::chrono::system_clock::time_point;

  // InvalidArgument where the texts are not what they should be, or not of each other; errors name
  // the setting that begins with `prefix`, such as "http-tls-", and its file, never what is in it.
  static absl::StatusOr<std::shared_ptr<const Snapshot>> Create(Texts texts, const Files& files,
                                                                std::string_view prefix);

  // For connections of HTTP/1.1.
  SSL_CTX* context() const { return context_.get(); }
  // For whoever makes a context of his own.
  const Texts& texts() const { return texts_; }
  bool asks_for_certificate() const { return !texts_.client_ca.empty(); }
  // Between these the certificate and all that are sent with it are valid.
  Time not_before() const { return not_before_; }
  Time not_after() const { return not_after_; }

  // Whether a client with this certificate, and with these between it and the authority, would be
  // let in now. Takes a tenth of a millisecond.
  bool Verifies(X509* certificate, STACK_OF(X509) * chain) const;
  // Likewise of PEM texts; the chain may begin with the certificate itself.
  bool Verifies(std::string_view certificate, std::string_view chain) const;

 private:
  explicit Snapshot(Texts texts) : texts_(std::move(texts)) {}

  const Texts texts_;
  ContextPtr context_;
  Time not_before_ = Time::min();
  Time not_after_ = Time::max();
};

}  // namespace mmsmo::tls
