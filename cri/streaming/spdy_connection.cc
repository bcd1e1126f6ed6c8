// SPDX-License-Identifier: Apache-2.0
#include "cri/streaming/spdy_connection.h"

#include <utility>

#include "cri/streaming/limits.h"
#include "spdlog/spdlog.h"

namespace serai::cri::streaming {
namespace {

// A client that makes us answer and does not read is not read from either.
constexpr size_t kMaxUnwaitedBytes = 256 << 10;
// Of one write.
constexpr size_t kMaxPieces = 64;

}  // namespace

SpdyConnection::SpdyConnection(const boost::asio::any_io_executor& executor,
                               std::shared_ptr<Transport> transport,
                               std::shared_ptr<Service> service)
    : transport_(std::move(transport)),
      service_(std::move(service)),
      session_(*this),
      timer_(executor),
      last_active_(std::chrono::steady_clock::now()) {}

SpdyConnection::~SpdyConnection() {
  closed_ = true;
  session_.Abort();
}

void SpdyConnection::Start(const std::string& first) {
  service_->Start([weak = weak_from_this()] {
    if (const auto self = weak.lock()) self->Finish();
  });
  CheckIdle();
  Receive(first);
  Read();
}

void SpdyConnection::Receive(absl::string_view bytes) {
  if (finishing_ || closed_) return;
  const absl::Status status = session_.Receive(bytes);
  if (status.ok()) return;
  spdlog::debug("streaming: {}", std::string(status.message()));
  session_.Abort();
  EndService();
  Finish();
}

void SpdyConnection::Read() {
  if (reading_ || closed_) return;
  // One that is finishing is read from only for its end.
  if (!finishing_ &&
      (!session_.wants_input() || unwaited_bytes_ > kMaxUnwaitedBytes)) {
    return;
  }
  reading_ = true;
  transport_->ReadSome(
      boost::asio::buffer(buffer_),
      [self = shared_from_this()](boost::system::error_code error, size_t n) {
        if (!error) {
          self->last_active_ = std::chrono::steady_clock::now();
          self->Receive(absl::string_view(self->buffer_.data(), n));
        }
        // Only now: who takes some of it while it is parsed makes the session
        // ask for more, which would come over what has yet to be parsed.
        self->reading_ = false;
        if (error) return self->Close();
        self->Read();
      });
}

void SpdyConnection::Send(std::string bytes, Stream::Done done) {
  if (closed_) return;
  if (done == nullptr) unwaited_bytes_ += bytes.size();
  queue_.push_back({std::move(bytes), std::move(done)});
  Write();
}

void SpdyConnection::OnStream(std::shared_ptr<Stream> stream, uint32_t id,
                              const spdy::Headers& headers) {
  service_->OnStream(std::move(stream), id, headers);
}

void SpdyConnection::Write() {
  if (!in_flight_.empty() || queue_.empty() || closed_) return;
  std::vector<boost::asio::const_buffer> buffers;
  while (!queue_.empty() && in_flight_.size() < kMaxPieces) {
    in_flight_.push_back(std::move(queue_.front()));
    queue_.pop_front();
  }
  for (const Piece& piece : in_flight_) {
    buffers.push_back(boost::asio::buffer(piece.bytes));
  }
  transport_->Write(
      buffers, [self = shared_from_this()](boost::system::error_code error) {
        if (error) return self->Close();
        self->OnWritten();
      });
}

void SpdyConnection::OnWritten() {
  last_active_ = std::chrono::steady_clock::now();
  const std::vector<Piece> written = std::exchange(in_flight_, {});
  for (const Piece& piece : written) {
    if (piece.done == nullptr) unwaited_bytes_ -= piece.bytes.size();
  }
  Write();
  for (const Piece& piece : written) {
    if (piece.done != nullptr && !closed_) piece.done();
  }
  ShutdownIfFinished();
  Read();
}

void SpdyConnection::Finish() {
  if (finishing_ || closed_) return;
  session_.GoAway();
  finishing_ = true;
  ShutdownIfFinished();
  Read();
}

void SpdyConnection::ShutdownIfFinished() {
  if (!finishing_ || !in_flight_.empty() || closed_) return;
  if (std::exchange(shut_down_, true)) return;
  transport_->ShutdownSend();
  timer_.expires_after(kLingerTimeout);
  timer_.async_wait(
      [self = shared_from_this()](boost::system::error_code error) {
        if (!error) self->Close();
      });
}

void SpdyConnection::EndService() {
  if (!std::exchange(service_ended_, true)) service_->OnClosed();
}

void SpdyConnection::Close() {
  if (std::exchange(closed_, true)) return;
  const auto self = shared_from_this();
  transport_->Close();
  timer_.cancel();
  queue_.clear();
  session_.Abort();
  EndService();
}

// What keeps the connection while nothing is read or written.
void SpdyConnection::CheckIdle() {
  const auto deadline = last_active_ + kIdleTimeout;
  if (std::chrono::steady_clock::now() >= deadline) return Close();
  timer_.expires_at(deadline);
  timer_.async_wait(
      [self = shared_from_this()](boost::system::error_code error) {
        if (!error) self->CheckIdle();
      });
}

}  // namespace serai::cri::streaming
