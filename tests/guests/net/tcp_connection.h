// SPDX-License-Identifier: Apache-2.0
#pragma once

// One connection of a TcpServer: takes requests in order, sends one answer at a
// time, resends until it is acknowledged, closes.

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "tests/guests/net/tcp_segment.h"
#include "tests/guests/runtime/console.h"

namespace serai::guest {

// What comes after an answer.
struct AnswerEnd {
  bool close = false;   // the connection's end
  uint64_t stream = 0;  // before that: bytes that Service::Continue gives
};

// What is served over the connections.
class Service {
 public:
  // `data` is what the peer sent and no answer took yet. Appends the answer to
  // the request at its beginning to `reply`, and returns how many bytes that
  // request has; 0 when it is not complete, which it never will be when `full`.
  virtual size_t Serve(const IpAddress& peer, std::string_view data, bool full,
                       Writer& reply, AnswerEnd& end) = 0;

  // Writes `size` bytes of an answer's stream, those after `position`.
  virtual void Continue(uint64_t position, char* to, size_t size) = 0;

 protected:
  ~Service() = default;
};

class TcpConnection {
 public:
  static constexpr size_t kRequestSize = 2048;
  static constexpr size_t kReplySize = 4096;
  struct Buffers {
    char request[kRequestSize];
    char reply[kReplySize];
  };

  constexpr TcpConnection() = default;

  // Answers the segment, a SYN. `sequence` is the first one of ours.
  void Open(Interface& interface, Service& service, Buffers& buffers,
            const TcpSegment& syn, uint32_t sequence);

  bool in_use() const { return state_ != State::kFree; }
  bool IsWith(const TcpSegment& segment) const {
    return in_use() && port_ == segment.from_port &&
           peer_.address == segment.from.address;
  }
  // Whether the peer never completed the handshake.
  bool half_open() const { return state_ == State::kSynReceived; }
  uint64_t last_active() const { return last_active_; }
  bool HasUnacknowledged() const {
    return in_use() && unacknowledged_ != highest_;
  }

  // When OnTimer() is due, on the monotonic clock.
  uint64_t deadline() const { return deadline_; }
  void OnTimer();

  // A segment from the peer.
  void OnSegment(const TcpSegment& segment);

  // Forgets the connection and tells the peer.
  void Abort();

 private:
  enum class State : uint8_t { kFree, kSynReceived, kOpen };

  uint32_t ReplyEnd() const {
    return reply_sequence_ + static_cast<uint32_t>(reply_size_);
  }
  // After all we have to send, the FIN included.
  uint32_t End() const { return ReplyEnd() + closing_; }
  bool FinAcknowledged() const { return closing_ && unacknowledged_ == End(); }
  // Whether something is unacknowledged or yet to be sent.
  bool Waits() const { return unacknowledged_ != highest_ || next_ != End(); }
  // What the peer may send. What comes after our FIN is thrown away.
  size_t Room() const {
    return closing_ ? kRequestSize : kRequestSize - request_size_;
  }

  void OnHandshake(const TcpSegment& segment);
  bool IsAcceptable(const TcpSegment& segment);
  bool TakeAcknowledgement(const TcpSegment& segment);
  void TakeData(const TcpSegment& segment);
  void ServeRequests();
  void ContinueReply();
  void Transmit(bool probe);
  void Send(uint8_t flags, uint32_t sequence, std::string_view data);
  void SendSynAck();
  void Acknowledge() { Send(kAck, highest_, {}); }
  void SetDeadline();

  Interface* interface_ = nullptr;
  Service* service_ = nullptr;
  Buffers* buffers_ = nullptr;
  State state_ = State::kFree;
  bool closing_ = false;      // our side ends with what is being sent
  bool close_after_ = false;  // our side ends with the answer's stream
  bool peer_closed_ = false;  // the peer's FIN was taken
  bool must_acknowledge_ = false;
  bool progressed_ = false;  // the segment at hand acknowledged something
  Station peer_ = {};
  uint16_t port_ = 0;
  uint16_t own_port_ = 0;
  uint16_t max_segment_ = 0;
  uint32_t window_ = 0;  // the peer's
  // Ours: [unacknowledged_, next_) is on its way; up to highest_ was once. The
  // reply takes [reply_sequence_, ReplyEnd()), a FIN the number after it.
  uint32_t unacknowledged_ = 0;
  uint32_t next_ = 0;
  uint32_t highest_ = 0;
  uint32_t reply_sequence_ = 0;
  uint32_t expected_ = 0;  // the peer's next
  unsigned retries_ = 0;
  uint64_t timeout_ = 0;
  uint64_t deadline_ = 0;
  uint64_t last_active_ = 0;
  size_t request_size_ = 0;
  size_t reply_size_ = 0;
  uint64_t stream_position_ = 0;  // of the answer's stream
  uint64_t stream_size_ = 0;
};

}  // namespace serai::guest
