// SPDX-License-Identifier: Apache-2.0
#include "tender/gdb/packet.h"

#include <algorithm>

namespace serai::tender::gdb {
namespace {

constexpr uint8_t kInterruptByte = 0x03;
constexpr char kEscape = '}';
constexpr uint8_t kEscapeBit = 0x20;
constexpr char kDigits[] = "0123456789abcdef";

uint8_t Sum(std::string_view payload) {
  uint8_t sum = 0;
  for (const char c : payload) {
    sum = static_cast<uint8_t>(sum + static_cast<uint8_t>(c));
  }
  return sum;
}

}  // namespace

std::optional<uint8_t> HexDigit(char c) {
  if (c >= '0' && c <= '9') return static_cast<uint8_t>(c - '0');
  if (c >= 'a' && c <= 'f') return static_cast<uint8_t>(c - 'a' + 10);
  if (c >= 'A' && c <= 'F') return static_cast<uint8_t>(c - 'A' + 10);
  return std::nullopt;
}

PacketReader::Event PacketReader::Add(uint8_t byte) {
  switch (state_) {
    case State::kBetween:
      return AddOutside(byte);
    case State::kPayload:
      AddInside(byte);
      return Event::kNone;
    case State::kHighDigit:
      high_digit_ = HexDigit(static_cast<char>(byte));
      state_ = State::kLowDigit;
      return Event::kNone;
    case State::kLowDigit:
      state_ = State::kBetween;
      return Finish(byte);
  }
  return Event::kNone;
}

PacketReader::Event PacketReader::AddOutside(uint8_t byte) {
  if (byte == kInterruptByte) return Event::kInterrupt;
  if (byte == '-') return Event::kRepeat;
  if (byte == '$') {
    state_ = State::kPayload;
    size_ = 0;
    sum_ = 0;
    too_long_ = false;
  }
  return Event::kNone;
}

void PacketReader::AddInside(uint8_t byte) {
  if (byte == '#') {
    state_ = State::kHighDigit;
  } else if (size_ == payload_.size()) {
    too_long_ = true;
  } else {
    payload_[size_++] = static_cast<char>(byte);
    sum_ = static_cast<uint8_t>(sum_ + byte);
  }
}

PacketReader::Event PacketReader::Finish(uint8_t digit) {
  const auto low_digit = HexDigit(static_cast<char>(digit));
  if (too_long_ || !high_digit_ || !low_digit ||
      (*high_digit_ << 4 | *low_digit) != sum_) {
    return Event::kBroken;
  }
  return Event::kPacket;
}

void PacketWriter::Add(char c) {
  // The last three bytes are for the checksum.
  if (size_ + 3 < frame_.size()) frame_[size_++] = c;
}

PacketWriter& PacketWriter::Text(std::string_view text) {
  for (const char c : text) Add(c);
  return *this;
}

PacketWriter& PacketWriter::Bytes(std::span<const uint8_t> bytes) {
  for (const uint8_t byte : bytes) {
    Add(kDigits[byte >> 4]);
    Add(kDigits[byte & 15]);
  }
  return *this;
}

PacketWriter& PacketWriter::Hex(uint64_t number) {
  int shift = 60;
  while (shift > 0 && number >> shift == 0) shift -= 4;
  for (; shift >= 0; shift -= 4) Add(kDigits[number >> shift & 15]);
  return *this;
}

PacketWriter& PacketWriter::Escaped(std::string_view bytes) {
  for (const char c : bytes) {
    const bool special = c == '#' || c == '$' || c == '*' || c == kEscape;
    if (special) Add(kEscape);
    Add(special ? static_cast<char>(c ^ kEscapeBit) : c);
  }
  return *this;
}

std::string_view PacketWriter::Finish() {
  const uint8_t sum = Sum({frame_.data() + 1, size_ - 1});
  frame_[size_] = '#';
  frame_[size_ + 1] = kDigits[sum >> 4];
  frame_[size_ + 2] = kDigits[sum & 15];
  return {frame_.data(), size_ + 3};
}

bool PayloadReader::Take(std::string_view prefix) {
  if (!text_.starts_with(prefix)) return false;
  text_.remove_prefix(prefix.size());
  return true;
}

bool PayloadReader::TakeHex(uint64_t* number) {
  constexpr size_t kMaxDigits = 16;
  *number = 0;
  size_t count = 0;
  while (count < text_.size()) {
    const auto digit = HexDigit(text_[count]);
    if (!digit) break;
    if (++count > kMaxDigits) return false;
    *number = *number << 4 | *digit;
  }
  text_.remove_prefix(count);
  return count > 0;
}

bool PayloadReader::TakeBytes(std::span<uint8_t> bytes) {
  if (text_.size() / 2 < bytes.size()) return false;
  for (size_t i = 0; i < bytes.size(); ++i) {
    const auto high = HexDigit(text_[2 * i]);
    const auto low = HexDigit(text_[2 * i + 1]);
    if (!high || !low) return false;
    bytes[i] = static_cast<uint8_t>(*high << 4 | *low);
  }
  text_.remove_prefix(2 * bytes.size());
  return true;
}

bool PayloadReader::TakeEscaped(std::span<uint8_t> bytes) {
  size_t at = 0;
  for (uint8_t& byte : bytes) {
    if (at == text_.size()) return false;
    char c = text_[at++];
    if (c == kEscape) {
      if (at == text_.size()) return false;
      c = static_cast<char>(text_[at++] ^ kEscapeBit);
    }
    byte = static_cast<uint8_t>(c);
  }
  text_.remove_prefix(at);
  return true;
}

}  // namespace serai::tender::gdb
