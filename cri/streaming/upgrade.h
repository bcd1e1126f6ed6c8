// SPDX-License-Identifier: Apache-2.0
#pragma once

// The HTTP part of a streaming connection, without the network: what a request
// asks for, and which protocol it is given. Clients are kubelet, crictl and
// kubectl behind them (SPDY/3.1 by POST, RFC 6455 WebSocket by GET).

#include <string>
#include <utility>
#include <vector>

#include "absl/strings/string_view.h"
#include "lib/base/status.h"

namespace serai::cri::streaming {

// Of a request, what matters.
struct UpgradeRequest {
  std::string method;
  std::string target;
  std::string connection;
  std::string upgrade;
  // X-Stream-Protocol-Version, or Sec-WebSocket-Protocol, in the client's
  // order.
  std::vector<std::string> stream_protocols;
  std::vector<std::string> websocket_protocols;
};

// /exec/TOKEN, /attach/TOKEN, /portforward/TOKEN; a query is left out.
struct Target {
  std::string action;
  std::string token;
};
// NOT_FOUND for any other.
absl::StatusOr<Target> ParseTarget(absl::string_view target);

enum class Upgrade { kSpdy, kWebSocket };

// INVALID_ARGUMENT for a request that is neither.
absl::StatusOr<Upgrade> UpgradeOf(const UpgradeRequest& request);

// SPDY in the messages of a WebSocket.
inline constexpr char kTunnelProtocol[] = "SPDY/3.1+portforward.k8s.io";

// What the server speaks, best first.
const std::vector<std::string>& AttachSpdyProtocols();
const std::vector<std::string>& PortForwardSpdyProtocols();
const std::vector<std::string>& AttachWebSocketProtocols();
const std::vector<std::string>& PortForwardWebSocketProtocols();

// The first of the client's that is one of the server's. PERMISSION_DENIED when
// there is none, INVALID_ARGUMENT when the client offers nothing.
absl::StatusOr<std::string> Negotiate(const std::vector<std::string>& client,
                                      const std::vector<std::string>& server);

// The same for WebSocket, where a client may offer nothing and then gets
// nothing: an empty string.
absl::StatusOr<std::string> NegotiateWebSocket(
    const std::vector<std::string>& client,
    const std::vector<std::string>& server);

// The members of header values that are lists with commas.
std::vector<std::string> SplitList(absl::string_view values);

}  // namespace serai::cri::streaming
