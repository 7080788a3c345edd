#include "gateway/declared_endpoints.h"

#include <sstream>

#include "gateway/base/status.h"
#include "gateway/table_reader.h"

namespace mmsmo {
namespace {

using access::EndpointSettings;
using access::HmacCheck;

// In the order of their enumerators.
const std::vector<std::string>& Algorithms() {
  static const std::vector<std::string> kNames = {"sha256", "sha512"};
  return kNames;
}
const std::vector<std::string>& Encodings() {
  static const std::vector<std::string> kNames = {"hex", "base64"};
  return kNames;
}

// A table that is there asks for a check: one without secrets must not pass everybody.
void ReadSecrets(TableReader& reader, std::string_view key, access::SecretSources* to) {
  reader.Secrets(key, to);
  if (to->empty()) reader.Fail(fmt::format("{}-file", key), "it is missing, and so is its -env");
}

void ReadHmac(TableReader& reader, HmacCheck* to) {
  auto algorithm = static_cast<size_t>(to->algorithm);
  auto encoding = static_cast<size_t>(to->encoding);
  reader.Text("header", &to->field);
  ReadSecrets(reader, "secret", &to->secrets);
  reader.Word("algorithm", Algorithms(), &algorithm);
  reader.Word("encoding", Encodings(), &encoding);
  reader.Text("prefix", &to->prefix);
  reader.Text("timestamp-header", &to->timestamp_field);
  reader.Millis("tolerance", &to->tolerance_millis);
  to->algorithm = static_cast<HmacCheck::Algorithm>(algorithm);
  to->encoding = static_cast<HmacCheck::Encoding>(encoding);
}

absl::Status ReadEndpoint(TableReader& reader, EndpointSettings* to) {
  reader.Text("name", &to->name);
  if (to->name.empty()) reader.Fail("name", "it is missing");
  reader.Text("path", &to->path);
  reader.Bytes("max-body-bytes", &to->max_body_bytes);
  reader.Number("rate", &to->rate);
  reader.Secrets("path-secret", &to->path_secrets);
  reader.Table("basic", [to](TableReader& basic) {
    to->basic.emplace();
    basic.Text("user", &to->basic->user);
    ReadSecrets(basic, "password", &to->basic->passwords);
  });
  reader.Table("bearer",
               [to](TableReader& bearer) { ReadSecrets(bearer, "token", &to->bearer_tokens); });
  reader.Table("header", [to](TableReader& header) {
    to->header.emplace();
    header.Text("name", &to->header->field);
    ReadSecrets(header, "value", &to->header->values);
  });
  reader.Table("hmac", [to](TableReader& hmac) { ReadHmac(hmac, &to->hmac.emplace()); });
  reader.Table("client-certificate", [to](TableReader& certificate) {
    to->certificate.emplace();
    certificate.Texts("san", &to->certificate->sans, /*some=*/true);
    certificate.Text("issuer", &to->certificate->issuer);
  });
  reader.Texts("allow-from", &to->allow_from, /*some=*/true);
  return reader.Finish("an endpoint");
}

toml::table InLine(toml::table table) {
  table.is_inline(true);
  return table;
}

toml::table TableOf(const HmacCheck& hmac) {
  toml::table table{{"header", hmac.field}};
  InsertSecrets("secret", hmac.secrets, &table);
  table.insert("algorithm", Algorithms()[static_cast<size_t>(hmac.algorithm)]);
  table.insert("encoding", Encodings()[static_cast<size_t>(hmac.encoding)]);
  table.insert("prefix", hmac.prefix);
  if (!hmac.timestamp_field.empty()) {
    table.insert("timestamp-header", hmac.timestamp_field);
    table.insert("tolerance", fmt::format("{}ms", hmac.tolerance_millis));
  }
  return table;
}

// What ReadEndpoint reads.
toml::table TableOf(const EndpointSettings& endpoint) {
  toml::table table{{"name", endpoint.name}, {"path", endpoint.path}};
  if (endpoint.max_body_bytes > 0)
    table.insert("max-body-bytes", static_cast<int64_t>(endpoint.max_body_bytes));
  if (endpoint.rate > 0) table.insert("rate", endpoint.rate);
  InsertSecrets("path-secret", endpoint.path_secrets, &table);
  if (endpoint.basic) {
    toml::table basic{{"user", endpoint.basic->user}};
    InsertSecrets("password", endpoint.basic->passwords, &basic);
    table.insert("basic", InLine(std::move(basic)));
  }
  if (!endpoint.bearer_tokens.empty()) {
    toml::table bearer;
    InsertSecrets("token", endpoint.bearer_tokens, &bearer);
    table.insert("bearer", InLine(std::move(bearer)));
  }
  if (endpoint.header) {
    toml::table header{{"name", endpoint.header->field}};
    InsertSecrets("value", endpoint.header->values, &header);
    table.insert("header", InLine(std::move(header)));
  }
  if (endpoint.hmac) table.insert("hmac", InLine(TableOf(*endpoint.hmac)));
  if (endpoint.certificate) {
    toml::table certificate;
    if (!endpoint.certificate->sans.empty())
      certificate.insert("san", ArrayOf(endpoint.certificate->sans));
    if (!endpoint.certificate->issuer.empty())
      certificate.insert("issuer", endpoint.certificate->issuer);
    table.insert("client-certificate", InLine(std::move(certificate)));
  }
  if (!endpoint.allow_from.empty()) table.insert("allow-from", ArrayOf(endpoint.allow_from));
  return table;
}

}  // namespace

absl::StatusOr<std::vector<EndpointSettings>> ReadDeclaredEndpoints(const std::string& file,
                                                                    const toml::table& root) {
  // The setting of that name is another thing.
  const toml::node* const tables = root.get(kEndpointTable);
  if (tables != nullptr && !tables->is_table() && !tables->is_array_of_tables())
    return std::vector<EndpointSettings>();
  return ReadTables<EndpointSettings>(file, root, kEndpointTable, ReadEndpoint);
}

std::string FormatDeclaredEndpoints(const std::vector<EndpointSettings>& declared) {
  std::ostringstream out;
  for (const EndpointSettings& endpoint : declared)
    out << "\n[[" << kEndpointTable << "]]\n" << TableOf(endpoint) << "\n";
  return out.str();
}

}  // namespace mmsmo
