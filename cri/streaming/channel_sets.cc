// SPDX-License-Identifier: Apache-2.0
#include "cri/streaming/channel_sets.h"

namespace serai::cri::streaming {
namespace {

// Nobody forwards more at once; a channel's number is a byte.
constexpr size_t kMaxPorts = 64;

spdy::Headers OfType(const char* type) { return {{"streamtype", type}}; }

}  // namespace

ChannelSet AttachChannels(const AttachRequest& request) {
  ChannelSet set;
  set.channels.resize(5);
  if (request.in) set.channels[0] = OfType("stdin");
  if (request.out) set.channels[1] = OfType("stdout");
  if (request.err) set.channels[2] = OfType("stderr");
  set.channels[3] = OfType("error");
  if (request.tty) set.channels[4] = OfType("resize");
  const uint8_t first = request.out ? 1 : request.err ? 2 : 3;
  set.greetings.emplace_back(first, "");
  return set;
}

absl::StatusOr<ChannelSet> PortForwardChannels(
    const std::vector<uint16_t>& ports) {
  if (ports.empty() || ports.size() > kMaxPorts) {
    return absl::InvalidArgumentError(
        absl::StrCat("over WebSocket channels the PortForward call is to name "
                     "1 to ",
                     kMaxPorts, " ports; it named ", ports.size()));
  }
  ChannelSet set;
  for (size_t i = 0; i < ports.size(); ++i) {
    for (const char* type : {"data", "error"}) {
      set.greetings.emplace_back(set.channels.size(),
                                 std::string{static_cast<char>(ports[i] & 0xff),
                                             static_cast<char>(ports[i] >> 8)});
      set.channels.push_back({{"streamtype", type},
                              {"port", absl::StrCat(ports[i])},
                              {"requestid", absl::StrCat(i)}});
    }
  }
  return set;
}

}  // namespace serai::cri::streaming
