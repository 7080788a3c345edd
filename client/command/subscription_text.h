// Subscriptions for people.

#pragma once

#include <string>
#include <vector>

#include "client/command/table.h"
#include "mmsmo/v1/subscription.pb.h"

namespace mmsmo::command {

// A line for each setting and figure that says something.
std::string Pretty(const v1::Subscription& subscription);

Table SubscriptionTable();
std::vector<std::string> RowOf(const v1::Subscription& subscription);

Table DeadLetterTable();
std::vector<std::string> RowOf(const v1::DeadLetter& dead_letter);

}  // namespace mmsmo::command
