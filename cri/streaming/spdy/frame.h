// SPDX-License-Identifier: Apache-2.0
#pragma once

// Frames of SPDY/3.1 (SPDY Protocol, Draft 3.1, 2.2): what they are on the
// wire, without what they mean. The decoder is fed as bytes arrive, whatever
// their cuts, and keeps no more than one control frame.

#include <cstddef>
#include <cstdint>
#include <string>
#include <variant>

#include "absl/strings/string_view.h"
#include "lib/base/status.h"

namespace serai::cri::spdy {

enum class FrameType : uint16_t {
  kSynStream = 1,
  kSynReply = 2,
  kRstStream = 3,
  kSettings = 4,
  kPing = 6,
  kGoAway = 7,
  kHeaders = 8,
  kWindowUpdate = 9,
};

// Flags of SYN_STREAM, SYN_REPLY, HEADERS and DATA frames.
inline constexpr uint8_t kFlagFin = 1;
inline constexpr uint8_t kFlagUnidirectional = 2;

// In SETTINGS frames.
inline constexpr uint32_t kSettingInitialWindowSize = 7;

// Why we reset a stream.
enum class ResetStatus : uint32_t {
  kRefusedStream = 3,
  kCancel = 5,
};

enum class GoAwayStatus : uint32_t { kOk = 0, kProtocolError = 1 };

// Larger ones end the session. Headers of the streaming protocols take some
// hundred bytes.
inline constexpr size_t kMaxControlBytes = 16 << 10;
inline constexpr uint32_t kMaxStreamId = 0x7fffffff;

struct ControlFrame {
  uint16_t type = 0;  // a FrameType, or one that we don't know
  uint8_t flags = 0;
  std::string payload;
};

// A part of a DATA frame's data.
struct DataPiece {
  uint32_t stream = 0;
  absl::string_view data;  // valid until the decoder is called again
  bool fin = false;        // nothing comes after it on this stream
};

class FrameDecoder {
 public:
  using Item = std::variant<std::monostate, ControlFrame, DataPiece>;

  // Gives the next frame, or piece of one, in `bytes`, and takes off `bytes`
  // what was used; monostate when more bytes are needed, all being used then.
  // INVALID_ARGUMENT for what is no SPDY/3 frame, or one that is too large: the
  // session can't go on.
  absl::StatusOr<Item> Next(absl::string_view& bytes);

 private:
  bool FillHeader(absl::string_view& bytes);
  absl::StatusOr<Item> NextControl(absl::string_view& bytes);
  Item NextData(absl::string_view& bytes);

  std::string header_;   // of the frame at hand, up to 8 bytes
  std::string payload_;  // of a control frame, as far as it has come
  size_t left_ = 0;      // bytes of the frame that have yet to come
};

// Whole frames. `headers` are compressed.
std::string DataFrameHeader(uint32_t stream, size_t size, bool fin);
std::string SynReplyFrame(uint32_t stream, absl::string_view headers);
std::string RstStreamFrame(uint32_t stream, ResetStatus status);
std::string PingFrame(uint32_t id);
std::string GoAwayFrame(uint32_t last_good_stream, GoAwayStatus status);
std::string WindowUpdateFrame(uint32_t stream, uint32_t delta);

}  // namespace serai::cri::spdy
