// SPDX-License-Identifier: Apache-2.0
#pragma once

// Text put together in a buffer that is given, for messages and JSON. It calls
// nothing of the C library's but memcpy, so signal handlers may use it. What
// does not fit is left out.

#include <algorithm>
#include <charconv>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string_view>

namespace serai::tender {

class Line {
 public:
  explicit Line(std::span<char> buffer) : buffer_(buffer) {}

  Line& Text(std::string_view text) {
    const size_t length = std::min(text.size(), buffer_.size() - size_);
    std::memcpy(buffer_.data() + size_, text.data(), length);
    size_ += length;
    return *this;
  }
  Line& Number(uint64_t number) { return Digits(number, 10); }
  Line& Signed(int64_t number) { return Digits(number, 10); }
  Line& Hex(uint64_t number) { return Text("0x").Digits(number, 16); }
  // A JSON string. What is not printable ASCII becomes a question mark.
  Line& Quoted(std::string_view text) {
    Text("\"");
    for (const char c : text) {
      if (c == '"' || c == '\\') Text("\\");
      Text(c >= ' ' && c <= '~' ? std::string_view(&c, 1) : "?");
    }
    return Text("\"");
  }

  std::string_view text() const { return {buffer_.data(), size_}; }

 private:
  template <typename T>
  Line& Digits(T number, int base) {
    char digits[24];
    const auto end =
        std::to_chars(digits, digits + sizeof(digits), number, base).ptr;
    return Text({digits, static_cast<size_t>(end - digits)});
  }

  std::span<char> buffer_;
  size_t size_ = 0;
};

}  // namespace serai::tender
