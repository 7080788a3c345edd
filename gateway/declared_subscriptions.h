// The subscriptions that a configuration file declares:
//
//   [[subscription]]
//   name = "orders"
//   start = "earliest"              # or "latest", or a time as RFC 3339 has it
//   keywords = ["order"]            # and recipients, senders, operator-ids, media-kinds
//   ack-deadline = "30s"
//   min-backoff = "1s"
//   max-backoff = "10m"
//   max-attempts = 5
//   max-outstanding = 1000
//   order-by-sender = true
//   expiration-ttl = "7d"

#pragma once

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "gateway/broker/subscriptions.h"
#include "gateway/toml_file.h"
#include "mmsmo/v1/subscription.pb.h"

namespace mmsmo {

// The name of the tables above in the file.
inline constexpr char kSubscriptionTable[] = "subscription";

// Those of `root`, which is what stands in `file`: complete and valid; none where it declares none.
// InvalidArgument names the file, the subscription, the key and what is allowed.
absl::StatusOr<std::vector<v1::Subscription>> ReadDeclaredSubscriptions(const std::string& file,
                                                                        const toml::table& root);

// The same as the tables of a file.
std::string FormatDeclaredSubscriptions(const std::vector<v1::Subscription>& declared);

// Creates those that are not there, and updates those that are: where one of them began is then
// passed over.
absl::Status DeclareSubscriptions(const std::vector<v1::Subscription>& declared,
                                  broker::Subscriptions& subscriptions);

}  // namespace mmsmo
