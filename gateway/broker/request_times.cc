#include "gateway/broker/request_times.h"

#include <google/protobuf/descriptor.h>
#include <google/protobuf/duration.pb.h>
#include <google/protobuf/timestamp.pb.h>

#include <string>
#include <vector>

#include "gateway/base/status.h"

namespace mmsmo::broker {
namespace {

using google::protobuf::Duration;
using google::protobuf::FieldDescriptor;
using google::protobuf::Message;
using google::protobuf::Timestamp;

// 0001-01-01T00:00:00Z and 9999-12-31T23:59:59Z.
constexpr int64_t kFirstSecond = -62'135'596'800;
constexpr int64_t kLastSecond = 253'402'300'799;
constexpr int64_t kMostSeconds = 315'576'000'000;

bool Within(int64_t seconds, int64_t first, int64_t last, int32_t nanos) {
  return seconds >= first && seconds <= last && nanos >= 0 && nanos <= 999'999'999;
}

absl::Status ValidateField(const std::string& path, const Message& value) {
  if (const auto* time = dynamic_cast<const Timestamp*>(&value)) {
    if (Within(time->seconds(), kFirstSecond, kLastSecond, time->nanos())) return absl::OkStatus();
    return InvalidArgument(
        "{}: {} s and {} ns are no time in the years 1 to 9999; seconds are since 1970, and nanos "
        "from 0 to 999999999",
        path, time->seconds(), time->nanos());
  }
  if (const auto* duration = dynamic_cast<const Duration*>(&value)) {
    if (Within(duration->seconds(), -kMostSeconds, kMostSeconds, duration->nanos()))
      return absl::OkStatus();
    return InvalidArgument("{}: {} s and {} ns are no duration; nanos are from 0 to 999999999",
                           path, duration->seconds(), duration->nanos());
  }
  return ValidateTimes(path, value);
}

}  // namespace

absl::Status ValidateTimes(std::string_view path, const Message& message) {
  const auto& reflection = *message.GetReflection();
  std::vector<const FieldDescriptor*> fields;
  reflection.ListFields(message, &fields);
  for (const FieldDescriptor* field : fields) {
    if (field->cpp_type() != FieldDescriptor::CPPTYPE_MESSAGE) continue;
    const std::string name =
        path.empty() ? field->name() : fmt::format("{}.{}", path, field->name());
    const int count = field->is_repeated() ? reflection.FieldSize(message, field) : 1;
    for (int i = 0; i < count; ++i) {
      const Message& value = field->is_repeated() ? reflection.GetRepeatedMessage(message, field, i)
                                                  : reflection.GetMessage(message, field);
      if (auto status = ValidateField(name, value); !status.ok()) return status;
    }
  }
  return absl::OkStatus();
}

}  // namespace mmsmo::broker
