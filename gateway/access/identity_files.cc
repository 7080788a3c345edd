#include "gateway/access/identity_files.h"

#include <algorithm>
#include <utility>

#include "gateway/base/log.h"
#include "gateway/base/status.h"

namespace mmsmo::access {
namespace {

absl::Status OfIdentity(const IdentitySettings& settings, const absl::Status& status) {
  return MakeStatus(status.code(),
                    fmt::format("identity '{}': token-file: {}", settings.name, MessageOf(status)));
}

}  // namespace

IdentityFiles::IdentityFiles(Metrics& metrics) : reloads_(metrics) {}

absl::StatusOr<std::unique_ptr<IdentityFiles>> IdentityFiles::Open(
    std::vector<IdentitySettings> settings, Metrics& metrics) {
  std::unique_ptr<IdentityFiles> files(new IdentityFiles(metrics));
  if (auto status = files->Replace(std::move(settings)); !status.ok()) return status;
  return files;
}

std::shared_ptr<const Identities> IdentityFiles::identities() const {
  MutexLock lock(&mu_);
  return identities_;
}

absl::Status IdentityFiles::Replace(std::vector<IdentitySettings> settings) {
  MutexLock lock(&mu_);
  std::vector<Source> sources;
  for (auto& one : settings) {
    auto tokens = ReadTokens(one);
    if (!tokens.ok()) return OfIdentity(one, tokens.status());
    sources.push_back({.settings = std::move(one), .tokens = *std::move(tokens), .broken = ""});
  }
  auto identities = Make(sources);
  if (!identities.ok()) return identities.status();
  sources_ = std::move(sources);
  identities_ = *std::move(identities);
  return absl::OkStatus();
}

std::shared_ptr<const Identities> IdentityFiles::Look() {
  MutexLock lock(&mu_);
  bool changed = false;
  for (Source& source : sources_) {
    auto read = ReadTokens(source.settings);
    if (!read.ok()) {
      Break(source, read.status());
      continue;
    }
    if (*read == source.tokens) {
      source.broken.clear();
      continue;
    }
    std::swap(source.tokens, *read);
    auto identities = Make(sources_);
    if (!identities.ok()) {
      std::swap(source.tokens, *read);
      Break(source, identities.status());
      continue;
    }
    identities_ = *std::move(identities);
    source.broken.clear();
    changed = true;
    reloads_.changed.Increment();
    Log()->info("identity '{}': its tokens have changed", source.settings.name);
  }
  return changed ? identities_ : nullptr;
}

absl::StatusOr<IdentityFiles::Tokens> IdentityFiles::ReadTokens(const IdentitySettings& settings) {
  const auto secrets = reader_.Read(settings.tokens);
  if (!secrets.ok()) return secrets.status();
  Tokens tokens;
  for (const std::string& secret : *secrets) tokens.push_back(DigestOf(secret));
  for (const std::string& file : reader_.TakeWorldReadable())
    Log()->warn("identity '{}': everybody may read its token in '{}'", settings.name, file);
  const auto is_short = [](const std::string& secret) { return secret.size() < kShortToken; };
  const Identities* const known = identities_.get();
  const bool are_known =
      known != nullptr && std::all_of(tokens.begin(), tokens.end(), [known](const Digest& token) {
        return known->ByToken(token) != nullptr;
      });
  if (!are_known && std::any_of(secrets->begin(), secrets->end(), is_short)) {
    Log()->warn("identity '{}': a token of under {} characters can be guessed", settings.name,
                kShortToken);
  }
  return tokens;
}

void IdentityFiles::Break(Source& source, const absl::Status& why) {
  if (source.broken == MessageOf(why)) return;
  source.broken = MessageOf(why);
  reloads_.kept.Increment();
  Log()->error("identity '{}': it keeps the tokens that it had: {}", source.settings.name,
               MessageOf(why));
}

absl::StatusOr<std::shared_ptr<const Identities>> IdentityFiles::Make(
    const std::vector<Source>& sources) {
  std::vector<IdentitySettings> settings;
  std::vector<Tokens> tokens;
  for (const Source& source : sources) {
    settings.push_back(source.settings);
    tokens.push_back(source.tokens);
  }
  return Identities::Create(settings, tokens);
}

}  // namespace mmsmo::access
