// SPDX-License-Identifier: Apache-2.0
#include "cri/streaming/channel_message.h"

#include "absl/strings/escaping.h"
#include "absl/strings/match.h"

namespace serai::cri::streaming {
namespace {

// Of version 5, with the channel that ends in the second byte.
constexpr uint8_t kEndChannel = 255;

}  // namespace

ChannelProtocol ChannelProtocolOf(absl::string_view name) {
  return {absl::StrContains(name, "base64."), absl::StartsWith(name, "v5.")};
}

absl::StatusOr<ChannelMessage> DecodeChannelMessage(
    const ChannelProtocol& protocol, absl::string_view message) {
  ChannelMessage result;
  // Clients send them to see whether somebody is there.
  if (message.empty()) return result;
  const auto first = static_cast<uint8_t>(message[0]);
  message.remove_prefix(1);
  if (protocol.has_end && first == kEndChannel) {
    if (message.size() != 1) {
      return absl::InvalidArgumentError("a channel's end of a wrong size");
    }
    result.channel = static_cast<uint8_t>(message[0]);
    result.end = true;
    return result;
  }
  if (!protocol.base64) {
    result.channel = first;
    result.data.assign(message.data(), message.size());
    return result;
  }
  // Beyond ten channels the characters after the digits go on.
  if (first < '0') {
    return absl::InvalidArgumentError("a channel that is no digit");
  }
  result.channel = static_cast<uint8_t>(first - '0');
  if (!absl::Base64Unescape(message, &result.data)) {
    return absl::InvalidArgumentError("a message that is not base64");
  }
  return result;
}

std::string EncodeChannelMessage(const ChannelProtocol& protocol,
                                 uint8_t channel, absl::string_view data) {
  if (protocol.base64) {
    return absl::StrCat(std::string(1, static_cast<char>('0' + channel)),
                        absl::Base64Escape(data));
  }
  std::string message(1, static_cast<char>(channel));
  message.append(data.data(), data.size());
  return message;
}

}  // namespace serai::cri::streaming
