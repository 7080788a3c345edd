// The endpoints that a configuration file declares:
//
//   [[endpoint]]
//   name = "sinch-us"
//   path = "/hooks/mms"
//   max-body-bytes = "64KiB"
//   rate = 500                          # postbacks a second
//   path-secret-file = ["file"]         # beside every *-file, *-env names environment variables
//   basic = { user = "sinch", password-file = ["new", "old"] }
//   bearer = { token-file = ["new", "old"] }
//   header = { name = "X-Token", value-file = ["file"] }
//   hmac = { header = "X-Signature", secret-file = ["file"], algorithm = "sha256",
//            encoding = "hex", prefix = "sha256=", timestamp-header = "X-Timestamp",
//            tolerance = "5m" }
//   client-certificate = { san = ["*.provider.example"], issuer = "CN=Provider CA" }
//   allow-from = ["203.0.113.0/24", "2001:db8::/32"]

#pragma once

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "gateway/access/endpoint.h"
#include "gateway/toml_file.h"

namespace mmsmo {

// The name of the tables above in the file.
inline constexpr char kEndpointTable[] = "endpoint";

// Those of `root`, which is what stands in `file`; none where it declares none. InvalidArgument
// names the file, the endpoint, the key and what is allowed. Secrets are not read.
absl::StatusOr<std::vector<access::EndpointSettings>> ReadDeclaredEndpoints(
    const std::string& file, const toml::table& root);

// The same as the tables of a file: names of files and variables, and no secret.
std::string FormatDeclaredEndpoints(const std::vector<access::EndpointSettings>& declared);

}  // namespace mmsmo
