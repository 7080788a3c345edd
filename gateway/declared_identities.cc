#include "gateway/declared_identities.h"

#include <sstream>
#include <utility>

#include "gateway/base/status.h"
#include "gateway/table_reader.h"

namespace mmsmo {
namespace {

using access::IdentitySettings;

absl::Status ReadIdentity(TableReader& reader, IdentitySettings* to) {
  reader.Text("name", &to->name);
  reader.Secrets("token", &to->tokens);
  reader.Texts("token-sha256", &to->token_sha256);
  reader.Texts("san", &to->sans);
  reader.Integers("uid", &to->uids);
  reader.Texts("allow", &to->allow);
  reader.Texts("subscriptions", &to->subscriptions);
  reader.Texts("endpoints", &to->endpoints);
  reader.Number("rate", &to->rate);
  return reader.Finish("an identity");
}

template <typename Values>
void InsertUnlessEmpty(toml::table& table, std::string_view key, const Values& values) {
  toml::array array;
  for (const auto& value : values) array.push_back(value);
  if (!array.empty()) table.insert(key, std::move(array));
}

// What ReadIdentity reads.
toml::table TableOf(const IdentitySettings& settings) {
  toml::table table;
  table.insert("name", settings.name);
  InsertSecrets("token", settings.tokens, &table);
  InsertUnlessEmpty(table, "token-sha256", settings.token_sha256);
  InsertUnlessEmpty(table, "san", settings.sans);
  InsertUnlessEmpty(table, "uid", settings.uids);
  InsertUnlessEmpty(table, "allow", settings.allow);
  if (settings.subscriptions) InsertUnlessEmpty(table, "subscriptions", *settings.subscriptions);
  if (settings.endpoints) InsertUnlessEmpty(table, "endpoints", *settings.endpoints);
  if (settings.rate > 0) table.insert("rate", settings.rate);
  return table;
}

}  // namespace

absl::StatusOr<std::vector<IdentitySettings>> ReadDeclaredIdentities(const std::string& file,
                                                                     const toml::table& root) {
  auto declared = ReadTables<IdentitySettings>(file, root, kIdentityTable, ReadIdentity);
  if (!declared.ok()) return declared;
  const std::vector<std::vector<access::Digest>> not_read(declared->size());
  const auto identities = access::Identities::Create(*declared, not_read);
  if (!identities.ok()) return InvalidArgument("{}: {}", file, MessageOf(identities.status()));
  return declared;
}

std::string FormatDeclaredIdentities(const std::vector<IdentitySettings>& declared) {
  std::ostringstream out;
  for (const IdentitySettings& settings : declared)
    out << "\n[[" << kIdentityTable << "]]\n" << TableOf(settings) << "\n";
  return out.str();
}

}  // namespace mmsmo
