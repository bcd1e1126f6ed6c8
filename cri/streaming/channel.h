// SPDX-License-Identifier: Apache-2.0
#pragma once

// One channel of a ChannelConnection.

#include <cstdint>
#include <memory>
#include <string>

#include "absl/strings/string_view.h"
#include "cri/streaming/stream.h"

namespace serai::cri::streaming {

class ChannelConnection;

class Channel final : public Stream,
                      public std::enable_shared_from_this<Channel> {
 public:
  Channel(ChannelConnection& connection, uint8_t number)
      : connection_(&connection), number_(number) {}

  void Write(std::string data, Done done) override;
  // The client is not told, for the protocol knows no end of one direction
  // from the server; so it ends both.
  void CloseWrite() override;
  void Reset() override { Drop(); }
  void Read(Got got) override;
  void Discard() override;
  void OnAbort(Done aborted) override;

  // For the connection.
  void Receive(absl::string_view data);
  void ReceiveEnd();
  void Abort();

 private:
  void Deliver();
  void Drop();

  ChannelConnection* connection_;  // null when it is gone, or was reset
  const uint8_t number_;
  std::string received_;
  bool received_end_ = false;
  bool discards_ = false;
  bool write_closed_ = false;
  Got got_;
  Done aborted_;
};

}  // namespace serai::cri::streaming
