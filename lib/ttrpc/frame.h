// SPDX-License-Identifier: Apache-2.0
#pragma once

// ttrpc's frames: a 10-byte header (data length and stream id, big-endian;
// type; flags) and at most 4 MiB of data. Version 1 of the protocol: one
// request, one response per stream.

#include <cstddef>
#include <cstdint>
#include <string>

#include "absl/strings/string_view.h"
#include "lib/base/status.h"

namespace serai::ttrpc {

inline constexpr size_t kHeaderBytes = 10;
inline constexpr size_t kMaxDataBytes = 4 << 20;

enum class FrameType : uint8_t { kRequest = 1, kResponse = 2, kData = 3 };

// Flags of a request that is more than one frame in and one frame out.
inline constexpr uint8_t kFlagRemoteClosed = 1;
inline constexpr uint8_t kFlagRemoteOpen = 2;

struct Frame {
  uint32_t stream = 0;
  FrameType type = FrameType::kRequest;
  uint8_t flags = 0;
  std::string data;
};

// The frame's bytes. RESOURCE_EXHAUSTED when `data` is longer than a frame may
// be.
absl::StatusOr<std::string> EncodeFrame(uint32_t stream, FrameType type,
                                        absl::string_view data);

// Takes bytes as they come and gives frames as they are complete. Never holds
// more than one frame and what came with it. Not thread-safe.
class FrameDecoder {
 public:
  // Takes in what was read.
  void Append(absl::string_view bytes) {
    buffer_.append(bytes.data(), bytes.size());
  }

  // Moves the next complete frame to `frame` and returns true; false when more
  // bytes are needed. INVALID_ARGUMENT when what is there is no frame; nothing
  // after it can be understood, and the connection has to be closed.
  absl::StatusOr<bool> Next(Frame& frame);

  // Bytes taken in and not given out.
  size_t buffered() const { return buffer_.size() - consumed_; }

 private:
  void Compact();

  std::string buffer_;
  size_t consumed_ = 0;
};

}  // namespace serai::ttrpc
