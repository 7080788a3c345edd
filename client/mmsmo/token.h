// What a client shows to be let in: a token, sent with every call as "authorization: Bearer TOKEN".

#pragma once

#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "grpcpp/support/client_interceptor.h"

namespace mmsmo {

// Thread-safe.
class Token {
 public:
  // InvalidArgument for what no header can hold.
  static absl::StatusOr<std::shared_ptr<Token>> Of(std::string text);
  // What a file holds, without the newline that may end it. Calls take what it holds when they
  // begin, so that a token can be exchanged; one that is broken by then changes nothing.
  // InvalidArgument where it cannot be read or holds no token.
  static absl::StatusOr<std::shared_ptr<Token>> FromFile(std::string path);

  ~Token();

  std::string Get();

 private:
  struct State;

  Token(std::string path, std::string text);

  const std::unique_ptr<State> state_;
};

// Puts the token into every call of a channel.
std::unique_ptr<grpc::experimental::ClientInterceptorFactoryInterface> SendsToken(
    std::shared_ptr<Token> token);

}  // namespace mmsmo
