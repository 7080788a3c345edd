#include "client/command/sample.h"

#include <google/protobuf/struct.pb.h>
#include <google/protobuf/util/json_util.h>

#include <pugixml.hpp>
#include <random>
#include <sstream>
#include <string_view>
#include <utility>

namespace mmsmo::command {
namespace {

using Field = std::pair<const char*, const std::string*>;

// In the order of the provider's documentation.
std::vector<Field> Scalars(const Sample& sample) {
  static const std::string kOrigin = "MMS_MO", kCode = "N401";
  return {{"origin", &kOrigin},
          {"code", &kCode},
          {"from", &sample.from},
          {"to", &sample.to},
          {"keyword", &sample.keyword},
          {"tracking-id", &sample.tracking_id},
          {"operator-id", &sample.operator_id},
          {"timestamp", &sample.timestamp},
          {"message-subject", &sample.subject}};
}

std::string Quoted(const std::string& text) {
  google::protobuf::Value value;
  value.set_string_value(text);
  std::string json;
  (void)google::protobuf::util::MessageToJsonString(value, &json);
  return json;
}

// ,"name":[{"key":"value"},…], or nothing where there are no values.
std::string JsonList(const char* name, const char* key, const std::vector<std::string>& values) {
  if (values.empty()) return "";
  std::string json;
  for (const std::string& value : values) {
    json += json.empty() ? "" : ",";
    json += std::string("{\"") + key + "\":" + Quoted(value) + "}";
  }
  return std::string(",\n  \"") + name + "\": [" + json + "]";
}

}  // namespace

std::string ToXml(const Sample& sample) {
  pugi::xml_document document;
  pugi::xml_node postback = document.append_child("postback");
  for (const auto& [name, value] : Scalars(sample)) {
    if (!value->empty()) postback.append_child(name).text().set(value->c_str());
  }
  if (!sample.files.empty()) {
    pugi::xml_node content = postback.append_child("content");
    for (const std::string& url : sample.files) {
      content.append_child("file").text().set(url.c_str());
    }
  }
  for (const std::string& number : sample.copy_to) {
    postback.append_child("copy-to").append_child("number").text().set(number.c_str());
  }
  std::ostringstream xml;
  document.save(xml, "  ", pugi::format_indent | pugi::format_no_declaration);
  return xml.str();
}

std::string ToJson(const Sample& sample) {
  std::string json;
  for (const auto& [name, value] : Scalars(sample)) {
    if (value->empty()) continue;
    json += json.empty() ? "{\n  \"" : ",\n  \"";
    json += std::string(name) + "\": " + Quoted(*value);
  }
  json += JsonList("content", "file", sample.files);
  json += JsonList("copy-to", "number", sample.copy_to);
  return json + "\n}\n";
}

std::string NewTrackingId() {
  static constexpr std::string_view kAlphabet =
      "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
  std::random_device random;
  std::uniform_int_distribution<size_t> pick(0, kAlphabet.size() - 1);
  std::string id = "MMSMO";
  for (int i = 0; i < 16; ++i) id += kAlphabet[pick(random)];
  return id;
}

}  // namespace mmsmo::command
