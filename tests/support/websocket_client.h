// SPDX-License-Identifier: Apache-2.0
#pragma once

// A WebSocket client (RFC 6455) for tests, with frames of its own. One thread.

#include <memory>
#include <string>
#include <vector>

#include "tests/support/byte_channel.h"

namespace serai::testing {

class WebSocketClient {
 public:
  enum Opcode { kText = 1, kBinary = 2, kClose = 8, kPing = 9, kPong = 10 };
  struct Message {
    int opcode = 0;
    std::string data;
  };

  // Offers the protocols; none: names none. UNAVAILABLE with the server's
  // answer when it refuses.
  static absl::StatusOr<std::unique_ptr<WebSocketClient>> Connect(
      const std::string& url, const std::vector<std::string>& protocols,
      const TlsFiles& files = {});

  // The one that the server chose.
  const std::string& protocol() const { return protocol_; }

  absl::Status Send(Opcode opcode, absl::string_view data);
  // The next frame, whatever it is. DEADLINE_EXCEEDED; UNAVAILABLE at the end.
  absl::StatusOr<Message> Receive(absl::Duration timeout = absl::Seconds(30));

  // As a channel of bytes in binary messages.
  static std::unique_ptr<ByteChannel> AsBytes(
      std::unique_ptr<WebSocketClient> client);

 private:
  std::unique_ptr<ByteChannel> channel_;
  std::string protocol_;
  std::string received_;
};

}  // namespace serai::testing
