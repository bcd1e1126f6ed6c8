// SPDX-License-Identifier: Apache-2.0
#pragma once

// Which channels a WebSocket has for a request, and what is said on them first.

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "cri/streaming/spdy/header_block.h"
#include "cri/streaming/token_cache.h"

namespace serai::cri::streaming {

struct ChannelSet {
  // As the headers of the stream that each one stands for; none: ignored.
  std::vector<spdy::Headers> channels;
  std::vector<std::pair<uint8_t, std::string>> greetings;
};

// stdin, stdout, stderr, error, resize, as far as they were asked for. An empty
// message on the first one that can be read says that the connection stands.
ChannelSet AttachChannels(const AttachRequest& request);

// Data and error channel of each port; both begin with the port, two bytes, the
// lower first. INVALID_ARGUMENT for no port, or too many for channel numbers.
absl::StatusOr<ChannelSet> PortForwardChannels(
    const std::vector<uint16_t>& ports);

}  // namespace serai::cri::streaming
