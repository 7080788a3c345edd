// Events for people and for programs.

#pragma once

#include <google/protobuf/message.h>

#include <string>
#include <string_view>

#include "mmsmo/v1/event.pb.h"

namespace mmsmo::command {

// Some lines, the last one empty. Control characters of senders do not reach the terminal.
std::string Pretty(const v1::Event& event);

// What a sender wrote, without what would move the cursor or change colours.
std::string Visible(std::string_view text);

// "ADDRESS_KIND_SHORT_CODE" without its first `prefix` characters, as prose.
std::string KindWords(std::string_view name, size_t prefix);

// Protobuf's JSON, on one line with its line feed.
std::string JsonLine(const google::protobuf::Message& message);

}  // namespace mmsmo::command
