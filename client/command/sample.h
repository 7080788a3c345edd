// A postback to try a gateway with.

#pragma once

#include <string>
#include <vector>

namespace mmsmo::command {

// The fields of a postback as it is sent; an empty one is left out.
struct Sample {
  std::string from = "14082257140";
  std::string to = "28444";
  std::string keyword = "all";
  std::string tracking_id;
  std::string operator_id = "31002";
  std::string timestamp = "2026-04-24T18:34:00Z";
  std::string subject;
  std::vector<std::string> files = {"https://files.example.com/MMS_MO/photo.jpg"};
  std::vector<std::string> copy_to;
};

// The documented XML and JSON of the same facts. The fields must be UTF-8.
std::string ToXml(const Sample& sample);
std::string ToJson(const Sample& sample);

// An id that no other sample has: "MMSMO" and 16 random letters and digits.
std::string NewTrackingId();

}  // namespace mmsmo::command
