// Events for people and for programs.

#pragma once

#include <google/protobuf/message.h>

#include <string>

#include "mmsmo/v1/event.pb.h"

namespace mmsmo::command {

// Some lines, the last one empty. Control characters of senders do not reach the terminal.
std::string Pretty(const v1::Event& event);

// Protobuf's JSON, on one line with its line feed.
std::string JsonLine(const google::protobuf::Message& message);

}  // namespace mmsmo::command
