// SPDX-License-Identifier: Apache-2.0
#pragma once

// Name/value header blocks as SYN_STREAM, SYN_REPLY and HEADERS frames have
// them (SPDY Protocol, Draft 3.1, 2.6.10): compressed, each direction of a
// session as one zlib stream that is flushed after each block. What comes from
// the peer is hostile: sizes are checked before memory is taken.

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/string_view.h"
#include "lib/base/status.h"

namespace serai::cri::spdy {

// Names in lower case.
using Headers = std::vector<std::pair<std::string, std::string>>;

// The value of the header called `name`; empty when there is none.
absl::string_view HeaderValue(const Headers& headers, absl::string_view name);

// Clients of the streaming protocols send three short headers at most.
inline constexpr size_t kMaxInflatedBytes = 16 << 10;
inline constexpr size_t kMaxHeaders = 64;

// Parses an inflated block. INVALID_ARGUMENT for what is none: also too many
// headers, a name that is empty, given twice or not in lower case, and bytes
// that are left over.
absl::StatusOr<Headers> ParseHeaderBlock(absl::string_view block);
std::string BuildHeaderBlock(const Headers& headers);

class HeaderDecoder {
 public:
  HeaderDecoder();
  ~HeaderDecoder();
  HeaderDecoder(const HeaderDecoder&) = delete;
  HeaderDecoder& operator=(const HeaderDecoder&) = delete;

  // The next block of the session. After an error, which is INVALID_ARGUMENT,
  // the stream can't go on and every call fails.
  absl::StatusOr<Headers> Decode(absl::string_view compressed);

 private:
  absl::StatusOr<std::string> Inflate(absl::string_view compressed);

  struct Zlib;
  const std::unique_ptr<Zlib> zlib_;
  bool broken_ = false;
};

class HeaderEncoder {
 public:
  HeaderEncoder();
  ~HeaderEncoder();
  HeaderEncoder(const HeaderEncoder&) = delete;
  HeaderEncoder& operator=(const HeaderEncoder&) = delete;

  std::string Encode(const Headers& headers);

 private:
  struct Zlib;
  const std::unique_ptr<Zlib> zlib_;
};

}  // namespace serai::cri::spdy
