#include "client/command/print.h"

#include <google/protobuf/util/json_util.h>
#include <google/protobuf/util/time_util.h>

#include <algorithm>
#include <string_view>

#include "fmt/format.h"
#include "fmt/ranges.h"

namespace mmsmo::command {
namespace {

std::string AddressText(const v1::Address& address) {
  std::string text = Visible(address.value());
  if (address.kind() == v1::ADDRESS_KIND_UNSPECIFIED) return text;
  return fmt::format("{} ({})", text,
                     KindWords(v1::AddressKind_Name(address.kind()), sizeof("ADDRESS_KIND_") - 1));
}

// Whether U+202A–202E or U+2066–2069, which turn the direction of text, are here in UTF-8.
bool TurnsAt(std::string_view text, size_t i) {
  if (text.substr(i, 2) != "\xE2\x80" && text.substr(i, 2) != "\xE2\x81") return false;
  if (i + 2 >= text.size()) return false;
  const auto last = static_cast<unsigned char>(text[i + 2]);
  return text[i + 1] == '\x80' ? last >= 0xAA && last <= 0xAE : last >= 0xA6 && last <= 0xA9;
}

// The bytes of a control character of Unicode that begins here, 0 where none does.
size_t ControlAt(std::string_view text, size_t i) {
  const auto c = static_cast<unsigned char>(text[i]);
  if (c < 0x20 || c == 0x7F) return 1;
  // C1 controls are 0xC2 0x80–0x9F in UTF-8.
  if (c == 0xC2 && i + 1 < text.size() && static_cast<unsigned char>(text[i + 1]) < 0xA0) return 2;
  return TurnsAt(text, i) ? 3 : 0;
}

class Lines {
 public:
  void Add(std::string_view label, const std::string& text) {
    if (!text.empty()) out_ += fmt::format("  {:<10}{}\n", label, text);
  }
  std::string Take(const std::string& first) { return first + "\n" + out_ + "\n"; }

 private:
  std::string out_;
};

constexpr std::string_view kQuarantineColumns = "{:<20}  {:<20}  {:<22}  {:>6}  {:>10}  {}\n";

}  // namespace

std::string Visible(std::string_view text) {
  std::string out;
  for (size_t i = 0; i < text.size();) {
    const size_t control = ControlAt(text, i);
    if (control > 0) {
      out += ' ';
    } else {
      out += text[i];
    }
    i += std::max<size_t>(control, 1);
  }
  return out;
}

std::string KindWords(std::string_view name, size_t prefix) {
  std::string words(name.substr(prefix));
  std::replace(words.begin(), words.end(), '_', ' ');
  std::transform(words.begin(), words.end(), words.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return words;
}

std::string Pretty(const v1::Event& event) {
  const v1::MmsMo& message = event.mms_mo();
  Lines lines;
  lines.Add("from", AddressText(message.sender()));
  lines.Add("to", AddressText(message.recipient()));
  for (const v1::Address& address : message.copy_to()) lines.Add("copy to", AddressText(address));
  lines.Add("keyword", Visible(message.keyword()));
  lines.Add("subject", Visible(message.subject()));
  lines.Add("operator",
            message.operator_name().empty()
                ? Visible(message.operator_id())
                : fmt::format("{} ({})", message.operator_id(), message.operator_name()));
  lines.Add("sent", Visible(message.timestamp()));
  for (const v1::Media& media : message.media()) {
    lines.Add(media.kind() == v1::MEDIA_KIND_UNSPECIFIED
                  ? "file"
                  : KindWords(v1::MediaKind_Name(media.kind()), sizeof("MEDIA_KIND_") - 1),
              Visible(media.url()));
  }
  for (const auto& [name, value] : message.extra()) {
    lines.Add("extra", Visible(name) + " = " + Visible(value));
  }
  lines.Add("warnings", fmt::format("{}", fmt::join(message.warnings(), " ")));
  lines.Add("cursor", event.cursor());
  return lines.Take(fmt::format("{}  {}",
                                google::protobuf::util::TimeUtil::ToString(event.accept_time()),
                                Visible(message.tracking_id())));
}

std::string Pretty(const v1::QuarantinedPostback& postback) {
  Lines lines;
  lines.Add("reason", Visible(postback.reason()));
  lines.Add("detail", Visible(postback.detail()));
  lines.Add("answered", fmt::format("{}", postback.http_status()));
  lines.Add("endpoint", Visible(postback.endpoint()));
  lines.Add("tracking", Visible(postback.tracking_id()));
  lines.Add("type", Visible(postback.content_type()));
  lines.Add("bytes", fmt::format("{}", postback.body_bytes()));
  return lines.Take(fmt::format("{}  {}",
                                google::protobuf::util::TimeUtil::ToString(postback.accept_time()),
                                Visible(postback.id())));
}

std::string QuarantineHeading() {
  return fmt::format(kQuarantineColumns, "ID", "ACCEPTED", "REASON", "STATUS", "BYTES",
                     "TRACKING ID");
}

std::string QuarantineRow(const v1::QuarantinedPostback& postback) {
  google::protobuf::Timestamp time = postback.accept_time();
  time.set_nanos(0);  // so that the column has one width
  return fmt::format(kQuarantineColumns, Visible(postback.id()),
                     google::protobuf::util::TimeUtil::ToString(time), Visible(postback.reason()),
                     postback.http_status(), postback.body_bytes(),
                     Visible(postback.tracking_id()));
}

std::string ReprocessedRow(const v1::ReprocessQuarantinedResponse& response) {
  return fmt::format("{:<12}  {:<11}  {}\n", Visible(response.id()), Visible(response.outcome()),
                     Visible(response.reason().empty() ? response.cursor() : response.reason()));
}

std::string JsonLine(const google::protobuf::Message& message) {
  std::string json;
  (void)google::protobuf::util::MessageToJsonString(message, &json);
  // Protobuf escapes all other control characters.
  std::string line;
  size_t written = 0;
  for (size_t i = 0; (i = json.find('\xE2', i)) != std::string::npos; ++i) {
    if (!TurnsAt(json, i)) continue;
    line.append(json, written, i - written);
    const int unit = 0x2000 + ((json[i + 1] & 0x3F) << 6) + (json[i + 2] & 0x3F);
    line += fmt::format("\\u{:04x}", unit);
    written = i + 3;
  }
  return line.append(json, written) + "\n";
}

}  // namespace mmsmo::command
