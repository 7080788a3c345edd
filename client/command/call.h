// One unary call of a command.

#pragma once

#include <grpcpp/grpcpp.h>

#include <chrono>
#include <memory>
#include <optional>
#include <string>

#include "client/command/command.h"
#include "client/command/output.h"
#include "client/connection.h"

namespace mmsmo::command {

// The stub of a service of the gateway that the command line names.
template <typename Service>
std::unique_ptr<typename Service::Stub> StubOf(const Context& context) {
  return Service::NewStub(MakeChannel(
      context.grpc, context.credentials ? context.credentials : grpc::InsecureChannelCredentials(),
      ChannelArgumentsFor(context.grpc, context.server_name), context.token));
}

// Nothing, with the reason on stderr, where it fails.
template <typename Stub, typename Request, typename Response>
std::optional<Response> Call(Stub* stub,
                             grpc::Status (Stub::*method)(grpc::ClientContext*, const Request&,
                                                          Response*),
                             const Request& request) {
  constexpr std::chrono::seconds kTimeout{30};
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + kTimeout);
  Response response;
  const grpc::Status status = (stub->*method)(&context, request, &response);
  if (status.ok()) return response;
  Complain(status.error_message() + TlsRemedy(status.error_message()));
  return std::nullopt;
}

}  // namespace mmsmo::command
