// SPDX-License-Identifier: Apache-2.0
#include "tests/integration/streaming_fixture.h"

#include <algorithm>
#include <cstring>

namespace serai::testing {
namespace {

constexpr size_t kLine = BytesChecker::kLine;

// The line of /bytes with this number.
void MakeLine(uint64_t number, char* line) {
  for (size_t column = 0; column < kLine; ++column) {
    line[column] = column < 16
                       ? "0123456789abcdef"[number >> 4 * (15 - column) & 15]
                       : static_cast<char>('a' + (number + column) % 26);
  }
  line[kLine - 1] = '\n';
}

}  // namespace

absl::StatusOr<CriClient::Running> StreamingFixture::RunWeb(
    const std::string& name) {
  ASSIGN_OR_RETURN(const std::string image,
                   node_->LoadGuests("web", {"web.spt"}));
  ASSIGN_OR_RETURN(CriClient::Running web, node_->Run(name, image));
  RETURN_IF_ERROR(HttpGetRetried(web.ip, 80, "/healthz").status());
  return web;
}

absl::StatusOr<std::string> StreamingFixture::PortForwardUrl(
    const std::string& pod, std::vector<int> ports) {
  Call call;
  cri::PortForwardRequest request;
  request.set_pod_sandbox_id(pod);
  for (const int port : ports) request.add_port(port);
  cri::PortForwardResponse response;
  RETURN_IF_ERROR(
      FromGrpc(node_->runtime().PortForward(call.get(), request, &response)));
  return response.url();
}

absl::StatusOr<std::string> StreamingFixture::AttachUrl(
    const std::string& container, bool in, bool tty, bool err) {
  Call call;
  cri::AttachRequest request;
  request.set_container_id(container);
  request.set_stdin(in);
  request.set_stdout(true);
  request.set_stderr(err);
  request.set_tty(tty);
  cri::AttachResponse response;
  RETURN_IF_ERROR(
      FromGrpc(node_->runtime().Attach(call.get(), request, &response)));
  return response.url();
}

absl::StatusOr<std::unique_ptr<SpdyClient>> StreamingFixture::ForwardPorts(
    const std::string& pod, const TlsFiles& files) {
  ASSIGN_OR_RETURN(const std::string url, PortForwardUrl(pod));
  return SpdyClient::Connect(url, {"portforward.k8s.io"}, files);
}

absl::StatusOr<std::unique_ptr<SpdyClient>> StreamingFixture::AttachTo(
    const std::string& container, bool in) {
  ASSIGN_OR_RETURN(const std::string url, AttachUrl(container, in));
  return SpdyClient::Connect(
      url, {"v5.channel.k8s.io", "v4.channel.k8s.io", "v3.channel.k8s.io",
            "v2.channel.k8s.io", "channel.k8s.io"});
}

absl::StatusOr<StreamingFixture::Pair> StreamingFixture::Connect(
    SpdyClient& client, int port, int request) {
  Pair pair;
  SpdyClient::Headers headers = {{"port", absl::StrCat(port)},
                                 {"requestid", absl::StrCat(request)},
                                 {"streamtype", "error"}};
  ASSIGN_OR_RETURN(pair.error, client.Open(headers));
  RETURN_IF_ERROR(client.Write(*pair.error, "", true));
  headers.back().second = "data";
  ASSIGN_OR_RETURN(pair.data, client.Open(headers));
  return pair;
}

void BytesChecker::Take(absl::string_view data) {
  if (!in_body_) {
    head_.append(data.data(), data.size());
    const size_t end = head_.find("\r\n\r\n");
    if (end == std::string::npos) return;
    in_body_ = true;
    const std::string body = head_.substr(end + 4);
    head_.resize(end);
    return Take(body);
  }
  while (!data.empty()) {
    const size_t column = position_ % kLine;
    if (column == 0) MakeLine(position_ / kLine, line_);
    const size_t size = std::min(data.size(), kLine - column);
    right_ = right_ && std::memcmp(data.data(), line_ + column, size) == 0;
    position_ += size;
    data.remove_prefix(size);
  }
}

}  // namespace serai::testing
