// SPDX-License-Identifier: Apache-2.0
#include "tests/support/spdy_client.h"

#include <algorithm>
#include <array>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "cri/streaming/spdy/dictionary.h"

namespace serai::testing {
namespace {

enum Type {
  kSynStream = 1,
  kSynReply,
  kReset,
  kSettings,
  kPing = 6,
  kGoAway,
  kWindowUpdate = 9
};

std::string Number(uint32_t value) {
  std::string bytes;
  for (int shift = 24; shift >= 0; shift -= 8) {
    bytes.push_back(static_cast<char>(value >> shift));
  }
  return bytes;
}

uint32_t NumberAt(absl::string_view bytes, size_t at) {
  uint32_t value = 0;
  for (size_t i = 0; i < 4; ++i) {
    value = value << 8 | static_cast<uint8_t>(bytes[at + i]);
  }
  return value;
}

}  // namespace

absl::StatusOr<std::unique_ptr<SpdyClient>> SpdyClient::Connect(
    const std::string& url, const std::vector<std::string>& protocols,
    const TlsFiles& files) {
  ASSIGN_OR_RETURN(const Url parsed, ParseUrl(url));
  ASSIGN_OR_RETURN(auto channel, ConnectTo(parsed, files));
  std::string request =
      absl::StrCat("POST ", parsed.path, " HTTP/1.1\r\nHost: ", parsed.host,
                   "\r\nContent-Length: 0\r\nConnection: Upgrade\r\n"
                   "Upgrade: SPDY/3.1\r\n");
  for (const std::string& protocol : protocols) {
    absl::StrAppend(&request, "X-Stream-Protocol-Version: ", protocol, "\r\n");
  }
  ASSIGN_OR_RETURN(HttpHead head, HttpExchange(*channel, request + "\r\n"));
  if (head.status != 101) {
    // The connection ends with the answer.
    for (;;) {
      const auto more = channel->Receive(absl::Seconds(5));
      if (!more.ok() || more->empty()) break;
      head.rest += *more;
    }
    return absl::UnavailableError(absl::StrCat(head.status, " ", head.rest));
  }
  auto client = std::make_unique<SpdyClient>(std::move(channel));
  client->protocol_ = head.Value("x-stream-protocol-version");
  client->received_ = head.rest;
  return client;
}

SpdyClient::SpdyClient(std::unique_ptr<ByteChannel> channel)
    : channel_(std::move(channel)) {
  const std::string& dictionary = cri::spdy::Dictionary();
  deflateInit(&deflate_, Z_BEST_COMPRESSION);
  deflateSetDictionary(&deflate_,
                       reinterpret_cast<const Bytef*>(dictionary.data()),
                       static_cast<uInt>(dictionary.size()));
}

SpdyClient::~SpdyClient() { deflateEnd(&deflate_); }

std::string SpdyClient::Block(const Headers& headers) {
  std::string block = Number(static_cast<uint32_t>(headers.size()));
  for (const auto& [name, value] : headers) {
    block += Number(static_cast<uint32_t>(name.size())) + name;
    block += Number(static_cast<uint32_t>(value.size())) + value;
  }
  return block;
}

std::string SpdyClient::Compress(const std::string& block) {
  std::string input = block;
  std::string out(block.size() + 4096, '\0');
  deflate_.next_in = reinterpret_cast<Bytef*>(input.data());
  deflate_.avail_in = static_cast<uInt>(input.size());
  deflate_.next_out = reinterpret_cast<Bytef*>(out.data());
  deflate_.avail_out = static_cast<uInt>(out.size());
  deflate(&deflate_, Z_SYNC_FLUSH);
  out.resize(out.size() - deflate_.avail_out);
  return out;
}

std::string SpdyClient::ControlFrame(int type, int flags,
                                     const std::string& payload) {
  return Number(0x80030000U | static_cast<uint32_t>(type)) +
         Number(static_cast<uint32_t>(flags) << 24 |
                static_cast<uint32_t>(payload.size())) +
         payload;
}

absl::StatusOr<std::shared_ptr<SpdyClient::Stream>> SpdyClient::Open(
    const Headers& headers) {
  auto stream = std::make_shared<Stream>();
  stream->id = next_id_;
  next_id_ += 2;
  streams_[stream->id] = stream;
  RETURN_IF_ERROR(
      Send(ControlFrame(kSynStream, 0,
                        Number(stream->id) + Number(0) + std::string(2, '\0') +
                            Compress(Block(headers)))));
  RETURN_IF_ERROR(
      PumpUntil([&] { return stream->replied || stream->reset != 0; }));
  if (stream->reset != 0 && !stream->replied) {
    return absl::UnavailableError(
        absl::StrCat("refused with status ", stream->reset));
  }
  return stream;
}

absl::Status SpdyClient::Write(const Stream& stream, absl::string_view data,
                               bool fin) {
  constexpr size_t kPiece = 32 << 10;
  do {
    const absl::string_view piece = data.substr(0, kPiece);
    data.remove_prefix(piece.size());
    const bool last = data.empty() && fin;
    RETURN_IF_ERROR(Send(absl::StrCat(
        Number(stream.id),
        Number((last ? 1U << 24 : 0U) | static_cast<uint32_t>(piece.size())),
        piece)));
  } while (!data.empty());
  return absl::OkStatus();
}

absl::Status SpdyClient::Reset(const Stream& stream) {
  return Send(ControlFrame(kReset, 0, Number(stream.id) + Number(5)));
}

absl::Status SpdyClient::SendWindowUpdate(uint32_t stream, uint32_t delta) {
  return Send(ControlFrame(kWindowUpdate, 0, Number(stream) + Number(delta)));
}

absl::Status SpdyClient::SendSettingsWindow(uint32_t window) {
  return Send(
      ControlFrame(kSettings, 0, Number(1) + Number(7) + Number(window)));
}

absl::Status SpdyClient::Ping(uint32_t id) {
  return Send(ControlFrame(kPing, 0, Number(id)));
}

absl::Status SpdyClient::Send(absl::string_view bytes) {
  const absl::Time deadline = absl::Now() + absl::Seconds(60);
  while (!bytes.empty()) {
    if (absl::Now() > deadline) {
      return absl::DeadlineExceededError("the server takes nothing");
    }
    ASSIGN_OR_RETURN(const size_t sent,
                     channel_->SendSome(bytes, absl::Milliseconds(5)));
    bytes.remove_prefix(sent);
    if (sent > 0) continue;
    const absl::Status status = Pump(absl::Milliseconds(1));
    if (!status.ok() && !absl::IsDeadlineExceeded(status)) return status;
  }
  return absl::OkStatus();
}

absl::Status SpdyClient::PumpUntil(const std::function<bool()>& done,
                                   absl::Duration timeout) {
  const absl::Time deadline = absl::Now() + timeout;
  TakeFrames();
  while (!done()) RETURN_IF_ERROR(Pump(deadline - absl::Now()));
  return absl::OkStatus();
}

absl::StatusOr<std::string> SpdyClient::ReadToEnd(Stream& stream,
                                                  absl::Duration timeout) {
  RETURN_IF_ERROR(PumpUntil([&] { return stream.over(); }, timeout));
  if (!stream.ended) {
    return absl::UnavailableError(
        absl::StrCat("reset with status ", stream.reset));
  }
  return std::exchange(stream.data, {});
}

absl::Status SpdyClient::Pump(absl::Duration timeout) {
  auto bytes = channel_->Receive(timeout);
  closed_ =
      closed_ || (!bytes.ok() && !absl::IsDeadlineExceeded(bytes.status()));
  RETURN_IF_ERROR(bytes.status());
  if (bytes->empty()) {
    closed_ = true;
    return absl::UnavailableError("the server has closed the connection");
  }
  received_ += *bytes;
  TakeFrames();
  return absl::OkStatus();
}

void SpdyClient::TakeFrames() {
  absl::string_view left = received_;
  while (left.size() >= 8) {
    const uint32_t first = NumberAt(left, 0);
    const uint32_t second = NumberAt(left, 4);
    const size_t size = second & 0xffffff;
    if (left.size() < 8 + size) break;
    const absl::string_view payload = left.substr(8, size);
    const int flags = static_cast<int>(second >> 24);
    if ((first & 0x80000000U) != 0) {
      OnControl(static_cast<int>(first & 0xffff), flags, payload);
    } else {
      OnData(first, flags, payload);
    }
    left.remove_prefix(8 + size);
  }
  received_ = std::string(left);
}

void SpdyClient::OnControl(int type, int flags, absl::string_view payload) {
  if (type == kGoAway) went_away_ = true;
  if (payload.size() < 4) return;
  const uint32_t first = NumberAt(payload, 0);
  if (type == kPing) pings_.push_back(first);
  if (type == kWindowUpdate) credits_[first] += NumberAt(payload, 4);
  const auto found = streams_.find(first);
  if (found == streams_.end()) return;
  if (type == kSynReply) {
    found->second->replied = true;
    if ((flags & 1) != 0) found->second->ended = true;
  }
  if (type == kReset)
    found->second->reset = static_cast<int>(NumberAt(payload, 4));
}

void SpdyClient::OnData(uint32_t id, int flags, absl::string_view data) {
  const auto found = streams_.find(id);
  if (found == streams_.end()) return;
  Stream& stream = *found->second;
  stream.size += data.size();
  if (stream.sink != nullptr) {
    stream.sink(data);
  } else {
    stream.data.append(data.data(), data.size());
  }
  if ((flags & 1) != 0) stream.ended = true;
}

}  // namespace serai::testing
