// Reads a table of the configuration file.

#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "gateway/access/secret.h"
#include "gateway/toml_file.h"

namespace mmsmo {

// Of a setting's time, in milliseconds.
const std::map<std::string, int64_t>& DurationUnits();

// Takes its values out one by one; where a key is not there, what `to` points at stays as it is.
// The first error stays: InvalidArgument, with the table, the key and what is allowed.
//
//   TableReader reader(table, "gateway.toml: endpoint 'sinch'");
//   reader.Text("path", &settings.path);
//   reader.Texts("allow-from", &settings.allow_from);
//   return reader.Finish("an endpoint");
class TableReader {
 public:
  // `where` stands before every message. `table` must outlive it.
  TableReader(const toml::table& table, std::string where);

  void Text(std::string_view key, std::string* to);
  // An array of strings, or one string. Where `some`, it must not be empty.
  void Texts(std::string_view key, std::vector<std::string>* to, bool some = false);
  void Texts(std::string_view key, std::optional<std::vector<std::string>>* to);
  void Integers(std::string_view key, std::vector<int64_t>* to);
  void Integer(std::string_view key, int* to);
  void Number(std::string_view key, double* to);
  void Boolean(std::string_view key, bool* to);
  // A time with its unit, in milliseconds.
  void Millis(std::string_view key, int64_t* to);
  void Millis(std::string_view key, std::optional<int64_t>* to);
  // A number of bytes, plain or as a string with a unit.
  void Bytes(std::string_view key, uint64_t* to);
  // One of the words; what `to` becomes is its place among them.
  void Word(std::string_view key, const std::vector<std::string>& words, size_t* to);
  // Of KEY-file and KEY-env.
  void Secrets(std::string_view key, access::SecretSources* to);
  // A table within; false where there is none.
  bool Table(std::string_view key, const std::function<void(TableReader&)>& read);

  void Fail(std::string_view key, std::string_view why);
  // An error about the table as a whole.
  absl::Status Wrong(std::string_view why) const;
  // An error for what went wrong, and for a key that was not asked for: it is no setting of `what`.
  absl::Status Finish(std::string_view what);

 private:
  const toml::node* Take(std::string_view key);

  const toml::table& table_;
  const std::string where_;
  std::set<std::string, std::less<>> taken_;
  absl::Status status_;
};

// Reads the [[`name`]] tables of `root`, which is what stands in `file`. `read` makes a value of
// each, and says what is wrong.
template <typename Value>
absl::StatusOr<std::vector<Value>> ReadTables(
    const std::string& file, const toml::table& root, std::string_view name,
    const std::function<absl::Status(TableReader&, Value*)>& read);

// The text of values as a table of a file.
toml::array ArrayOf(const std::vector<std::string>& values);
// KEY-file and KEY-env, where there are some.
void InsertSecrets(std::string_view key, const access::SecretSources& sources, toml::table* table);

// -----------------------------------------------------------------------------------------------

std::string WhereOf(const std::string& file, std::string_view name, const toml::table& table);
absl::Status NoArrayOfTables(const std::string& file, std::string_view name);

template <typename Value>
absl::StatusOr<std::vector<Value>> ReadTables(
    const std::string& file, const toml::table& root, std::string_view name,
    const std::function<absl::Status(TableReader&, Value*)>& read) {
  std::vector<Value> values;
  const toml::node* const tables = root.get(name);
  if (tables == nullptr) return values;
  if (!tables->is_array_of_tables()) return NoArrayOfTables(file, name);
  for (const toml::node& node : *tables->as_array()) {
    TableReader reader(*node.as_table(), WhereOf(file, name, *node.as_table()));
    if (auto status = read(reader, &values.emplace_back()); !status.ok()) return status;
  }
  return values;
}

}  // namespace mmsmo
