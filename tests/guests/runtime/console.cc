// SPDX-License-Identifier: Apache-2.0
#include "tests/guests/runtime/console.h"

namespace serai::guest {

void Writer::Append(std::string_view text) {
  for (const char c : text) {
    if (size_ == capacity_) {
      overflowed_ = true;
      return;
    }
    data_[size_++] = c;
  }
}

void Writer::AppendNumber(uint64_t value, unsigned base, size_t width) {
  constexpr size_t kMaxDigits = 20;
  char digits[kMaxDigits];
  size_t count = 0;
  do {
    digits[kMaxDigits - ++count] = "0123456789abcdef"[value % base];
    value /= base;
  } while (value != 0 || (count < width && count < kMaxDigits));
  Append(std::string_view(digits + kMaxDigits - count, count));
}

void AppendTo(Writer& writer, Hex hex) {
  writer.Append("0x");
  writer.AppendNumber(hex.value, 16);
}

void AppendTo(Writer& writer, Padded padded) {
  writer.AppendNumber(padded.value, 10, padded.width);
}

}  // namespace serai::guest
