// What a client sends, read as requests: bytes in, requests or refusals out. No sockets, no clock.

#pragma once

#include <boost/beast/http/parser.hpp>
#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "gateway/access/endpoint.h"
#include "gateway/access/proxies.h"
#include "gateway/base/byte_budget.h"
#include "gateway/http/growing_body.h"
#include "gateway/http/message.h"

namespace mmsmo::http {

class RequestReader {
 public:
  struct Limits {
    size_t max_header_bytes = 8 << 10;                // also of what stands before a chunk
    size_t max_body_bytes = 256 << 10;                // where its route says nothing else
    const access::TrustedProxies* proxies = nullptr;  // null: none
  };

  enum class Next {
    kMore,      // bytes are needed
    kContinue,  // likewise, and the client waits to be told "100 Continue"
    kRequest,   // TakeRequest has it
    kRefusal,   // the answer is refusal()
  };

  // What it waits for.
  enum class Phase { kIdle, kHeader, kBody };

  // Which limit a refusal is for.
  enum class Limit { kNone, kHeaderBytes, kBodyBytes, kInFlightBytes };

  // `routes` is looked at for each request, whose route stays as long as it does; their paths are
  // normal ones. All must outlive it, the budget also the requests.
  RequestReader(const Limits& limits, const std::shared_ptr<const Routes>* routes,
                const access::Peer* peer, ByteBudget* budget);

  // Reads on in what is left and in `bytes`, up to the end of one request. What a request or a
  // refusal is answered must be sent before the next Read. Everything that is kept is held of the
  // budget.
  Next Read(std::string_view bytes);

  // After kRequest, once. The request holds its body's part of the budget.
  Request TakeRequest();
  // After kRequest or kRefusal, until the next Read; null where the path has none.
  const Route* route() const { return route_; }
  // After kRefusal.
  const Answer& refusal() const { return refusal_; }
  Limit refused_by() const { return refused_by_; }

  // Of what was read last, for the access log: empty where it is none of RFC 9110's.
  std::string_view method() const { return method_; }
  // Whom it came from, where its route has asked; a proxy may ask for him.
  const std::optional<access::Address>& client() const { return client_; }

  // Forgets what has arrived, and closes the connection after the next answer.
  void Drop();

  Phase phase() const;
  // Of what was read last: whether its answer may keep the connection, is one to HEAD, and goes to
  // HTTP/1.0.
  bool keep_alive() const { return keep_alive_; }
  bool head() const { return head_; }
  bool http10() const { return http10_; }

 private:
  using Parser = boost::beast::http::request_parser<GrowingBody>;

  Next Parse(std::string_view* bytes);
  Next Step(std::string_view* bytes);
  void Begin();
  bool Hold();
  Next JudgeHeader(bool body_waits);
  const Route* FindRoute(std::string_view path);
  std::optional<Answer> Admit();
  access::Peer Client() const;
  void KeepFields();
  Next RefuseMethod();
  Next RefuseUnreadable(boost::system::error_code error);
  Next RefuseBody(BodyRefusal why);
  Next Refuse(int status, std::string_view reason, std::string_view detail);
  Next Refuse(Answer answer);

  const Limits limits_;
  const std::shared_ptr<const Routes>* const routes_;
  const access::Peer* const peer_;
  ByteBudget* const budget_;

  std::optional<Parser> parser_;  // of the request under way
  bool header_seen_ = false;
  std::shared_ptr<const Routes> routes_of_request_;
  const Route* route_ = nullptr;
  std::string_view method_;
  std::optional<access::Address> client_;
  Request request_;           // what the header says, but for its body
  int64_t header_bytes_ = 0;  // what the parser keeps of the header
  ByteBudget::Part request_part_;

  std::string kept_;  // what is not read yet: an unfinished header, or the next requests
  size_t read_ = 0;   // how much of kept_ is read
  ByteBudget::Part kept_part_;

  bool overloaded_ = false;  // what came behind the last request was not kept
  bool keep_alive_ = false;
  bool head_ = false;
  bool http10_ = false;
  Answer refusal_;
  Limit refused_by_ = Limit::kNone;
};

}  // namespace mmsmo::http
