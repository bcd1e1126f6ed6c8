// SPDX-License-Identifier: Apache-2.0
#include "cri/streaming/router.h"

#include <utility>

#include "cri/streaming/attach.h"
#include "cri/streaming/channel_connection.h"
#include "cri/streaming/channel_sets.h"
#include "cri/streaming/no_exec.h"
#include "cri/streaming/port_forward.h"
#include "cri/streaming/socket_transport.h"
#include "cri/streaming/spdy_connection.h"
#include "cri/streaming/websocket.h"
#include "lib/base/deadline.h"
#include "spdlog/spdlog.h"

namespace serai::cri::streaming {

void Router::Serve(const std::shared_ptr<HttpConnection>& connection) {
  const absl::Status status = TryServe(connection);
  if (status.ok()) return;
  spdlog::debug("streaming: refused: {}", std::string(status.message()));
  connection->Refuse(status);
}

absl::Status Router::TryServe(
    const std::shared_ptr<HttpConnection>& connection) {
  const UpgradeRequest http = connection->request();
  ASSIGN_OR_RETURN(const Target target, ParseTarget(http.target));
  if (target.action == "exec") return absl::UnimplementedError(kNoExec);
  ASSIGN_OR_RETURN(const Upgrade upgrade, UpgradeOf(http));
  if (static_cast<size_t>(connections_.use_count()) > kMaxConnections) {
    return absl::UnavailableError(absl::StrCat(
        kMaxConnections, " clients are attached or forward ports already"));
  }
  ASSIGN_OR_RETURN(const Request request,
                   parts_.tokens.Take(target.token, MonotonicNow()));
  const bool attaches = std::holds_alternative<AttachRequest>(request);
  if (attaches != (target.action == "attach")) {
    return absl::NotFoundError("this token is for another path");
  }
  if (upgrade == Upgrade::kSpdy) return ServeSpdy(connection, http, request);
  return ServeWebSocket(connection, http, request);
}

std::shared_ptr<Service> Router::NewService(const Request& request,
                                            const std::string& protocol,
                                            size_t connections) {
  if (const auto* attach = std::get_if<AttachRequest>(&request)) {
    return std::make_shared<Attach>(parts_.executor, parts_.backend,
                                    parts_.poster, *attach, protocol);
  }
  return std::make_shared<PortForward>(
      parts_.executor, parts_.backend,
      std::get<PortForwardRequest>(request).pod, connections, forwarded_);
}

absl::Status Router::ServeSpdy(
    const std::shared_ptr<HttpConnection>& connection,
    const UpgradeRequest& http, const Request& request) {
  ASSIGN_OR_RETURN(const std::string protocol,
                   Negotiate(http.stream_protocols,
                             std::holds_alternative<AttachRequest>(request)
                                 ? AttachSpdyProtocols()
                                 : PortForwardSpdyProtocols()));
  connection->SwitchToSpdy(
      protocol, [executor = parts_.executor, connection, slot = connections_,
                 service = NewService(request, protocol, 0)] {
        std::make_shared<SpdyConnection>(
            executor,
            std::make_shared<SocketTransport>(connection->Release(), slot),
            service)
            ->Start(connection->rest());
      });
  return absl::OkStatus();
}

absl::Status Router::ServeWebSocket(
    const std::shared_ptr<HttpConnection>& connection,
    const UpgradeRequest& http, const Request& request) {
  if (!connection->rest().empty()) {
    return absl::InvalidArgumentError("the client sends before the answer");
  }
  const bool attaches = std::holds_alternative<AttachRequest>(request);
  ASSIGN_OR_RETURN(
      const std::string protocol,
      NegotiateWebSocket(http.websocket_protocols,
                         attaches ? AttachWebSocketProtocols()
                                  : PortForwardWebSocketProtocols()));
  if (protocol == kTunnelProtocol) {
    WebSocket::Accept(connection, protocol, connections_,
                      [service = NewService(request, protocol, 0)](
                          std::shared_ptr<WebSocket> socket) {
                        const auto executor = socket->executor();
                        std::make_shared<SpdyConnection>(
                            executor, std::move(socket), service)
                            ->Start("");
                      });
    return absl::OkStatus();
  }
  ChannelSet set;
  if (attaches) {
    set = AttachChannels(std::get<AttachRequest>(request));
  } else {
    ASSIGN_OR_RETURN(
        set, PortForwardChannels(std::get<PortForwardRequest>(request).ports));
  }
  WebSocket::Accept(
      connection, protocol, connections_,
      [set, protocol,
       service = NewService(request, protocol, set.channels.size() / 2)](
          std::shared_ptr<WebSocket> socket) {
        std::make_shared<ChannelConnection>(std::move(socket),
                                            ChannelProtocolOf(protocol),
                                            service, set.channels)
            ->Start(set.greetings);
      });
  return absl::OkStatus();
}

}  // namespace serai::cri::streaming
