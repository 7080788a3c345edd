// A request and its answer, free of Beast.

#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>

#include "absl/functional/any_invocable.h"
#include "gateway/base/byte_budget.h"
#include "gateway/tls/peer_certificate.h"

namespace mmsmo::http {

struct Request {
  std::string content_type;
  std::string content_encoding;
  std::string trace_parent;
  std::string body;
  // Of the connection, where the client has one that was verified.
  std::shared_ptr<const tls::PeerCertificate> client_certificate;
  ByteBudget::Part held;  // what the body holds of the budget; goes where the body goes
};

struct Answer {
  int status = 200;
  std::string content_type = "application/json";
  std::string body;
  // Whole header lines besides the usual ones, each with its CRLF.
  std::string extra_headers;
  // For the metrics and the log, not the client: why it is no 200, a word, and what else may be
  // logged of the request; nothing that a client chose the text of.
  std::string reason;
  std::string note;
};

// Answers a request, once, on the thread that called the handler.
using Respond = absl::AnyInvocable<void(Answer)>;
using Handler = std::function<void(Request, Respond)>;

enum class BodyRefusal {
  kTooLarge,    // it is over the limit of one body
  kOverloaded,  // the bodies in flight together are over theirs
};

// What one path takes.
struct Route {
  std::string method;  // GET takes HEAD too
  Handler handle;
  // Answers for a body that is not taken. Unset: a plain 413 or 503.
  std::function<Answer(BodyRefusal)> refuse_body;
  // The answer where `handle` takes too long. Unset: a plain 503.
  std::function<Answer()> answer_late;
};
using Routes = std::map<std::string, Route, std::less<>>;

// The reason phrase of RFC 9110 for a status that this server sends.
std::string_view ReasonPhrase(int status);

// An error as RFC 9457 wants it.
struct Problem {
  int status = 400;
  std::string outcome = "rejected";  // or "unavailable"
  std::string reason;                // stable, for programs; may be empty
  std::string detail;                // for people
  std::string quarantine_id;         // where the postback was kept; empty where it was not
};
// A 503 asks the client to come again, by Retry-After.
Answer ProblemAnswer(const Problem& problem);
// The 503 of one of the reasons "not_durable", "overloaded", "quarantine_full" and "draining".
Answer UnavailableAnswer(std::string_view reason, std::string_view detail);

// Appends `text` as a JSON string, quotes included. Bytes that are not UTF-8 must not occur.
void AppendJsonString(std::string_view text, std::string* out);

}  // namespace mmsmo::http
