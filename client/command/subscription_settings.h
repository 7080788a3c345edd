// The options that make up a Subscription.

#pragma once

#include <google/protobuf/field_mask.pb.h>

#include <CLI/CLI.hpp>

#include "client/command/filter_options.h"
#include "mmsmo/v1/subscription.pb.h"

namespace mmsmo::command {

// The settings that were given on the command line, and only those.
class SubscriptionSettings {
 public:
  // Must outlive the parsing.
  void AddTo(CLI::App* app);
  // What changes a subscription only.
  void AddRemovalsTo(CLI::App* app);

  v1::Subscription subscription() const;
  // Names what was given (AIP-134).
  google::protobuf::FieldMask mask() const;

 private:
  void AddDurations(CLI::App* app);
  void AddCounts(CLI::App* app);

  v1::Subscription subscription_;
  google::protobuf::FieldMask mask_;
  FilterOptions filter_;
};

}  // namespace mmsmo::command
