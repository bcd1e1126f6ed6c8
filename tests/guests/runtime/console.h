// SPDX-License-Identifier: Apache-2.0
#pragma once

// Text without a library: a Writer of bounded length, and Print(), which puts
// its arguments and a newline on the console in one piece.

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <type_traits>

#include "tests/guests/runtime/platform.h"

namespace serai::guest {

// Appends to memory of someone else's; drops what does not fit.
class Writer {
 public:
  constexpr Writer(char* data, size_t capacity)
      : data_(data), capacity_(capacity) {}

  void Append(std::string_view text);
  void Append(char c) { Append(std::string_view(&c, 1)); }
  void AppendNumber(uint64_t value, unsigned base = 10, size_t width = 1);
  template <typename T>
  requires(std::is_integral_v<T>) void Append(T value) {
    if constexpr (std::is_signed_v<T>) {
      if (value < 0) Append('-');
      AppendNumber(value < 0 ? 0 - static_cast<uint64_t>(value)
                             : static_cast<uint64_t>(value));
    } else {
      AppendNumber(value);
    }
  }
  // Anything with a function AppendTo(Writer&, value) beside it.
  template <typename T>
  requires(
      !std::is_integral_v<T> &&
      !std::is_convertible_v<T, std::string_view>) void Append(const T& value) {
    AppendTo(*this, value);
  }

  std::string_view text() const { return {data_, size_}; }
  bool overflowed() const { return overflowed_; }
  void clear() { size_ = 0, overflowed_ = false; }

 private:
  char* data_;
  size_t capacity_;
  size_t size_ = 0;
  bool overflowed_ = false;
};

// A number to be written in hexadecimal, or with leading zeros.
struct Hex {
  uint64_t value;
};
void AppendTo(Writer& writer, Hex hex);
struct Padded {
  uint64_t value;
  size_t width;
};
void AppendTo(Writer& writer, Padded padded);

template <typename... Parts>
void Print(const Parts&... parts) {
  char data[512];
  // One byte is kept for the newline.
  Writer line(data, sizeof(data) - 1);
  (line.Append(parts), ...);
  data[line.text().size()] = '\n';
  WriteConsole({data, line.text().size() + 1});
}

}  // namespace serai::guest
