// SPDX-License-Identifier: Apache-2.0
#pragma once

// A session's connection that takes everything at once, when it is told to.

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "cri/streaming/service.h"
#include "cri/streaming/spdy/bytes.h"
#include "cri/streaming/spdy/frame.h"
#include "cri/streaming/spdy/header_block.h"
#include "cri/streaming/spdy/session.h"

namespace serai::cri::spdy {

class FakeHost final : public Session::Host {
 public:
  void Send(std::string bytes, streaming::Stream::Done done) override {
    sent += bytes;
    if (done != nullptr) waiting.push_back(std::move(done));
  }
  void OnStream(std::shared_ptr<streaming::Stream> stream, uint32_t id,
                const Headers& headers) override {
    last_headers = headers;
    if (service != nullptr) {
      return service->OnStream(std::move(stream), id, headers);
    }
    streams.push_back(std::move(stream));
  }
  void OnReadable() override { ++readable; }

  // The connection has taken what was sent.
  void Flush() {
    const auto done = std::exchange(waiting, {});
    for (const auto& call : done) call();
  }

  // What was sent since, as "SYN_REPLY 1", "DATA 1 text", "FIN 1"…
  std::vector<std::string> Frames() {
    std::vector<std::string> frames;
    const std::string bytes = std::exchange(sent, {});
    absl::string_view left = bytes;
    FrameDecoder decoder;
    for (;;) {
      const auto item = decoder.Next(left);
      if (!item.ok()) {
        frames.emplace_back("broken");
        return frames;
      }
      if (const auto* control = std::get_if<ControlFrame>(&*item)) {
        frames.push_back(Describe(*control));
      } else if (const auto* data = std::get_if<DataPiece>(&*item)) {
        frames.push_back(absl::StrCat("DATA ", data->stream, " ", data->data,
                                      data->fin ? " FIN" : ""));
      } else {
        return frames;
      }
    }
  }

  std::string sent;
  std::vector<streaming::Stream::Done> waiting;
  std::vector<std::shared_ptr<streaming::Stream>> streams;
  Headers last_headers;
  streaming::Service* service = nullptr;  // gets the streams, when it is set
  int readable = 0;

 private:
  static std::string Describe(const ControlFrame& frame) {
    const uint32_t first = Read32(frame.payload);
    switch (static_cast<FrameType>(frame.type)) {
      case FrameType::kSynReply:
        return absl::StrCat("SYN_REPLY ", first);
      case FrameType::kRstStream:
        return absl::StrCat("RST_STREAM ", first, " ",
                            Read32(frame.payload, 4));
      case FrameType::kPing:
        return absl::StrCat("PING ", first);
      case FrameType::kGoAway:
        return absl::StrCat("GOAWAY ", first, " ", Read32(frame.payload, 4));
      case FrameType::kWindowUpdate:
        return absl::StrCat("WINDOW_UPDATE ", first, " ",
                            Read32(frame.payload, 4));
      default:
        return absl::StrCat("type ", frame.type);
    }
  }
};

// Frames as a client sends them.
inline std::string ClientFrame(FrameType type, uint8_t flags,
                               const std::string& payload) {
  std::string frame;
  Append32(frame, 0x80030000U | static_cast<uint32_t>(type));
  Append32(frame,
           uint32_t{flags} << 24 | static_cast<uint32_t>(payload.size()));
  return frame + payload;
}

inline std::string ClientSynStream(HeaderEncoder& encoder, uint32_t id,
                                   const Headers& headers, uint8_t flags = 0) {
  std::string payload;
  Append32(payload, id);
  Append32(payload, 0);
  Append16(payload, 0);
  payload += encoder.Encode(headers);
  return ClientFrame(FrameType::kSynStream, flags, payload);
}

inline std::string ClientData(uint32_t id, absl::string_view data,
                              bool fin = false) {
  return DataFrameHeader(id, data.size(), fin) + std::string(data);
}

inline std::string ClientReset(uint32_t id) {
  std::string payload;
  Append32(payload, id);
  Append32(payload, 5);  // cancelled
  return ClientFrame(FrameType::kRstStream, 0, payload);
}

}  // namespace serai::cri::spdy
