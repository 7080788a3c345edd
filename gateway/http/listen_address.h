// The address that a setting says to listen on. Errors name the setting.

#pragma once

#include <boost/asio/ip/tcp.hpp>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace mmsmo::http {

// Of HOST:PORT; InvalidArgument for what is none.
absl::StatusOr<boost::asio::ip::tcp::endpoint> ParseListen(std::string_view setting,
                                                           const std::string& text);

absl::Status CannotListen(std::string_view setting, std::string_view listen,
                          const boost::system::error_code& error);

// FailedPrecondition where somebody else listens there: a port that is shared by this process'
// threads would be shared with another process of the same user too.
absl::Status CheckFree(std::string_view setting, std::string_view listen,
                       const boost::asio::ip::tcp::endpoint& endpoint);

}  // namespace mmsmo::http
