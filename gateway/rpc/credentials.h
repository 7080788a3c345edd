// What gRPC makes handshakes with.

#pragma once

#include <grpcpp/security/server_credentials.h>

#include <memory>

#include "gateway/tls/certificates.h"

namespace mmsmo::rpc {

// TLS 1.2 and later with whatever `certificates`, which must outlive the server, have at the moment
// of a handshake. Clients' certificates are asked for where there is an authority for them, and
// verified where they come; AuthContext has them.
std::shared_ptr<grpc::ServerCredentials> TlsCredentials(const tls::Certificates* certificates);

}  // namespace mmsmo::rpc
