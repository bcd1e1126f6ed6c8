// SPDX-License-Identifier: Apache-2.0
#pragma once

// A stream of a session: what it has received and nobody read yet, and what it
// wants to send.

#include <cstdint>
#include <memory>
#include <string>

#include "absl/strings/string_view.h"
#include "cri/streaming/stream.h"

namespace serai::cri::spdy {

class Session;

class SpdyStream final : public streaming::Stream,
                         public std::enable_shared_from_this<SpdyStream> {
 public:
  SpdyStream(Session& session, uint32_t id, int64_t window)
      : session_(&session), id_(id), window_(window) {}

  void Write(std::string data, Done done) override;
  void CloseWrite() override;
  void Reset() override;
  void Read(Got got) override;
  void Discard() override;
  void OnAbort(Done aborted) override;

 private:
  friend class Session;

  void Receive(absl::string_view data);
  void ReceiveEnd();
  // The peer, or its connection, is gone.
  void Abort();
  // Forgets everything, callbacks too.
  void Drop();
  // Gives the reader what there is.
  void Deliver();
  // Sends what the windows allow.
  void Pump();
  void RemoveIfClosed();

  Session* session_;  // null when the session has no such stream any more
  const uint32_t id_;

  std::string received_;
  bool received_end_ = false;
  bool discards_ = false;
  size_t unacknowledged_ = 0;
  Got got_;

  std::string unsent_;
  Done done_;  // of unsent_
  bool end_wanted_ = false;
  bool end_sent_ = false;
  int64_t window_;

  Done aborted_;
};

}  // namespace serai::cri::spdy
