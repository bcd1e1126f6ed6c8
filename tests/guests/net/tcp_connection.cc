// SPDX-License-Identifier: Apache-2.0
#include "tests/guests/net/tcp_connection.h"

#include "tests/guests/runtime/platform.h"

namespace serai::guest {
namespace {

constexpr uint64_t kFirstTimeout = 250 * kMillisecond;
constexpr uint64_t kMaxTimeout = 8 * kSecond;
constexpr unsigned kMaxRetries = 8;
constexpr uint64_t kIdleTimeout = 60 * kSecond;
// For a peer that never closes its side.
constexpr uint64_t kFinWaitTimeout = 10 * kSecond;

}  // namespace

void TcpConnection::Open(Interface& interface, Service& service,
                         Buffers& buffers, const TcpSegment& syn,
                         uint32_t sequence) {
  *this = TcpConnection();
  interface_ = &interface;
  service_ = &service;
  buffers_ = &buffers;
  state_ = State::kSynReceived;
  peer_ = syn.from;
  port_ = syn.from_port;
  own_port_ = syn.to_port;
  const uint16_t largest = MaxSegmentSize(interface, syn.from);
  max_segment_ =
      syn.max_segment_size < largest ? syn.max_segment_size : largest;
  window_ = syn.window;
  unacknowledged_ = sequence;
  next_ = highest_ = reply_sequence_ = sequence + 1;
  expected_ = syn.sequence + 1;
  timeout_ = kFirstTimeout;
  last_active_ = MonotonicTime();
  SendSynAck();
  SetDeadline();
}

void TcpConnection::SendSynAck() {
  SendTcp(*interface_, peer_, own_port_, port_,
          {.flags = kSyn | kAck,
           .sequence = unacknowledged_,
           .acknowledgement = expected_,
           .window = Room(),
           .offers_max_segment_size = true});
}

void TcpConnection::Send(uint8_t flags, uint32_t sequence,
                         std::string_view data) {
  SendTcp(*interface_, peer_, own_port_, port_,
          {.flags = flags,
           .sequence = sequence,
           .acknowledgement = expected_,
           .window = Room(),
           .data = data});
  must_acknowledge_ = false;
}

void TcpConnection::Abort() {
  Send(kRst | kAck, highest_, {});
  state_ = State::kFree;
}

void TcpConnection::OnSegment(const TcpSegment& segment) {
  last_active_ = MonotonicTime();
  const bool waited = Waits();
  progressed_ = false;
  if (state_ == State::kSynReceived) {
    OnHandshake(segment);
    if (state_ != State::kOpen) return;
  }
  if (IsAcceptable(segment) && TakeAcknowledgement(segment)) {
    // Answers go by the way of the newest packet.
    peer_.mac = segment.from.mac;
    TakeData(segment);
    ServeRequests();
    Transmit(false);
  }
  if (state_ == State::kFree) return;
  if (must_acknowledge_) Acknowledge();
  if (FinAcknowledged() && peer_closed_) {
    state_ = State::kFree;
    return;
  }
  // A peer that only repeats itself does not put off sending again.
  if (!waited || progressed_) SetDeadline();
}

void TcpConnection::OnHandshake(const TcpSegment& segment) {
  if (segment.Has(kRst)) {
    if (segment.sequence == expected_) state_ = State::kFree;
  } else if (segment.Has(kSyn)) {
    // The peer did not hear us.
    if (segment.sequence + 1 == expected_) SendSynAck();
  } else if (segment.Has(kAck)) {
    if (segment.acknowledgement == next_) {
      state_ = State::kOpen;
    } else {
      SendReset(*interface_, segment);
    }
  }
}

// Whether to look further at a segment (RFC 9293, 3.10.7.4, with the stricter
// answers to RST and SYN of RFC 5961).
bool TcpConnection::IsAcceptable(const TcpSegment& segment) {
  const int32_t offset = Difference(segment.sequence, expected_);
  const auto window = static_cast<int32_t>(kRequestSize);
  if (segment.Has(kRst)) {
    if (offset == 0) {
      state_ = State::kFree;
    } else if (offset > 0 && offset < window) {
      Acknowledge();
    }
    return false;
  }
  const bool outside =
      offset > window ||
      (offset < 0 && offset + static_cast<int32_t>(segment.Length()) <= 0);
  if (outside || segment.Has(kSyn)) {
    Acknowledge();
    return false;
  }
  return segment.Has(kAck);
}

// False when the segment acknowledges what was never sent.
bool TcpConnection::TakeAcknowledgement(const TcpSegment& segment) {
  const uint32_t acknowledgement = segment.acknowledgement;
  if (Difference(acknowledgement, highest_) > 0) {
    Acknowledge();
    return false;
  }
  retries_ = 0;
  if (Difference(acknowledgement, unacknowledged_) < 0) return true;
  if (acknowledgement != unacknowledged_) {
    timeout_ = kFirstTimeout;
    progressed_ = true;
  }
  window_ = segment.window;
  unacknowledged_ = acknowledgement;
  // What was about to be sent again has arrived after all.
  if (Difference(next_, unacknowledged_) < 0) next_ = unacknowledged_;
  return true;
}

void TcpConnection::TakeData(const TcpSegment& segment) {
  if (segment.Length() == 0) return;
  must_acknowledge_ = true;
  const int32_t offset = Difference(segment.sequence, expected_);
  if (offset > 0) return;  // a gap: the acknowledgement asks for what's missing
  std::string_view data = segment.data;
  const auto known = static_cast<size_t>(-offset);
  data.remove_prefix(known < data.size() ? known : data.size());
  size_t taken = data.size();
  if (!closing_ && !peer_closed_) {
    if (taken > Room()) taken = Room();
    __builtin_memcpy(buffers_->request + request_size_, data.data(), taken);
    request_size_ += taken;
  }
  expected_ += static_cast<uint32_t>(taken);
  if (segment.Has(kFin) && taken == data.size() && !peer_closed_) {
    ++expected_;
    peer_closed_ = true;
  }
}

void TcpConnection::ServeRequests() {
  if (reply_size_ > 0 && !closing_ &&
      Difference(unacknowledged_, ReplyEnd()) >= 0) {
    reply_sequence_ = unacknowledged_;
    reply_size_ = 0;
    ContinueReply();
  }
  while (reply_size_ == 0 && !closing_ && request_size_ > 0) {
    Writer reply(buffers_->reply, kReplySize);
    AnswerEnd end;
    size_t used =
        service_->Serve(peer_.address, {buffers_->request, request_size_},
                        request_size_ == kRequestSize, reply, end);
    if (used == 0) break;
    if (used > request_size_) used = request_size_;
    reply_size_ = reply.text().size();
    request_size_ -= used;
    __builtin_memmove(buffers_->request, buffers_->request + used,
                      request_size_);
    stream_position_ = 0;
    stream_size_ = end.stream;
    close_after_ = end.close;
    closing_ = end.close && end.stream == 0;
  }
  // Nothing is being answered, and what is left can't become a request.
  if (peer_closed_ && reply_size_ == 0) closing_ = true;
}

// The next part of an answer that is longer than the buffer: two full segments,
// which a peer acknowledges at once.
void TcpConnection::ContinueReply() {
  const uint64_t left = stream_size_ - stream_position_;
  if (left == 0) return;
  const size_t pair = size_t{2} * max_segment_;
  const size_t room = pair < kReplySize ? pair : kReplySize;
  reply_size_ = left < room ? static_cast<size_t>(left) : room;
  service_->Continue(stream_position_, buffers_->reply, reply_size_);
  stream_position_ += reply_size_;
  closing_ = close_after_ && stream_position_ == stream_size_;
}

// Sends what the peer's window allows. A probe sends at least one byte.
void TcpConnection::Transmit(bool probe) {
  while (next_ != End()) {
    const uint32_t offset = next_ - reply_sequence_;
    const size_t waiting = offset < reply_size_ ? reply_size_ - offset : 0;
    const int32_t open = Difference(unacknowledged_ + window_, next_);
    size_t room = open > 0 ? static_cast<size_t>(open) : 0;
    if (probe && room == 0) room = 1;
    probe = false;
    if (waiting > 0 && room == 0) return;
    size_t size = waiting < room ? waiting : room;
    if (size > max_segment_) size = max_segment_;
    const bool last = size == waiting;
    const uint8_t flags =
        static_cast<uint8_t>(kAck | (last && waiting > 0 ? kPsh : 0) |
                             (last && closing_ ? kFin : 0));
    Send(flags, next_, {buffers_->reply + (waiting > 0 ? offset : 0), size});
    next_ += static_cast<uint32_t>(size) + (last && closing_);
    if (Difference(next_, highest_) > 0) highest_ = next_;
  }
}

void TcpConnection::SetDeadline() {
  uint64_t timeout = Waits() ? timeout_ : kIdleTimeout;
  if (FinAcknowledged()) timeout = kFinWaitTimeout;
  deadline_ = MonotonicTime() + timeout;
}

void TcpConnection::OnTimer() {
  if (FinAcknowledged() || ++retries_ > kMaxRetries) {
    Abort();
    return;
  }
  if (Waits()) {
    timeout_ = timeout_ < kMaxTimeout / 2 ? timeout_ * 2 : kMaxTimeout;
    if (state_ == State::kSynReceived) {
      SendSynAck();
    } else {
      next_ = unacknowledged_;
      Transmit(true);
    }
  } else {
    closing_ = true;  // idle for too long
    Transmit(false);
  }
  SetDeadline();
}

}  // namespace serai::guest
