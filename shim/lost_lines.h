// SPDX-License-Identifier: Apache-2.0
#pragma once

// Counts the lines of a stream that could not be written, each once however
// many pieces it comes in, and finds where the next whole line begins. Not
// thread-safe.

#include <cstddef>
#include <cstdint>
#include <string>

#include "absl/strings/string_view.h"

namespace serai::shim {

class LostLines {
 public:
  // A stream without newlines is not lost for ever: after so many bytes
  // something else counts as a line.
  static constexpr size_t kMaxSkipped = 16 * 1024;

  // `bytes` are lost; the rest of a line that is unfinished here as well.
  void Lose(absl::string_view bytes);

  // What of `bytes` comes after the line whose beginning was lost.
  absl::string_view AfterLost(absl::string_view bytes);

  uint64_t total() const { return total_; }
  uint64_t unreported() const { return unreported_; }
  void SetReported() { unreported_ = 0; }

 private:
  bool in_lost_line_ = false;
  size_t skipped_ = 0;  // of that line
  uint64_t total_ = 0;
  uint64_t unreported_ = 0;
};

// "serai: 3 lines were lost: <why>", with a newline.
std::string LossReport(uint64_t lines, absl::string_view why);

}  // namespace serai::shim
