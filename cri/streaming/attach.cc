// SPDX-License-Identifier: Apache-2.0
#include "cri/streaming/attach.h"

#include <chrono>
#include <utility>

#include "absl/strings/match.h"
#include "cri/streaming/error_status.h"

namespace serai::cri::streaming {
namespace {

constexpr std::chrono::seconds kStreamsTimeout(30);

bool HasJsonStatus(const std::string& protocol) {
  return absl::StartsWith(protocol, "v4.") || absl::StartsWith(protocol, "v5.");
}

}  // namespace

Attach::Attach(const boost::asio::any_io_executor& executor, Backend& backend,
               std::shared_ptr<Poster> poster, AttachRequest request,
               const std::string& protocol)
    : backend_(backend),
      poster_(std::move(poster)),
      request_(std::move(request)),
      json_status_(HasJsonStatus(protocol)),
      resizes_(request_.tty &&
               (json_status_ || absl::StartsWith(protocol, "v3."))),
      timer_(executor) {}

void Attach::Start(std::function<void()> finish) {
  finish_ = std::move(finish);
  timer_.expires_after(kStreamsTimeout);
  timer_.async_wait([weak = weak_from_this()](boost::system::error_code error) {
    const auto self = weak.lock();
    if (error || self == nullptr || self->begun_) return;
    self->Finish(absl::DeadlineExceededError(
        "the client has not opened the streams that it asked for within 30 s"));
  });
}

// Where a stream of this type belongs; null when none was asked for.
std::shared_ptr<Stream>* Attach::StreamOf(absl::string_view type) {
  if (type == "error") return &error_;
  if (type == "stdin" && request_.in) return &in_;
  if (type == "stdout" && request_.out) return &out_;
  if (type == "stderr" && request_.err) return &err_;
  if (type == "resize" && resizes_) return &resize_;
  return nullptr;
}

bool Attach::AllThere() const {
  return error_ != nullptr && (in_ != nullptr) == request_.in &&
         (out_ != nullptr) == request_.out &&
         (err_ != nullptr) == request_.err && (resize_ != nullptr) == resizes_;
}

void Attach::OnStream(std::shared_ptr<Stream> stream, uint32_t,
                      const spdy::Headers& headers) {
  if (closed_) return stream->Reset();
  const auto place = StreamOf(spdy::HeaderValue(headers, "streamtype"));
  if (begun_ || place == nullptr || *place != nullptr) return stream->Reset();
  stream->Discard();
  *place = std::move(stream);
  if (place == &out_) {
    out_->OnAbort([weak = weak_from_this()] {
      if (const auto self = weak.lock()) self->OnOutReset();
    });
  }
  if (!AllThere()) return;
  begun_ = true;
  timer_.cancel();
  watch_ = backend_.WatchConsole(request_.container);
  Ask();
}

// An answer takes up to half a minute, also for a client who has gone since.
void Attach::Ask() {
  backend_.ReadConsole(request_.container, offset_,
                       [poster = poster_, weak = weak_from_this()](
                           absl::StatusOr<ConsolePiece> piece) {
                         poster->Post([weak, piece = std::move(piece)] {
                           if (const auto self = weak.lock())
                             self->OnPiece(piece);
                         });
                       });
}

void Attach::OnPiece(absl::StatusOr<ConsolePiece> piece) {
  if (closed_) return;
  if (!piece.ok()) return Finish(piece.status());
  // What was before the first piece is no loss: it is older than the last
  // lines.
  if (offset_ != 0 && piece->lost != 0) TellLoss(*piece);
  offset_ = piece->next_offset;
  ended_ = piece->ended;
  if (out_ == nullptr || piece->data.empty()) return OnTaken();
  writing_ = true;
  out_->Write(std::move(piece->data), [self = shared_from_this()] {
    if (!self->closed_) self->OnTaken();
  });
}

void Attach::OnTaken() {
  writing_ = false;
  if (ended_) return Finish(absl::OkStatus());
  Ask();
}

// The client still waits for how it ends.
void Attach::OnOutReset() {
  out_ = nullptr;
  if (writing_ && !closed_) OnTaken();
}

void Attach::TellLoss(ConsolePiece& piece) {
  const std::string note = absl::StrCat(
      "\n[", piece.lost, " bytes came too fast and are missing]\n");
  piece.data.insert(0, note);
}

void Attach::Finish(const absl::Status& status) {
  if (closed_) return;
  if (error_ != nullptr) {
    const std::string text =
        json_status_ ? StatusJson(status) : std::string(status.message());
    if (!text.empty()) error_->Write(text, nullptr);
  }
  for (const auto& stream : {error_, out_, err_, in_, resize_}) {
    if (stream != nullptr) stream->CloseWrite();
  }
  const std::function<void()> finish = std::move(finish_);
  OnClosed();
  finish();
}

void Attach::OnClosed() {
  closed_ = true;
  watch_ = nullptr;
  timer_.cancel();
}

}  // namespace serai::cri::streaming
