#include "gateway/table_reader.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <limits>

#include "absl/strings/str_join.h"
#include "gateway/base/status.h"

namespace mmsmo {
namespace {

template <typename Number>
std::optional<Number> WithUnit(std::string text, const CLI::Validator& to_number) {
  Number number{};
  try {
    if (!to_number(text).empty() || !CLI::detail::lexical_cast(text, number)) return std::nullopt;
  } catch (const CLI::ValidationError&) {
    return std::nullopt;
  }
  return number;
}

}  // namespace

const std::map<std::string, int64_t>& DurationUnits() {
  static const std::map<std::string, int64_t> kUnits = {
      {"ms", 1}, {"s", 1'000}, {"m", 60'000}, {"h", 3'600'000}, {"d", 86'400'000}};
  return kUnits;
}

TableReader::TableReader(const toml::table& table, std::string where)
    : table_(table), where_(std::move(where)) {}

const toml::node* TableReader::Take(std::string_view key) {
  taken_.emplace(key);
  return table_.get(key);
}

void TableReader::Fail(std::string_view key, std::string_view why) {
  if (status_.ok()) status_ = InvalidArgument("{}: {}: {}", where_, key, why);
}

absl::Status TableReader::Wrong(std::string_view why) const {
  return InvalidArgument("{}: {}", where_, why);
}

absl::Status TableReader::Finish(std::string_view what) {
  for (const auto& [key, value] : table_) {
    if (taken_.contains(key.str())) continue;
    Fail(key.str(), fmt::format("it is not a setting of {}", what));
  }
  return status_;
}

void TableReader::Text(std::string_view key, std::string* to) {
  const toml::node* const value = Take(key);
  if (value == nullptr) return;
  if (!value->is_string()) return Fail(key, "it must be a string");
  *to = value->value_or(std::string());
}

void TableReader::Texts(std::string_view key, std::vector<std::string>* to, bool some) {
  const toml::node* const value = Take(key);
  if (value == nullptr) return;
  to->clear();
  if (value->is_string()) return to->push_back(value->value_or(std::string()));
  const toml::array* const array = value->as_array();
  if (array == nullptr) return Fail(key, "it must be an array of strings");
  const bool are_strings = std::all_of(array->begin(), array->end(),
                                       [](const toml::node& one) { return one.is_string(); });
  if (!are_strings) return Fail(key, "each of it must be a string");
  if (some && array->empty()) return Fail(key, "it must not be empty; leave it out for all");
  for (const toml::node& one : *array) to->push_back(one.value_or(std::string()));
}

void TableReader::Texts(std::string_view key, std::optional<std::vector<std::string>>* to) {
  std::vector<std::string> texts;
  Texts(key, &texts);
  if (table_.contains(key)) *to = std::move(texts);
}

void TableReader::Integers(std::string_view key, std::vector<int64_t>* to) {
  const toml::node* const value = Take(key);
  if (value == nullptr) return;
  const toml::array* const array = value->as_array();
  const bool are_integers =
      array != nullptr && std::all_of(array->begin(), array->end(),
                                      [](const toml::node& one) { return one.is_integer(); });
  if (!are_integers) return Fail(key, "it must be an array of integers");
  to->clear();
  for (const toml::node& one : *array) to->push_back(one.value_or(int64_t{0}));
}

void TableReader::Integer(std::string_view key, int* to) {
  const toml::node* const value = Take(key);
  if (value == nullptr) return;
  const std::optional<int> number = value->is_integer() ? value->value<int>() : std::nullopt;
  if (!number) return Fail(key, "it must be an integer in range");
  *to = *number;
}

void TableReader::Number(std::string_view key, double* to) {
  const toml::node* const value = Take(key);
  if (value == nullptr) return;
  if (!value->is_number()) return Fail(key, "it must be a number");
  *to = value->value_or(0.0);
}

void TableReader::Boolean(std::string_view key, bool* to) {
  const toml::node* const value = Take(key);
  if (value == nullptr) return;
  if (!value->is_boolean()) return Fail(key, "it must be true or false");
  *to = value->value_or(false);
}

void TableReader::Millis(std::string_view key, int64_t* to) {
  std::optional<int64_t> millis;
  Millis(key, &millis);
  if (millis) *to = *millis;
}

void TableReader::Millis(std::string_view key, std::optional<int64_t>* to) {
  static const CLI::AsNumberWithUnit kToMillis(DurationUnits(),
                                               CLI::AsNumberWithUnit::UNIT_REQUIRED, "DURATION");
  constexpr int64_t kLongest = std::numeric_limits<int64_t>::max() / 1000;
  const toml::node* const value = Take(key);
  if (value == nullptr) return;
  if (!value->is_string()) return Fail(key, "it must be a string");
  const auto millis = WithUnit<int64_t>(value->value_or(std::string()), kToMillis);
  if (!millis || *millis < -kLongest || *millis > kLongest)
    return Fail(key, "it must be a time such as \"30s\" or \"7d\"");
  *to = millis;
}

void TableReader::Bytes(std::string_view key, uint64_t* to) {
  const toml::node* const value = Take(key);
  if (value == nullptr) return;
  const auto text = value->is_boolean() ? std::nullopt : TextOfToml(*value);
  const auto bytes =
      text ? WithUnit<uint64_t>(*text, CLI::AsSizeValue(/*kb_is_1000=*/false)) : std::nullopt;
  if (!bytes) return Fail(key, "it must be a number of bytes such as 65536 or \"64KiB\"");
  *to = *bytes;
}

void TableReader::Word(std::string_view key, const std::vector<std::string>& words, size_t* to) {
  std::string word = words[*to];
  Text(key, &word);
  const auto found = std::find(words.begin(), words.end(), word);
  if (found == words.end())
    return Fail(key, fmt::format("allowed are {}", absl::StrJoin(words, ", ")));
  *to = static_cast<size_t>(found - words.begin());
}

void TableReader::Secrets(std::string_view key, access::SecretSources* to) {
  Texts(fmt::format("{}-file", key), &to->files, /*some=*/true);
  Texts(fmt::format("{}-env", key), &to->variables, /*some=*/true);
}

bool TableReader::Table(std::string_view key, const std::function<void(TableReader&)>& read) {
  const toml::node* const value = Take(key);
  if (value == nullptr) return false;
  if (!value->is_table()) {
    Fail(key, "it must be a table");
    return false;
  }
  TableReader within(*value->as_table(), fmt::format("{}: {}", where_, key));
  read(within);
  const absl::Status status = within.Finish(key);
  if (status_.ok()) status_ = status;
  return true;
}

std::string WhereOf(const std::string& file, std::string_view name, const toml::table& table) {
  return fmt::format("{}: {} '{}'", file, name, table["name"].value_or(std::string_view("?")));
}

absl::Status NoArrayOfTables(const std::string& file, std::string_view name) {
  return InvalidArgument("{}: {}: write it as [[{}]]", file, name, name);
}

toml::array ArrayOf(const std::vector<std::string>& values) {
  toml::array array;
  for (const std::string& value : values) array.push_back(value);
  return array;
}

void InsertSecrets(std::string_view key, const access::SecretSources& sources, toml::table* table) {
  if (!sources.files.empty()) table->insert(fmt::format("{}-file", key), ArrayOf(sources.files));
  if (!sources.variables.empty())
    table->insert(fmt::format("{}-env", key), ArrayOf(sources.variables));
}

}  // namespace mmsmo
