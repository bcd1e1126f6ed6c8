// SPDX-License-Identifier: Apache-2.0
#pragma once

// The frames of gdb's remote serial protocol: "$payload#checksum", and single
// bytes between them. What comes in may be anything; nothing here grows with
// it. (The GDB manual, appendix "GDB Remote Serial Protocol".)

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

namespace serai::tender::gdb {

// Of a payload. gdb is told, and sends no longer ones.
inline constexpr size_t kMaxPayload = 4096;

// Takes what comes in apart, byte by byte.
class PacketReader {
 public:
  enum class Event {
    kNone,       // more is to come
    kPacket,     // payload() holds one
    kBroken,     // one was too long or its checksum was wrong
    kInterrupt,  // the guest is to stop (Ctrl-C)
    kRepeat,     // the other side wants the last packet again
  };
  Event Add(uint8_t byte);

  // Of the last packet, until the next byte is added. It may hold any bytes.
  std::string_view payload() const { return {payload_.data(), size_}; }

 private:
  enum class State { kBetween, kPayload, kHighDigit, kLowDigit };

  Event AddOutside(uint8_t byte);
  void AddInside(uint8_t byte);
  Event Finish(uint8_t digit);

  State state_ = State::kBetween;
  size_t size_ = 0;
  bool too_long_ = false;
  uint8_t sum_ = 0;
  std::optional<uint8_t> high_digit_;
  std::array<char, kMaxPayload> payload_;
};

// Puts a packet together. What does not fit is left out.
class PacketWriter {
 public:
  // Begins a new one.
  void Clear() { size_ = 1; }

  PacketWriter& Text(std::string_view text);
  // As pairs of hexadecimal digits.
  PacketWriter& Bytes(std::span<const uint8_t> bytes);
  // A number without leading zeros, most significant digit first.
  PacketWriter& Hex(uint64_t number);
  // As they are, but for those that have a meaning of their own.
  PacketWriter& Escaped(std::string_view bytes);

  // The whole frame, valid until the next change.
  std::string_view Finish();

 private:
  void Add(char c);

  size_t size_ = 1;
  // Each byte of a payload may have to be escaped.
  std::array<char, 2 * kMaxPayload + 4> frame_ = {'$'};
};

// The value of a hexadecimal digit.
std::optional<uint8_t> HexDigit(char c);

// Reads the beginning of a payload. Each of these takes what it reads, if it is
// there, and says whether it was.
class PayloadReader {
 public:
  explicit PayloadReader(std::string_view text) : text_(text) {}

  std::string_view rest() const { return text_; }
  bool IsEmpty() const { return text_.empty(); }
  bool Take(std::string_view prefix);
  // 1 to 16 hexadecimal digits.
  bool TakeHex(uint64_t* number);
  // As many bytes as `bytes` has room for, each a pair of digits.
  bool TakeBytes(std::span<uint8_t> bytes);
  // The same, where they stand for themselves but for escapes.
  bool TakeEscaped(std::span<uint8_t> bytes);

 private:
  std::string_view text_;
};

}  // namespace serai::tender::gdb
