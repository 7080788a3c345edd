#include "gateway/access/endpoint_files.h"

#include <set>
#include <utility>

#include "gateway/base/log.h"
#include "gateway/base/status.h"

namespace mmsmo::access {

EndpointFiles::EndpointFiles(Metrics& metrics) : reloads_(metrics) {}

absl::StatusOr<std::unique_ptr<EndpointFiles>> EndpointFiles::Open(
    const std::vector<EndpointSettings>& settings, Metrics& metrics) {
  std::unique_ptr<EndpointFiles> files(new EndpointFiles(metrics));
  std::set<std::string> names, paths;
  for (const EndpointSettings& one : settings) {
    if (!names.insert(one.name).second)
      return InvalidArgument("endpoint '{}': it is declared twice", one.name);
    if (!paths.insert(one.path).second)
      return InvalidArgument("endpoint '{}': path: another endpoint has '{}'", one.name, one.path);
    auto endpoint = Endpoint::Make(one, &files->reader_);
    if (!endpoint.ok()) {
      return MakeStatus(endpoint.status().code(),
                        fmt::format("endpoint '{}': {}", one.name, MessageOf(endpoint.status())));
    }
    for (const std::string& file : files->reader_.TakeWorldReadable())
      Log()->warn("endpoint '{}': everybody may read its secret in '{}'", one.name, file);
    files->endpoints_.push_back(*std::move(endpoint));
    files->broken_.emplace_back();
  }
  return files;
}

bool EndpointFiles::Look() {
  bool changed = false;
  for (size_t i = 0; i < endpoints_.size(); ++i) {
    const std::string& name = endpoints_[i]->settings().name;
    auto endpoint = Endpoint::Make(endpoints_[i]->settings(), &reader_);
    std::string broken(MessageOf(endpoint.status()));
    if (!endpoint.ok() && broken != broken_[i]) {
      reloads_.kept.Increment();
      Log()->error("endpoint '{}': it keeps the secrets that it had: {}", name, broken);
    }
    broken_[i] = std::move(broken);
    if (!endpoint.ok() || (*endpoint)->HasSecretsOf(*endpoints_[i])) continue;
    reloads_.changed.Increment();
    Log()->info("endpoint '{}': its secrets have changed", name);
    endpoints_[i] = *std::move(endpoint);
    changed = true;
  }
  return changed;
}

}  // namespace mmsmo::access
