// The bytes of one connection: of its socket, or of TLS over it. Nothing blocks.

#pragma once

#include <boost/asio/generic/stream_protocol.hpp>
#include <memory>
#include <optional>
#include <string_view>

#include "gateway/tls/certificates.h"
#include "gateway/tls/connection.h"

namespace mmsmo::http {

// For the thread of its io_context. Errors are would_block, after which WaitToRead or
// WaitToWrite, or those that end the connection: eof, connection_aborted for what TLS refused, and
// wrong_protocol_type for HTTP without TLS where that is wanted. After the last two, what is
// written goes out without TLS.
class Transport {
 public:
  using Socket = boost::asio::generic::stream_protocol::socket;  // of TCP or unix
  using ErrorCode = boost::system::error_code;

  // With `certificates`, which must outlive it, over TLS; null: plain.
  Transport(Socket socket, tls::Certificates* certificates);

  // Read and Write with TLS only after this is false; Read makes the handshake.
  bool shaking_hands() const { return tls_ && !tls_->established(); }
  // The client's certificate; null where it has none.
  const std::shared_ptr<const tls::PeerCertificate>& peer() const { return peer_; }
  // Null where it is plain, or its sending side is closed.
  const tls::Connection* tls() const { return tls_ ? &*tls_ : nullptr; }

  // Something may be there for Read: of what is there, or what is held of it.
  bool HasBytes() const;
  size_t Read(void* to, size_t size, ErrorCode& error);
  // As much as there is room for now; with would_block where that is not all. What is left must be
  // written before anything else.
  size_t Write(std::string_view bytes, ErrorCode& error);
  // What nobody waits for. Nothing can be written after it where there is no room for all.
  void WriteOrForget(std::string_view bytes);

  // Of the socket's bytes below TLS, before its handshake: what is there, which stays there.
  size_t Peek(void* to, size_t size, ErrorCode& error);
  // The first of what was peeked at goes.
  void Discard(size_t size);

  // Calls `done(error)` where Read or Write may get on.
  template <typename Done>
  void WaitToRead(Done done) {
    Wait(reads_on_write_ ? Socket::wait_write : Socket::wait_read, std::move(done));
  }
  template <typename Done>
  void WaitToWrite(Done done) {
    Wait(writes_on_read_ ? Socket::wait_read : Socket::wait_write, std::move(done));
  }
  // Ends the wait under way.
  void Cancel();

  // Nothing more will be written. What is read from now on is as it came, for whoever discards it.
  void CloseSending();
  void Close();

  auto get_executor() { return socket_.get_executor(); }

 private:
  template <typename Done>
  void Wait(Socket::wait_type until, Done done) {
    socket_.async_wait(until, std::move(done));
  }
  size_t ReadTls(void* to, size_t size, ErrorCode& error);
  size_t WriteTls(std::string_view bytes, ErrorCode& error);
  ErrorCode ErrorOf(tls::Connection::Outcome outcome);

  Socket socket_;
  std::optional<tls::Connection> tls_;
  std::shared_ptr<const tls::PeerCertificate> peer_;
  bool reads_on_write_ = false;
  bool writes_on_read_ = false;
};

}  // namespace mmsmo::http
