#include "gateway/declared_identities.h"

#include <sstream>
#include <utility>

#include "gateway/base/status.h"

namespace mmsmo {
namespace {

using access::IdentitySettings;

// Reads one table; the first error stays.
class TableReader {
 public:
  TableReader(const toml::table& table, std::string where)
      : table_(table), where_(std::move(where)) {}

  absl::StatusOr<IdentitySettings> Read() {
    IdentitySettings settings;
    for (const auto& [key, value] : table_) {
      if (!ReadKey(std::string(key.str()), value, &settings))
        Fail(key.str(), "it is not a setting of an identity");
    }
    if (!status_.ok()) return status_;
    return settings;
  }

 private:
  // False for an unknown key.
  bool ReadKey(const std::string& key, const toml::node& value, IdentitySettings* to) {
    if (key == "name") {
      to->name = Text(key, value);
    } else if (key == "token-file") {
      to->tokens.files = Texts(key, value);
    } else if (key == "token-env") {
      to->tokens.variables = Texts(key, value);
    } else if (key == "token-sha256") {
      to->token_sha256 = Texts(key, value);
    } else if (key == "san") {
      to->sans = Texts(key, value);
    } else if (key == "uid") {
      to->uids = Numbers(key, value);
    } else if (key == "allow") {
      to->allow = Texts(key, value);
    } else if (key == "subscriptions") {
      to->subscriptions = Texts(key, value);
    } else if (key == "endpoints") {
      to->endpoints = Texts(key, value);
    } else if (key == "rate") {
      if (!value.is_number()) Fail(key, "it must be a number of calls a second");
      to->rate = value.value_or(0.0);
    } else {
      return false;
    }
    return true;
  }

  void Fail(std::string_view key, std::string_view why) {
    if (status_.ok()) status_ = InvalidArgument("{}: {}: {}", where_, key, why);
  }
  std::string Text(std::string_view key, const toml::node& value) {
    if (!value.is_string()) Fail(key, "it must be a string");
    return value.value_or(std::string());
  }
  std::vector<std::string> Texts(std::string_view key, const toml::node& value) {
    std::vector<std::string> texts;
    if (!value.is_array()) Fail(key, "it must be an array of strings");
    if (const toml::array* const array = value.as_array()) {
      for (const toml::node& one : *array) texts.push_back(Text(key, one));
    }
    return texts;
  }
  std::vector<int64_t> Numbers(std::string_view key, const toml::node& value) {
    std::vector<int64_t> numbers;
    if (!value.is_array()) Fail(key, "it must be an array of numbers");
    if (const toml::array* const array = value.as_array()) {
      for (const toml::node& one : *array) {
        if (!one.is_integer()) Fail(key, "it must be an array of numbers");
        numbers.push_back(one.value_or(int64_t{0}));
      }
    }
    return numbers;
  }

  const toml::table& table_;
  const std::string where_;
  absl::Status status_;
};

template <typename Values>
void InsertUnlessEmpty(toml::table& table, std::string_view key, const Values& values) {
  toml::array array;
  for (const auto& value : values) array.push_back(value);
  if (!array.empty()) table.insert(key, std::move(array));
}

// What TableReader reads.
toml::table TableOf(const IdentitySettings& settings) {
  toml::table table;
  table.insert("name", settings.name);
  InsertUnlessEmpty(table, "token-file", settings.tokens.files);
  InsertUnlessEmpty(table, "token-env", settings.tokens.variables);
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
  std::vector<IdentitySettings> declared;
  const toml::node* const tables = root.get(kIdentityTable);
  if (tables == nullptr) return declared;
  if (!tables->is_array_of_tables())
    return InvalidArgument("{}: {}: write it as [[identity]]", file, kIdentityTable);
  for (const toml::node& node : *tables->as_array()) {
    const toml::table& table = *node.as_table();
    auto settings = TableReader(table, fmt::format("{}: identity '{}'", file,
                                                   table["name"].value_or(std::string_view("?"))))
                        .Read();
    if (!settings.ok()) return settings.status();
    declared.push_back(*std::move(settings));
  }
  const std::vector<std::vector<access::Digest>> not_read(declared.size());
  const auto identities = access::Identities::Create(declared, not_read);
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
