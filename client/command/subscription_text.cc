#include "client/command/subscription_text.h"

#include <google/protobuf/util/time_util.h>

#include "client/command/duration.h"
#include "client/command/print.h"
#include "fmt/format.h"
#include "fmt/ranges.h"

namespace mmsmo::command {
namespace {

using google::protobuf::util::TimeUtil;

std::string TimeText(const google::protobuf::Timestamp& time) {
  return time.seconds() == 0 ? "" : TimeUtil::ToString(time);
}

std::string DurationText(const google::protobuf::Duration& duration) {
  return FormatDuration(std::chrono::milliseconds(TimeUtil::DurationToMilliseconds(duration)));
}

std::string NumberText(int64_t number) { return number == 0 ? "" : std::to_string(number); }

std::string FilterText(const v1::Filter& filter) {
  std::vector<std::string> parts;
  const auto add = [&parts](const char* name, const auto& values) {
    if (!values.empty()) parts.push_back(fmt::format("{} {}", name, fmt::join(values, ", ")));
  };
  add("recipient", filter.recipients());
  add("sender", filter.senders());
  add("keyword", filter.keywords());
  add("operator", filter.operator_ids());
  std::vector<std::string> kinds;
  for (int kind : filter.media_kinds()) {
    kinds.push_back(KindWords(v1::MediaKind_Name(kind), sizeof("MEDIA_KIND_") - 1));
  }
  add("media", kinds);
  return Visible(fmt::format("{}", fmt::join(parts, "; ")));
}

std::string StartText(const v1::StartPosition& start) {
  switch (start.position_case()) {
    case v1::StartPosition::kBoundary:
      return start.boundary() == v1::BOUNDARY_EARLIEST ? "earliest" : "latest";
    case v1::StartPosition::kAfterCursor:
      return "after " + start.after_cursor();
    case v1::StartPosition::kAcceptTime:
      return TimeUtil::ToString(start.accept_time());
    case v1::StartPosition::POSITION_NOT_SET:
      return "";
  }
  return "";
}

}  // namespace

std::string Pretty(const v1::Subscription& s) {
  std::string text = s.name() + "\n";
  const auto add = [&text](const char* label, const std::string& value) {
    if (!value.empty()) text += fmt::format("  {:<18}{}\n", label, value);
  };
  const v1::RetryPolicy& retry = s.retry_policy();
  add("filter", FilterText(s.filter()));
  add("start", StartText(s.start_position()));
  add("ack deadline", DurationText(s.ack_deadline()));
  add("backoff", fmt::format("{} to {}", DurationText(retry.minimum_backoff()),
                             DurationText(retry.maximum_backoff())));
  add("max attempts", s.max_attempts() == 0 ? "no limit" : NumberText(s.max_attempts()));
  add("max outstanding", NumberText(s.max_outstanding_messages()));
  add("order by sender", s.order_by_sender() ? "yes" : "");
  add("expiration ttl", s.has_expiration_ttl() ? DurationText(s.expiration_ttl()) : "");
  add("created", TimeText(s.create_time()));
  add("backlog", std::to_string(s.backlog_count()));
  add("oldest unacked", TimeText(s.oldest_unacked_accept_time()));
  add("dead letters", std::to_string(s.dead_letter_count()));
  add("streams", std::to_string(s.stream_count()));
  add("lost to retention", NumberText(s.expired_count()));
  return text;
}

Table SubscriptionTable() {
  return Table({"NAME", "BACKLOG", "OLDEST UNACKED", "DEAD LETTERS", "STREAMS"});
}

std::vector<std::string> RowOf(const v1::Subscription& s) {
  return {s.name(), std::to_string(s.backlog_count()), TimeText(s.oldest_unacked_accept_time()),
          std::to_string(s.dead_letter_count()), std::to_string(s.stream_count())};
}

Table DeadLetterTable() { return Table({"TIME", "ATTEMPTS", "CURSOR", "TRACKING ID", "REASON"}); }

std::vector<std::string> RowOf(const v1::DeadLetter& dead_letter) {
  const v1::Event& event = dead_letter.event();
  return {TimeText(dead_letter.dead_letter_time()), std::to_string(dead_letter.attempts()),
          event.cursor(), Visible(event.mms_mo().tracking_id()), Visible(dead_letter.reason())};
}

}  // namespace mmsmo::command
