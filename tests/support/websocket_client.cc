// SPDX-License-Identifier: Apache-2.0
#include "tests/support/websocket_client.h"

#include <utility>

#include "absl/strings/str_join.h"
#include "absl/time/clock.h"

namespace serai::testing {
namespace {

// Bytes that stand in messages.
class TunnelChannel final : public ByteChannel {
 public:
  explicit TunnelChannel(std::unique_ptr<WebSocketClient> client)
      : client_(std::move(client)) {}

  absl::StatusOr<std::string> Receive(absl::Duration timeout) override {
    ASSIGN_OR_RETURN(const auto message, client_->Receive(timeout));
    if (message.opcode == WebSocketClient::kClose) return std::string();
    if (message.opcode != WebSocketClient::kBinary || message.data.empty()) {
      return absl::InternalError("a message that carries no SPDY");
    }
    return message.data;
  }
  absl::StatusOr<size_t> SendSome(absl::string_view bytes,
                                  absl::Duration) override {
    RETURN_IF_ERROR(client_->Send(WebSocketClient::kBinary, bytes));
    return bytes.size();
  }

 private:
  const std::unique_ptr<WebSocketClient> client_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<WebSocketClient>> WebSocketClient::Connect(
    const std::string& url, const std::vector<std::string>& protocols,
    const TlsFiles& files) {
  ASSIGN_OR_RETURN(const Url parsed, ParseUrl(url));
  auto client = std::make_unique<WebSocketClient>();
  ASSIGN_OR_RETURN(client->channel_, ConnectTo(parsed, files));
  std::string request =
      absl::StrCat("GET ", parsed.path, " HTTP/1.1\r\nHost: ", parsed.host,
                   "\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
                   "Sec-WebSocket-Version: 13\r\n"
                   "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n");
  if (!protocols.empty()) {
    absl::StrAppend(&request,
                    "Sec-WebSocket-Protocol: ", absl::StrJoin(protocols, ", "),
                    "\r\n");
  }
  ASSIGN_OR_RETURN(HttpHead head,
                   HttpExchange(*client->channel_, request + "\r\n"));
  if (head.status != 101) {
    for (;;) {
      const auto more = client->channel_->Receive(absl::Seconds(5));
      if (!more.ok() || more->empty()) break;
      head.rest += *more;
    }
    return absl::UnavailableError(absl::StrCat(head.status, " ", head.rest));
  }
  // Of that key, as RFC 6455 gives it.
  if (head.Value("sec-websocket-accept") != "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=") {
    return absl::InternalError("a wrong Sec-WebSocket-Accept");
  }
  client->protocol_ = head.Value("sec-websocket-protocol");
  client->received_ = head.rest;
  return client;
}

absl::Status WebSocketClient::Send(Opcode opcode, absl::string_view data) {
  constexpr char kMask[] = {0x12, 0x34, 0x56, 0x78};
  std::string frame(1, static_cast<char>(0x80 | opcode));
  if (data.size() < 126) {
    frame.push_back(static_cast<char>(0x80 | data.size()));
  } else if (data.size() < 1 << 16) {
    // Who gives a length has to use the shortest form.
    frame.push_back(static_cast<char>(0x80 | 126));
    frame.push_back(static_cast<char>(data.size() >> 8));
    frame.push_back(static_cast<char>(data.size()));
  } else {
    frame.push_back(static_cast<char>(0x80 | 127));
    for (int shift = 56; shift >= 0; shift -= 8) {
      frame.push_back(static_cast<char>(uint64_t{data.size()} >> shift));
    }
  }
  frame.append(kMask, 4);
  for (size_t i = 0; i < data.size(); ++i) {
    frame.push_back(static_cast<char>(data[i] ^ kMask[i % 4]));
  }
  return channel_->Send(frame);
}

absl::StatusOr<WebSocketClient::Message> WebSocketClient::Receive(
    absl::Duration timeout) {
  const absl::Time deadline = absl::Now() + timeout;
  const auto byte = [this](size_t at) {
    return static_cast<uint64_t>(static_cast<uint8_t>(received_[at]));
  };
  for (;;) {
    size_t head = 2;
    uint64_t size = received_.size() < 2 ? 0 : byte(1) & 0x7f;
    if (size >= 126) {
      const size_t bytes = size == 126 ? 2 : 8;
      head += bytes;
      size = 0;
      for (size_t i = 2; i < head && received_.size() >= head; ++i) {
        size = size << 8 | byte(i);
      }
    }
    if (received_.size() >= head + size) {
      Message message{static_cast<int>(byte(0) & 0xf),
                      received_.substr(head, size)};
      received_.erase(0, head + size);
      return message;
    }
    ASSIGN_OR_RETURN(const std::string more,
                     channel_->Receive(deadline - absl::Now()));
    if (more.empty()) {
      return absl::UnavailableError("the server has closed the connection");
    }
    received_ += more;
  }
}

std::unique_ptr<ByteChannel> WebSocketClient::AsBytes(
    std::unique_ptr<WebSocketClient> client) {
  return std::make_unique<TunnelChannel>(std::move(client));
}

}  // namespace serai::testing
