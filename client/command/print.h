// What a gateway holds, for people and for programs.

#pragma once

#include <google/protobuf/message.h>

#include <string>
#include <string_view>

#include "mmsmo/v1/event.pb.h"
#include "mmsmo/v1/quarantine_service.pb.h"

namespace mmsmo::command {

// Text from outside without what would move the terminal's cursor, change its colours or turn the
// direction of what follows.
std::string Visible(std::string_view text);

// Some lines, the last one empty. Control characters of senders do not reach the terminal.
std::string Pretty(const v1::Event& event);
std::string Pretty(const v1::QuarantinedPostback& postback);

// Lines of a table.
std::string QuarantineHeading();
std::string QuarantineRow(const v1::QuarantinedPostback& postback);
std::string ReprocessedRow(const v1::ReprocessQuarantinedResponse& response);

// "ADDRESS_KIND_SHORT_CODE" without its first `prefix` characters, as prose.
std::string KindWords(std::string_view name, size_t prefix);

// Protobuf's JSON, on one line with its line feed.
std::string JsonLine(const google::protobuf::Message& message);

}  // namespace mmsmo::command
