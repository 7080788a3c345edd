// How a gateway is reached, and what its failures mean to a client.

#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "grpcpp/grpcpp.h"
#include "mmsmo/subscriber.h"

namespace mmsmo {

// Whether `target` is a unix socket or names this machine by its loopback address.
bool IsLocal(std::string_view target);

// Of messages of any size, and for a local target past the proxies that the environment names.
// Over TLS, the gateway's certificate must be for `server_name`, or the target's host where that is
// empty.
grpc::ChannelArguments ChannelArgumentsFor(const std::string& target,
                                           const std::string& server_name = "");

// InvalidArgument for a token that others could read on its way to `target`.
absl::Status CheckToken(const std::string& target, bool encrypted, const Token* token,
                        bool send_token_unencrypted);

// A channel whose calls show the token, unless that is null.
std::shared_ptr<grpc::Channel> MakeChannel(
    const std::string& target, const std::shared_ptr<grpc::ChannelCredentials>& credentials,
    const grpc::ChannelArguments& arguments, const std::shared_ptr<Token>& token);

std::shared_ptr<grpc::Channel> Connect(const SubscriberOptions& options);

// The message names the earliest cursor where the gateway does.
absl::Status ToAbsl(const grpc::Status& status);

// How long the gateway asks to wait before another attempt (google.rpc.RetryInfo), at most a
// minute; 0 where it does not.
std::chrono::milliseconds RetryDelayOf(const absl::Status& status);

// Whether it makes no sense to try again.
bool IsFinal(const absl::Status& status);

}  // namespace mmsmo
