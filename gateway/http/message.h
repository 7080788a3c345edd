// A request and its answer, free of Beast.

#pragma once

#include <chrono>
#include <cstddef>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "absl/functional/any_invocable.h"
#include "gateway/access/endpoint.h"
#include "gateway/base/byte_budget.h"

namespace mmsmo::http {

struct Request {
  std::string content_type;
  std::string content_encoding;
  std::string trace_parent;
  access::Signature signature;
  std::string body;
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
  // How long it is held back.
  std::chrono::milliseconds late{0};
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
  std::string name;                      // in the access log
  std::string method;                    // GET takes HEAD too
  std::optional<size_t> max_body_bytes;  // otherwise as many as the server takes
  // Set: the path is followed by one more segment, of which this says whether it is right.
  std::function<bool(std::string_view segment)> is_secret;
  // Judges a request by its header, before its body is read: an answer refuses it. May keep what
  // `handle` has to know of the header. Unset: everybody may come.
  std::function<std::optional<Answer>(const access::Peer&, access::FieldOf, Request*)> admit;
  Handler handle;
  // Answers for a body that is not taken. Unset: a plain 413 or 503.
  std::function<Answer(BodyRefusal)> refuse_body;
  // The answer where `handle` takes too long. Unset: a plain 503.
  std::function<Answer()> answer_late;
  // Is told of every answer to a request of this path, and how long after the request's header it
  // was given.
  std::function<void(const Answer&, std::chrono::nanoseconds)> answered;
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
