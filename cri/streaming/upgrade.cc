// SPDX-License-Identifier: Apache-2.0
#include "cri/streaming/upgrade.h"

#include <algorithm>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"

namespace serai::cri::streaming {
namespace {

constexpr absl::string_view kActions[] = {"exec", "attach", "portforward"};

bool Contains(const std::vector<std::string>& list, const std::string& value) {
  return std::find(list.begin(), list.end(), value) != list.end();
}

}  // namespace

absl::StatusOr<Target> ParseTarget(absl::string_view target) {
  const std::vector<absl::string_view> parts =
      absl::StrSplit(target.substr(0, target.find('?')), '/');
  if (parts.size() == 3 && parts[0].empty() && !parts[2].empty()) {
    for (const absl::string_view action : kActions) {
      if (parts[1] == action) {
        return Target{std::string(action), std::string(parts[2])};
      }
    }
  }
  return absl::NotFoundError(
      "paths are /exec/TOKEN, /attach/TOKEN and /portforward/TOKEN");
}

absl::StatusOr<Upgrade> UpgradeOf(const UpgradeRequest& request) {
  const bool upgrades =
      absl::StrContains(absl::AsciiStrToLower(request.connection), "upgrade");
  const std::string to = absl::AsciiStrToLower(request.upgrade);
  if (upgrades && absl::StrContains(to, "spdy/3.1")) {
    if (request.method == "POST" || request.method == "GET") {
      return Upgrade::kSpdy;
    }
    return absl::InvalidArgumentError("the method is to be POST or GET");
  }
  if (upgrades && to == "websocket") {
    if (request.method == "GET") return Upgrade::kWebSocket;
    return absl::InvalidArgumentError("the method is to be GET");
  }
  return absl::InvalidArgumentError(
      "the request is to have \"Connection: Upgrade\", and \"Upgrade: "
      "SPDY/3.1\" or \"Upgrade: websocket\"");
}

const std::vector<std::string>& AttachSpdyProtocols() {
  static const auto* const protocols =
      new std::vector<std::string>{"v4.channel.k8s.io", "v3.channel.k8s.io",
                                   "v2.channel.k8s.io", "channel.k8s.io"};
  return *protocols;
}

const std::vector<std::string>& PortForwardSpdyProtocols() {
  static const auto* const protocols =
      new std::vector<std::string>{"portforward.k8s.io"};
  return *protocols;
}

const std::vector<std::string>& AttachWebSocketProtocols() {
  static const auto* const protocols = new std::vector<std::string>{
      "v5.channel.k8s.io", "v4.channel.k8s.io", "v4.base64.channel.k8s.io",
      "channel.k8s.io", "base64.channel.k8s.io"};
  return *protocols;
}

const std::vector<std::string>& PortForwardWebSocketProtocols() {
  static const auto* const protocols = new std::vector<std::string>{
      kTunnelProtocol, "v4.channel.k8s.io", "v4.base64.channel.k8s.io"};
  return *protocols;
}

absl::StatusOr<std::string> Negotiate(const std::vector<std::string>& client,
                                      const std::vector<std::string>& server) {
  if (client.empty()) {
    return absl::InvalidArgumentError(
        absl::StrCat("the request names no protocol; this server speaks ",
                     absl::StrJoin(server, ", ")));
  }
  for (const std::string& protocol : client) {
    if (Contains(server, protocol)) return protocol;
  }
  return absl::PermissionDeniedError(
      absl::StrCat("the client speaks ", absl::StrJoin(client, ", "),
                   "; this server speaks ", absl::StrJoin(server, ", ")));
}

absl::StatusOr<std::string> NegotiateWebSocket(
    const std::vector<std::string>& client,
    const std::vector<std::string>& server) {
  if (client.empty()) return std::string();
  return Negotiate(client, server);
}

std::vector<std::string> SplitList(absl::string_view values) {
  std::vector<std::string> list;
  for (const absl::string_view part : absl::StrSplit(values, ',')) {
    const absl::string_view value = absl::StripAsciiWhitespace(part);
    if (!value.empty()) list.emplace_back(value);
  }
  return list;
}

}  // namespace serai::cri::streaming
