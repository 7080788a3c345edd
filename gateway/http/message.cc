#include "gateway/http/message.h"

#include "fmt/format.h"

namespace mmsmo::http {

std::string_view ReasonPhrase(int status) {
  switch (status) {
    case 200:
      return "OK";
    case 400:
      return "Bad Request";
    case 403:
      return "Forbidden";
    case 404:
      return "Not Found";
    case 405:
      return "Method Not Allowed";
    case 408:
      return "Request Timeout";
    case 411:
      return "Length Required";
    case 413:
      return "Content Too Large";
    case 415:
      return "Unsupported Media Type";
    case 417:
      return "Expectation Failed";
    case 431:
      return "Request Header Fields Too Large";
    case 501:
      return "Not Implemented";
    case 503:
      return "Service Unavailable";
    case 505:
      return "HTTP Version Not Supported";
    default:
      return "";
  }
}

void AppendJsonString(std::string_view text, std::string* out) {
  out->push_back('"');
  for (const char c : text) {
    if (c == '"' || c == '\\') {
      out->push_back('\\');
      out->push_back(c);
    } else if (static_cast<unsigned char>(c) < 0x20) {
      fmt::format_to(std::back_inserter(*out), "\\u{:04x}", c);
    } else {
      out->push_back(c);
    }
  }
  out->push_back('"');
}

Answer ProblemAnswer(const Problem& problem) {
  Answer answer{.status = problem.status, .content_type = "application/problem+json"};
  answer.body = fmt::format(R"({{"type":"about:blank","title":"{}","status":{},"outcome":"{}")",
                            ReasonPhrase(problem.status), problem.status, problem.outcome);
  const auto member = [&answer](std::string_view name, std::string_view value) {
    if (value.empty()) return;
    answer.body.append(fmt::format(R"(,"{}":)", name));
    AppendJsonString(value, &answer.body);
  };
  member("reason", problem.reason);
  member("detail", problem.detail);
  member("quarantineId", problem.quarantine_id);
  answer.body.push_back('}');
  answer.reason = problem.reason;
  if (problem.status == 503) answer.extra_headers = "Retry-After: 5\r\n";
  return answer;
}

Answer UnavailableAnswer(std::string_view reason, std::string_view detail) {
  return ProblemAnswer({.status = 503,
                        .outcome = "unavailable",
                        .reason = std::string(reason),
                        .detail = std::string(detail)});
}

}  // namespace mmsmo::http
