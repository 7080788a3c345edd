// What `mmsmo send` shows to an endpoint that checks who posts: secrets of files or the
// environment, never of the command line, which others can read.

#pragma once

#include <CLI/CLI.hpp>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"

namespace mmsmo::command {

struct SecretOptions {
  std::string user;  // HTTP basic
  std::string password_file;
  std::string bearer_file;
  std::string secret_header;
  std::string secret_header_file;
  std::string hmac_header;
  std::string hmac_secret_file;
  std::string hmac_algorithm = "sha256";
  std::string hmac_encoding = "hex";
  std::string hmac_prefix;
  std::string hmac_timestamp_header;
};

// Declares --user and all the others.
void AddSecrets(CLI::App* send, SecretOptions* options);

// Constant.
class PostSecrets {
 public:
  using Fields = std::vector<std::pair<std::string, std::string>>;

  // With none.
  PostSecrets() = default;
  // InvalidArgument names the option that lacks another, or the file that cannot be read or holds
  // what no header can.
  static absl::StatusOr<PostSecrets> Read(const SecretOptions& options);

  bool empty() const { return fields_.empty() && hmac_secret_.empty(); }
  // The header's fields of a request with this body, at that time.
  Fields FieldsFor(std::string_view body, int64_t unix_seconds) const;

 private:
  Fields fields_;
  SecretOptions options_;
  std::string hmac_secret_;  // empty: none
};

}  // namespace mmsmo::command
