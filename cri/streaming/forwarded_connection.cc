// SPDX-License-Identifier: Apache-2.0
#include "cri/streaming/forwarded_connection.h"

#include <array>
#include <boost/asio/ip/address.hpp>
#include <chrono>
#include <utility>

#include "cri/streaming/listen_address.h"
#include "spdlog/spdlog.h"

namespace serai::cri::streaming {
namespace {

namespace asio = boost::asio;
using asio::ip::tcp;
using boost::system::error_code;
using Clock = std::chrono::steady_clock;

constexpr std::chrono::seconds kDialTimeout(10);
constexpr size_t kChunkBytes = 32 << 10;

}  // namespace

ForwardedConnection::ForwardedConnection(const asio::any_io_executor& executor,
                                         std::string pod, uint16_t port,
                                         std::shared_ptr<Stream> data,
                                         std::shared_ptr<Stream> error,
                                         std::function<void()> ended,
                                         Clock::duration stall_timeout)
    : pod_(std::move(pod)),
      port_(port),
      data_(std::move(data)),
      error_(std::move(error)),
      ended_(std::move(ended)),
      stall_timeout_(stall_timeout),
      socket_(executor),
      timer_(executor) {}

void ForwardedConnection::Start(
    absl::StatusOr<std::vector<std::string>> addresses) {
  error_->Discard();
  data_->OnAbort([self = shared_from_this()] { self->Close(); });
  if (!addresses.ok()) return Fail(std::string(addresses.status().message()));
  addresses_ = *std::move(addresses);
  if (addresses_.empty()) {
    return Fail(absl::StrCat("pod ", pod_, " has no address"));
  }
  Dial();
}

void ForwardedConnection::Dial() {
  error_code error;
  const asio::ip::address address =
      asio::ip::make_address(addresses_[next_address_], error);
  if (error) return OnDialled(error);
  timer_.expires_after(kDialTimeout);
  timer_.async_wait([self = shared_from_this()](error_code cancelled) {
    error_code ignored;
    // The connect ends then, and says that it was cancelled.
    if (!cancelled) self->socket_.cancel(ignored);
  });
  socket_.async_connect(tcp::endpoint(address, port_),
                        [self = shared_from_this()](error_code result) {
                          self->timer_.cancel();
                          if (!self->closed_) self->OnDialled(result);
                        });
}

void ForwardedConnection::OnDialled(error_code error) {
  if (error) {
    const std::string reason = error == asio::error::operation_aborted
                                   ? "no answer within 10 s"
                                   : error.message();
    absl::StrAppend(&failure_, failure_.empty() ? "" : "; ",
                    addresses_[next_address_], ": ", reason);
    error_code ignored;
    socket_.close(ignored);
    if (++next_address_ < addresses_.size()) return Dial();
    return Fail(absl::StrCat("port ", port_, " of pod ", pod_,
                             " can't be connected: ", failure_));
  }
  socket_.set_option(tcp::no_delay(true), error);
  SetKeepAlive(socket_.native_handle());
  socket_.non_blocking(true, error);
  ReadClient();
  WaitPod();
}

void ForwardedConnection::ReadClient() {
  data_->Read([self = shared_from_this()](std::string bytes) {
    if (self->closed_) return;
    if (!bytes.empty()) {
      self->to_pod_ = std::move(bytes);
      self->written_ = 0;
      return self->WritePod();
    }
    self->client_ended_ = true;
    error_code error;
    self->socket_.shutdown(tcp::socket::shutdown_send, error);
    self->EndIfDone();
  });
}

void ForwardedConnection::WritePod() {
  timer_.expires_after(stall_timeout_);
  timer_.async_wait([self = shared_from_this()](error_code cancelled) {
    if (cancelled || self->closed_) return;
    self->Break("write", asio::error::timed_out);
  });
  socket_.async_write_some(
      asio::buffer(to_pod_) + written_,
      [self = shared_from_this()](error_code error, size_t size) {
        if (self->closed_) return;
        self->written_ += size;
        const bool more = self->written_ < self->to_pod_.size();
        if (!error && more) return self->WritePod();
        self->timer_.cancel();
        self->to_pod_ = {};
        if (error) return self->OnPodRefuses();
        self->ReadClient();
      });
}

// It takes no more. What it has said before is read to its end.
void ForwardedConnection::OnPodRefuses() {
  refused_ = !pod_ended_;
  data_->Discard();
  client_ended_ = true;
  EndIfDone();
}

// A connection that is quiet holds no buffer.
void ForwardedConnection::WaitPod() {
  socket_.async_wait(tcp::socket::wait_read,
                     [self = shared_from_this()](error_code error) {
                       if (self->closed_) return;
                       if (error) return self->Break("wait", error);
                       self->ReadPod();
                     });
}

void ForwardedConnection::ReadPod() {
  // All connections are served by one thread.
  static thread_local std::array<char, kChunkBytes> chunk;
  error_code error;
  const size_t size = socket_.read_some(asio::buffer(chunk), error);
  if (error == asio::error::would_block || error == asio::error::try_again) {
    return WaitPod();
  }
  if (error == asio::error::eof) return OnPodEnd();
  if (error) return Break("read", error);
  data_->Write(std::string(chunk.data(), size), [self = shared_from_this()] {
    if (!self->closed_) self->WaitPod();
  });
}

void ForwardedConnection::OnPodEnd() {
  if (refused_) return Break("write", asio::error::broken_pipe);
  pod_ended_ = true;
  data_->CloseWrite();
  EndIfDone();
}

void ForwardedConnection::Break(const char* what, error_code error) {
  spdlog::debug("port-forward to pod {}, port {}: {}: {}", pod_, port_, what,
                error.message());
  data_->Reset();
  error_->CloseWrite();
  Close();
  ended_();
}

void ForwardedConnection::Fail(const std::string& why) {
  spdlog::debug("port-forward: {}", why);
  error_->Write(why, nullptr);
  error_->CloseWrite();
  data_->Reset();
  Close();
  ended_();
}

void ForwardedConnection::EndIfDone() {
  if (!client_ended_ || !pod_ended_ || closed_) return;
  error_->CloseWrite();
  Close();
  ended_();
}

void ForwardedConnection::Close() {
  if (std::exchange(closed_, true)) return;
  error_code ignored;
  socket_.close(ignored);
  timer_.cancel();
  // It holds this object.
  data_->OnAbort(nullptr);
  // When the client has reset its data stream, it still reads this one.
  error_->CloseWrite();
}

}  // namespace serai::cri::streaming
