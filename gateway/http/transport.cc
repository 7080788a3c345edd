#include "gateway/http/transport.h"

#include <array>
#include <boost/asio/buffer.hpp>
#include <boost/asio/error.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <utility>

namespace mmsmo::http {

namespace asio = boost::asio;

namespace {
constexpr size_t kMaxDiscarded = 1 << 10;
}  // namespace

Transport::Transport(Socket socket, tls::Certificates* certificates) : socket_(std::move(socket)) {
  ErrorCode ignored;
  socket_.non_blocking(true, ignored);
  socket_.set_option(asio::ip::tcp::no_delay(true), ignored);
  if (certificates == nullptr) return;
  socket_.native_non_blocking(true, ignored);
  tls_.emplace(certificates, socket_.native_handle());
}

bool Transport::HasBytes() const {
  if (tls_ && tls_->HasReceived()) return true;
  ErrorCode error;
  return socket_.available(error) > 0 && !error;
}

size_t Transport::Peek(void* to, size_t size, ErrorCode& error) {
  return socket_.receive(asio::buffer(to, size), Socket::message_peek, error);
}

void Transport::Discard(size_t size) {
  std::array<char, kMaxDiscarded> gone;
  ErrorCode ignored;
  socket_.read_some(asio::buffer(gone, size), ignored);
}

size_t Transport::Read(void* to, size_t size, ErrorCode& error) {
  return tls_ ? ReadTls(to, size, error) : socket_.read_some(asio::buffer(to, size), error);
}

size_t Transport::ReadTls(void* to, size_t size, ErrorCode& error) {
  using Outcome = tls::Connection::Outcome;
  tls::Connection::Result result;
  if (!tls_->established()) {
    result.outcome = tls_->Handshake();
    if (result.outcome == Outcome::kDone) peer_ = tls_->peer();
  }
  if (result.outcome == Outcome::kDone) result = tls_->Read(to, size);
  reads_on_write_ = result.outcome == Outcome::kWantsWrite;
  error = ErrorOf(result.outcome);
  return result.bytes;
}

size_t Transport::Write(std::string_view bytes, ErrorCode& error) {
  if (tls_) return WriteTls(bytes, error);
  const size_t written = socket_.write_some(asio::buffer(bytes), error);
  if (!error && written < bytes.size()) error = asio::error::would_block;
  return written;
}

size_t Transport::WriteTls(std::string_view bytes, ErrorCode& error) {
  const tls::Connection::Result result = tls_->Write(bytes.data(), bytes.size());
  writes_on_read_ = result.outcome == tls::Connection::Outcome::kWantsRead;
  error = ErrorOf(result.outcome);
  return result.bytes;
}

// What TLS refused it is done with.
Transport::ErrorCode Transport::ErrorOf(tls::Connection::Outcome outcome) {
  using Outcome = tls::Connection::Outcome;
  switch (outcome) {
    case Outcome::kDone:
      return {};
    case Outcome::kWantsRead:
    case Outcome::kWantsWrite:
      return asio::error::would_block;
    case Outcome::kEnded:
      return asio::error::eof;
    case Outcome::kFailed:
      tls_.reset();
      return asio::error::connection_aborted;
    case Outcome::kPlainHttp:
      tls_.reset();
      return make_error_code(boost::system::errc::wrong_protocol_type);
  }
  return {};
}

void Transport::WriteOrForget(std::string_view bytes) {
  ErrorCode error;
  Write(bytes, error);
  // What is left of a record cannot be followed by another.
  if (tls_ && error) socket_.shutdown(Socket::shutdown_send, error);
}

void Transport::Cancel() {
  ErrorCode ignored;
  socket_.cancel(ignored);
}

void Transport::CloseSending() {
  if (tls_) tls_->CloseNotify();
  tls_.reset();
  ErrorCode ignored;
  socket_.shutdown(Socket::shutdown_send, ignored);
}

void Transport::Close() {
  if (tls_) tls_->CloseNotify();
  tls_.reset();
  ErrorCode ignored;
  socket_.close(ignored);
}

}  // namespace mmsmo::http
