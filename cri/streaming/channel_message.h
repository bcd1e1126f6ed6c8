// SPDX-License-Identifier: Apache-2.0
#pragma once

// Messages of the WebSocket protocols *.channel.k8s.io: a channel's number and
// bytes for it, in binary, or as a digit and base64; version 5 adds the end of
// a channel.

#include <cstdint>
#include <string>

#include "absl/strings/string_view.h"
#include "lib/base/status.h"

namespace serai::cri::streaming {

struct ChannelProtocol {
  bool base64 = false;
  bool has_end = false;
};

// By the subprotocol's name; an empty one is binary.
ChannelProtocol ChannelProtocolOf(absl::string_view name);

struct ChannelMessage {
  uint8_t channel = 0;
  std::string data;
  bool end = false;  // nothing more comes on the channel
};

// INVALID_ARGUMENT for what is no message.
absl::StatusOr<ChannelMessage> DecodeChannelMessage(
    const ChannelProtocol& protocol, absl::string_view message);

std::string EncodeChannelMessage(const ChannelProtocol& protocol,
                                 uint8_t channel, absl::string_view data);

}  // namespace serai::cri::streaming
