// The one place where it is asked who makes a call, and whether he may.

#pragma once

#include <grpcpp/server_context.h>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <variant>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "gateway/access/identity.h"
#include "gateway/base/clock.h"
#include "gateway/base/metrics.h"
#include "gateway/base/thread_pool.h"
#include "gateway/broker/audit.h"
#include "gateway/broker/subscriptions.h"
#include "gateway/rpc/client_certificates.h"
#include "gateway/tls/certificates.h"
#include "mutex.h"

namespace mmsmo::rpc {

// Who makes a call, and by what he is known.
class Caller {
 public:
  // Where there are no identities it is nobody in particular, who may do everything.
  Caller() = default;

  // For messages and records; empty for nobody in particular.
  std::string_view name() const {
    return identity_ == nullptr ? std::string_view() : identity_->name();
  }
  bool SeesEndpoint(std::string_view endpoint) const {
    return identity_ == nullptr || identity_->SeesEndpoint(endpoint);
  }
  // Whether it may be told of what has these.
  bool Sees(const access::Facts& facts) const {
    return identity_ == nullptr || identity_->Limit(facts).ok();
  }
  // Those it is limited to; null: none.
  const std::vector<std::string>* endpoints() const {
    return identity_ == nullptr ? nullptr : identity_->endpoints();
  }
  // What is to be recorded of a call of that method, where it changes something of a subscription's
  // or, without one, of the quarantine's.
  broker::ActPtr ActOf(std::string_view method, std::string_view subscription = "") const;
  // What is left of a filter of events within those. With endpoints of its own it is to have been
  // judged.
  v1::Filter Within(v1::Filter filter) const;

 private:
  friend class Gate;
  using Certificate = std::shared_ptr<ClientCertificates::Shown>;
  struct Uid {
    uid_t uid = 0;
  };
  using Credential = std::variant<std::monostate, access::Digest, Certificate, Uid>;

  Credential credential_;
  std::string peer_;                                      // where it may be recorded
  std::shared_ptr<const access::Identities> identities_;  // in force when it was found
  const access::Identity* identity_ = nullptr;
};

// What a call asks for.
struct Question {
  // None: whoever is known may.
  std::optional<access::Permission> permission;
  // Of an existing subscription the endpoints of its filter count, unless others are given.
  access::Facts facts;
};

// The answer.
struct Admission {
  absl::Status status;
  // With a refusal: to be told so much later.
  std::chrono::milliseconds late{0};
  Caller caller;

  bool ok() const { return status.ok(); }
};

// Thread-safe.
class Gate {
 public:
  // So late a token that is nobody's is answered, of at most so many calls at once; more are
  // answered at once.
  static constexpr std::chrono::milliseconds kLate{500};
  static constexpr int kMostLate = 1'000;

  // What of a unix connection's peer is known; none for any other.
  using UidOf = std::function<std::optional<uid_t>(std::string_view peer)>;

  // All must outlive it; `certificates` are the listener's, null where it is plain.
  Gate(UidOf uid_of, const tls::Certificates* certificates, broker::Subscriptions* subscriptions,
       const Clock& clock, ThreadPool* timers, Metrics& metrics);

  // From now on calls are judged by these; calls that are kept are judged again.
  void SetIdentities(std::shared_ptr<const access::Identities> identities);
  // Time has passed, or the authorities of clients' certificates have changed: calls that are kept
  // and came with a certificate are judged again.
  void JudgeCertificates();

  // Once for each call, at its beginning. Errors: Unauthenticated, where it shows no credential or
  // one that is nobody's; PermissionDenied, which says what it lacks; ResourceExhausted with reason
  // "RATE_LIMITED".
  Admission Admit(const grpc::CallbackServerContext& context, const Question& question);
  // Something else that an admitted call needs. PermissionDenied.
  absl::Status Judge(const Caller& caller, const Question& question);

  // A call that goes on, which was admitted: `end` is called, on any thread, with Unauthenticated
  // once its credential is nobody's any more, or with PermissionDenied once what it does is not
  // allowed any more. It may be called more than once, and once more while the call is being
  // forgotten; must not block.
  using End = std::function<void(const absl::Status&)>;
  using Kept = uint64_t;
  Kept Keep(const grpc::CallbackServerContext& context, Caller caller, const Question& question,
            End end);
  void Forget(Kept kept);
  // What is kept is judged again: a subscription's filter has changed.
  void JudgeKept();

  // Runs `answer` after that time, or at once where too many wait.
  void AnswerLate(std::chrono::milliseconds late, absl::AnyInvocable<void()> answer);

 private:
  struct KeptCall {
    Caller caller;
    std::optional<access::Permission> permission;
    std::optional<std::string> subscription;
    std::optional<std::vector<std::string>> endpoints;
    End end;
  };
  // Why calls are refused, as metrics and log have it.
  enum class Refusal {
    kMissing,
    kUnknown,
    kMalformed,
    kPermission,
    kSubscription,
    kEndpoint,
    kRate
  };
  struct Refused {
    prometheus::Counter* total;
    std::atomic<int64_t> logged_second{0};
    std::atomic<int64_t> unlogged{0};
  };

  std::shared_ptr<const access::Identities> identities() const;
  std::vector<prometheus::MetricFamily> Sample() const;
  // Where a call comes from, as records have it.
  std::string PeerOf(const grpc::CallbackServerContext& context) const;
  // InvalidArgument for metadata that is no token.
  absl::StatusOr<Caller::Credential> CredentialOf(const grpc::CallbackServerContext& context);
  // Errors as Admit's.
  absl::Status Identify(const absl::StatusOr<Caller::Credential>& credential, Caller* caller);
  const access::Identity* Find(const access::Identities& identities,
                               const Caller::Credential& credential);
  absl::Status Check(const access::Identity& identity, const Question& question);
  void JudgeAgain(const KeptCall& kept);
  void JudgeAgain(bool (*concerns)(const KeptCall& kept));
  absl::Status Refuse(Refusal refusal, std::string_view name, absl::Status status);

  const UidOf uid_of_;
  ClientCertificates certificates_;
  broker::Subscriptions* const subscriptions_;
  const Clock& clock_;
  ThreadPool* const timers_;
  Refused refused_[7];
  std::atomic<int> late_{0};

  mutable Mutex mu_;
  std::shared_ptr<const access::Identities> identities_ ABSL_GUARDED_BY(mu_);
  Kept last_kept_ ABSL_GUARDED_BY(mu_) = 0;
  std::unordered_map<Kept, std::shared_ptr<const KeptCall>> kept_ ABSL_GUARDED_BY(mu_);
};

}  // namespace mmsmo::rpc
