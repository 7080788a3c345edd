// The identities that a configuration file declares:
//
//   [[identity]]
//   name = "billing"
//   token-file = ["new", "old"]     # each holds one token; any of them will do
//   token-env = ["BILLING_TOKEN"]
//   token-sha256 = ["9f86d081…"]
//   san = ["*.billing.example"]     # of a client certificate; * is one label
//   uid = [1000]                    # of the other end of a unix socket
//   allow = ["read", "consume"]     # and manage, quarantine, admin
//   subscriptions = ["billing-*"]   # absent: all; * is any run of characters
//   endpoints = ["sinch-us"]        # absent: all
//   rate = 100                      # calls a second; absent: no limit

#pragma once

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "gateway/access/identity.h"
#include "gateway/toml_file.h"

namespace mmsmo {

// The name of the tables above in the file.
inline constexpr char kIdentityTable[] = "identity";

// Those of `root`, which is what stands in `file`; none where it declares none. Their secrets are
// not read. InvalidArgument names the file, the identity, the key and what is wrong.
absl::StatusOr<std::vector<access::IdentitySettings>> ReadDeclaredIdentities(
    const std::string& file, const toml::table& root);

// The same as the tables of a file: names of files and variables, and no secret.
std::string FormatDeclaredIdentities(const std::vector<access::IdentitySettings>& declared);

}  // namespace mmsmo
