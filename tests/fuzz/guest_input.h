// SPDX-License-Identifier: Apache-2.0
#pragma once

// What a hostile guest has and does, for the fuzz targets: its memory, with
// places that nothing may write, its network, and an input that is read as its
// doings.

#include <sys/socket.h>

#include <algorithm>
#include <cstring>
#include <span>
#include <vector>

#include "lib/base/unique_fd.h"
#include "lib/solo5/unikernel.h"
#include "tests/fuzz/check.h"

namespace serai::fuzz {

class Input {
 public:
  Input(const uint8_t* data, size_t size) : left_(data, size) {}

  bool empty() const { return left_.empty(); }
  // Zero where the input ends.
  template <typename T>
  T Take() {
    T value = {};
    const size_t size = std::min(sizeof(value), left_.size());
    if (size > 0) std::memcpy(&value, left_.data(), size);
    left_ = left_.subspan(size);
    return value;
  }
  std::span<const uint8_t> TakeBytes(size_t size) {
    const auto bytes = left_.first(std::min(size, left_.size()));
    left_ = left_.subspan(bytes.size());
    return bytes;
  }

 private:
  std::span<const uint8_t> left_;
};

// A page of text, then data. Behind its end there is something of somebody
// else's.
class Memory {
 public:
  static constexpr uint64_t kText = solo5::kMinLoadAddress;
  static constexpr uint64_t kData = kText + solo5::kPageSize;
  static constexpr uint64_t kSize = kData + 4 * solo5::kPageSize;

  Memory() : bytes_(kSize + solo5::kPageSize) {}

  // Fresh memory; of what lies below the text, only the last page is looked at.
  void Reset() {
    std::memset(At(kBelow), kPattern, bytes_.size() - kBelow);
    std::memset(At(kData), 0, kSize - kData);
  }
  void CheckUntouched() const {
    FUZZ_CHECK(IsPattern(kBelow) && IsPattern(kText) && IsPattern(kSize));
  }

  uint8_t* base() { return bytes_.data(); }
  uint8_t* At(uint64_t address) { return base() + address; }
  std::span<const solo5::Segment> segments() const { return {&kSegment, 1}; }
  // The guest writes to its data.
  void Poke(uint64_t offset, std::span<const uint8_t> bytes) {
    const uint64_t at = kData + offset % (kSize - kData);
    const size_t size = std::min<size_t>(bytes.size(), kSize - at);
    std::copy_n(bytes.begin(), size, At(at));
  }

 private:
  static constexpr uint64_t kBelow = kText - solo5::kPageSize;
  static constexpr uint8_t kPattern = 0xa5;
  static constexpr solo5::Segment kSegment = {
      0, kText, solo5::kPageSize, solo5::kPageSize, true, false, true};

  // Whether the page at `address` is as it was.
  bool IsPattern(uint64_t address) const {
    const uint8_t* const page = bytes_.data() + address;
    return page[0] == kPattern &&
           std::memcmp(page, page + 1, solo5::kPageSize - 1) == 0;
  }

  std::vector<uint8_t> bytes_;
};

// A number of the kind that matters, or any.
inline uint64_t TakeNumber(Input* input) {
  constexpr uint64_t kNumbers[] = {
      0,
      1,
      2,
      3,
      60,
      63,
      64,
      512,
      0x10000,
      Memory::kText,
      Memory::kData - 1,
      Memory::kData,
      Memory::kSize - 64,
      Memory::kSize - 1,
      Memory::kSize,
      Memory::kSize + 1,
      uint64_t{1} << 31,
      uint64_t{1} << 32,
      uint64_t{1} << 63,
      ~uint64_t{0} - Memory::kData,
      ~uint64_t{0},
  };
  const auto choice = input->Take<uint8_t>();
  if (choice < std::size(kNumbers)) return kNumbers[choice];
  if (choice >= 0xc0) return input->Take<uint64_t>();
  return Memory::kData + input->Take<uint16_t>() % 0x4100;
}

// The guest's end of a network, and the other one.
class Wire {
 public:
  Wire() {
    int ends[2];
    FUZZ_CHECK(::socketpair(AF_UNIX,
                            SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0,
                            ends) == 0);
    guest_.reset(ends[0]);
    peer_.reset(ends[1]);
  }

  int guest() const { return guest_.get(); }
  void Send(std::span<const uint8_t> frame) {
    ::send(peer_.get(), frame.data(), frame.size(), MSG_NOSIGNAL);
  }
  // Takes all that is under way, either way.
  void Drain() {
    uint8_t frame[64];
    while (::recv(peer_.get(), frame, sizeof(frame), 0) > 0) {
    }
    while (::recv(guest_.get(), frame, sizeof(frame), 0) > 0) {
    }
  }

 private:
  UniqueFd guest_;
  UniqueFd peer_;
};

}  // namespace serai::fuzz
