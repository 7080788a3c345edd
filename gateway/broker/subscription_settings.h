// What a subscription may be set to, whichever engine serves it.

#pragma once

#include <google/protobuf/field_mask.pb.h>

#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "mmsmo/v1/subscription.pb.h"

namespace mmsmo::broker {

// InvalidArgument for what is not [a-z][a-z0-9-]{0,62}; `field` is what the message names.
absl::Status ValidateSubscriptionName(std::string_view field, std::string_view name);

// The settings with defaults for what is unset and without what is output only. InvalidArgument
// names the field that is out of range. The start position is not looked at.
absl::StatusOr<v1::Subscription> CompleteSubscription(const v1::Subscription& wanted);

// `existing` with what `mask` names of `wanted`; with an empty mask, with what is set in it; with
// the mask "*", with everything that can be changed (AIP-134). InvalidArgument for a path that is
// no setting or cannot be changed.
absl::StatusOr<v1::Subscription> UpdatedSubscription(const v1::Subscription& existing,
                                                     const v1::Subscription& wanted,
                                                     const google::protobuf::FieldMask& mask);

// The name of the first setting in which two complete subscriptions differ; empty where none.
std::string DifferenceBetween(const v1::Subscription& a, const v1::Subscription& b);

// Everything that an update may change.
void CopyChangeableSettings(const v1::Subscription& from, v1::Subscription* to);

}  // namespace mmsmo::broker
