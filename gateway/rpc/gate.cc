#include "gateway/rpc/gate.h"

#include <grpcpp/security/auth_context.h>

#include <iterator>
#include <utility>

#include "gateway/base/log.h"
#include "gateway/base/status.h"
#include "gateway/rpc/status.h"

namespace mmsmo::rpc {
namespace {

constexpr char kAuthorization[] = "authorization";
constexpr int64_t kSecond = 1'000'000;

// What refusals have in metrics and in the log, in the order of Refusal.
constexpr std::string_view kRefusals[] = {"missing",      "unknown",  "malformed", "permission",
                                          "subscription", "endpoint", "rate"};

std::string_view View(const grpc::string_ref& text) { return {text.data(), text.size()}; }

// Whether it allows what leaves a record.
bool MayChange(std::optional<access::Permission> permission) {
  return permission == access::Permission::kManage || permission == access::Permission::kQuarantine;
}

absl::Status Unauthenticated(std::string_view message, std::string_view reason) {
  return WithReason(MakeStatus(absl::StatusCode::kUnauthenticated, message), reason);
}

}  // namespace

v1::Filter Caller::Within(v1::Filter filter) const {
  if (endpoints() != nullptr && filter.endpoints().empty())
    filter.mutable_endpoints()->Assign(endpoints()->begin(), endpoints()->end());
  return filter;
}

broker::ActPtr Caller::ActOf(std::string_view method, std::string_view subscription) const {
  auto act = std::make_shared<broker::Act>();
  act->record.set_identity(std::string(name()));
  act->record.set_peer(peer_);
  act->record.set_method(std::string(method));
  act->record.set_subscription(std::string(subscription));
  return act;
}

Gate::Gate(UidOf uid_of, const tls::Certificates* certificates,
           broker::Subscriptions* subscriptions, const Clock& clock, ThreadPool* timers,
           Metrics& metrics)
    : uid_of_(std::move(uid_of)),
      certificates_(certificates, clock),
      subscriptions_(subscriptions),
      clock_(clock),
      timers_(timers),
      identities_(std::make_shared<access::Identities>()) {
  for (size_t i = 0; i < std::size(kRefusals); ++i) {
    refused_[i].total = &metrics.Counter("mmsmo_grpc_access_refused_total",
                                         "Calls that were refused for who makes them, by reason.",
                                         {{"reason", std::string(kRefusals[i])}});
  }
  metrics.AddSampler([this] { return Sample(); });
}

// Calls count from when the identities were last read anew.
std::vector<prometheus::MetricFamily> Gate::Sample() const {
  prometheus::MetricFamily calls{.name = "mmsmo_identity_calls_total",
                                 .help = "Calls by identity, those over its rate aside.",
                                 .type = prometheus::MetricType::Counter};
  prometheus::MetricFamily rates{.name = "mmsmo_identity_rate_limit",
                                 .help = "Calls a second that an identity may make.",
                                 .type = prometheus::MetricType::Gauge};
  const auto current = identities();
  for (const auto& identity : current->all()) {
    prometheus::ClientMetric metric;
    metric.label.push_back({.name = "identity", .value = identity->name()});
    metric.counter.value = static_cast<double>(identity->calls());
    calls.metric.push_back(metric);
    if (identity->settings().rate <= 0) continue;
    metric.gauge.value = identity->settings().rate;
    rates.metric.push_back(metric);
  }
  std::vector<prometheus::MetricFamily> families;
  for (auto* const family : {&calls, &rates})
    if (!family->metric.empty()) families.push_back(std::move(*family));
  return families;
}

void Gate::SetIdentities(std::shared_ptr<const access::Identities> identities) {
  {
    MutexLock lock(&mu_);
    identities_ = std::move(identities);
  }
  JudgeKept();
}

std::shared_ptr<const access::Identities> Gate::identities() const {
  MutexLock lock(&mu_);
  return identities_;
}

Admission Gate::Admit(const grpc::CallbackServerContext& context, const Question& question) {
  Admission admission;
  Caller& caller = admission.caller;
  caller.identities_ = identities();
  if (MayChange(question.permission)) caller.peer_ = PeerOf(context);
  if (caller.identities_->empty()) return admission;
  const auto credential = CredentialOf(context);
  admission.status = Identify(credential, &caller);
  if (!admission.ok()) {
    if (credential.ok() && std::holds_alternative<access::Digest>(*credential))
      admission.late = kLate;
    return admission;
  }
  if (const int64_t micros = caller.identity_->TakeMicros(clock_.MonotonicMicros()); micros > 0) {
    auto too_many =
        MakeStatus(absl::StatusCode::kResourceExhausted,
                   fmt::format("identity '{}' makes more calls than its rate, {} a second, allows",
                               caller.name(), caller.identity_->settings().rate));
    admission.status = Refuse(Refusal::kRate, caller.name(),
                              WithRetryAfter(WithReason(too_many, "RATE_LIMITED"), micros));
    return admission;
  }
  admission.status = Check(*caller.identity_, question);
  return admission;
}

absl::Status Gate::Judge(const Caller& caller, const Question& question) {
  return caller.identity_ == nullptr ? absl::OkStatus() : Check(*caller.identity_, question);
}

std::string Gate::PeerOf(const grpc::CallbackServerContext& context) const {
  const std::string peer = context.peer();
  const auto uid = uid_of_(peer);
  return uid ? fmt::format("unix:uid={}", *uid) : peer;
}

absl::StatusOr<Caller::Credential> Gate::CredentialOf(const grpc::CallbackServerContext& context) {
  const auto [begin, end] = context.client_metadata().equal_range(kAuthorization);
  if (begin != end) {
    if (std::next(begin) != end) return InvalidArgument("authorization is given more than once");
    const auto token = access::CredentialsOf(View(begin->second), "Bearer");
    if (!token) return InvalidArgument("authorization is not of the form 'Bearer TOKEN'");
    return access::DigestOf(*token);
  }
  if (const auto connection = context.auth_context()) {
    if (auto certificate = certificates_.Of(*connection)) return certificate;
  }
  if (const auto uid = uid_of_(context.peer())) return Caller::Uid{*uid};
  return Caller::Credential();
}

const access::Identity* Gate::Find(const access::Identities& identities,
                                   const Caller::Credential& credential) {
  if (const auto* token = std::get_if<access::Digest>(&credential))
    return identities.ByToken(*token);
  if (const auto* certificate = std::get_if<Caller::Certificate>(&credential)) {
    const access::Identity* const identity = identities.BySans((*certificate)->names());
    return identity != nullptr && certificates_.IsGood(**certificate) ? identity : nullptr;
  }
  if (const auto* uid = std::get_if<Caller::Uid>(&credential)) return identities.ByUid(uid->uid);
  return nullptr;
}

absl::Status Gate::Identify(const absl::StatusOr<Caller::Credential>& credential, Caller* caller) {
  if (!credential.ok())
    return Refuse(Refusal::kMalformed, "",
                  Unauthenticated(MessageOf(credential.status()), "CREDENTIAL_MALFORMED"));
  caller->credential_ = *credential;
  caller->identity_ = Find(*caller->identities_, *credential);
  if (caller->identity_ != nullptr) return absl::OkStatus();
  if (std::holds_alternative<access::Digest>(*credential))
    return Refuse(Refusal::kUnknown, "",
                  Unauthenticated("the token is no identity's", "CREDENTIAL_UNKNOWN"));
  if (std::holds_alternative<Caller::Certificate>(*credential))
    return Refuse(Refusal::kUnknown, "",
                  Unauthenticated("the client's certificate is not good any more, or its names are "
                                  "no identity's",
                                  "CREDENTIAL_UNKNOWN"));
  return Refuse(
      Refusal::kMissing, "",
      Unauthenticated("this gateway has to know who calls: give a token as metadata "
                      "'authorization: Bearer TOKEN', or use another credential of an identity",
                      "CREDENTIAL_MISSING"));
}

absl::Status Gate::Check(const access::Identity& identity, const Question& question) {
  if (!question.permission) return absl::OkStatus();
  access::Verdict verdict = identity.Allow(*question.permission, question.facts);
  if (verdict.ok() && question.facts.subscription && !question.facts.endpoints &&
      identity.endpoints() != nullptr) {
    auto endpoints = subscriptions_->EndpointsOf(std::string(*question.facts.subscription));
    if (absl::IsNotFound(endpoints.status())) return absl::OkStatus();
    if (!endpoints.ok()) return endpoints.status();
    verdict = identity.Allow(*question.permission, {.subscription = question.facts.subscription,
                                                    .endpoints = *std::move(endpoints)});
  }
  if (verdict.ok()) return absl::OkStatus();
  auto denied = MakeStatus(absl::StatusCode::kPermissionDenied,
                           fmt::format("identity '{}' lacks {}", identity.name(), verdict.why));
  switch (verdict.lack) {
    case access::Lack::kSubscription:
      return Refuse(Refusal::kSubscription, identity.name(),
                    WithReason(denied, "SUBSCRIPTION_NOT_ALLOWED"));
    case access::Lack::kEndpoint:
      return Refuse(Refusal::kEndpoint, identity.name(),
                    WithReason(denied, "ENDPOINT_NOT_ALLOWED"));
    case access::Lack::kPermission:
    case access::Lack::kNothing:
      break;
  }
  return Refuse(Refusal::kPermission, identity.name(), WithReason(denied, "PERMISSION_MISSING"));
}

Gate::Kept Gate::Keep(const grpc::CallbackServerContext& context, Caller caller,
                      const Question& question, End end) {
  // Where there were no identities yet, it is judged by this once there are some.
  if (caller.identity_ == nullptr) {
    if (auto credential = CredentialOf(context); credential.ok())
      caller.credential_ = *std::move(credential);
  }
  auto kept = std::make_shared<KeptCall>(KeptCall{.caller = std::move(caller),
                                                  .permission = question.permission,
                                                  .subscription = std::nullopt,
                                                  .endpoints = question.facts.endpoints,
                                                  .end = std::move(end)});
  if (question.facts.subscription) kept->subscription.emplace(*question.facts.subscription);
  Kept id = 0;
  bool changed = false;
  {
    MutexLock lock(&mu_);
    id = ++last_kept_;
    kept_.emplace(id, kept);
    changed = identities_ != kept->caller.identities_;
  }
  // A subscription's filter may have changed since it was admitted, too, or the authorities.
  if (changed || kept->subscription ||
      std::holds_alternative<Caller::Certificate>(kept->caller.credential_))
    JudgeAgain(*kept);
  return id;
}

void Gate::Forget(Kept kept) {
  std::shared_ptr<const KeptCall> forgotten;  // until the lock is no more
  MutexLock lock(&mu_);
  const auto it = kept_.find(kept);
  if (it == kept_.end()) return;
  forgotten = std::move(it->second);
  kept_.erase(it);
}

void Gate::JudgeKept() {
  JudgeAgain([](const KeptCall&) { return true; });
}

void Gate::JudgeCertificates() {
  JudgeAgain([](const KeptCall& kept) {
    return std::holds_alternative<Caller::Certificate>(kept.caller.credential_);
  });
}

void Gate::JudgeAgain(bool (*concerns)(const KeptCall& kept)) {
  std::vector<std::shared_ptr<const KeptCall>> concerned;
  {
    MutexLock lock(&mu_);
    for (const auto& [id, kept] : kept_) {
      if (concerns(*kept)) concerned.push_back(kept);
    }
  }
  for (const auto& kept : concerned) JudgeAgain(*kept);
}

void Gate::JudgeAgain(const KeptCall& kept) {
  Caller caller;
  caller.identities_ = identities();
  if (caller.identities_->empty()) return;
  auto status = Identify(kept.caller.credential_, &caller);
  if (status.ok()) {
    Question question{.permission = kept.permission, .facts = {.endpoints = kept.endpoints}};
    if (kept.subscription) question.facts.subscription = *kept.subscription;
    status = Check(*caller.identity_, question);
  }
  if (!status.ok()) kept.end(status);
}

void Gate::AnswerLate(std::chrono::milliseconds late, absl::AnyInvocable<void()> answer) {
  if (late.count() == 0) return answer();
  if (late_.fetch_add(1) >= kMostLate) {
    --late_;
    return answer();
  }
  timers_->RunAt(std::chrono::steady_clock::now() + late,
                 [this, answer = std::move(answer)]() mutable {
                   --late_;
                   answer();
                 });
}

absl::Status Gate::Refuse(Refusal refusal, std::string_view name, absl::Status status) {
  Refused& refused = refused_[static_cast<size_t>(refusal)];
  refused.total->Increment();
  const int64_t second = clock_.MonotonicMicros() / kSecond;
  if (refused.logged_second.exchange(second) == second) {
    ++refused.unlogged;
    return status;
  }
  Log()->warn("grpc: a call was refused: {}{}{}; {} others since the last line like this",
              kRefusals[static_cast<size_t>(refusal)], name.empty() ? "" : ", identity ", name,
              refused.unlogged.exchange(0));
  return status;
}

}  // namespace mmsmo::rpc
