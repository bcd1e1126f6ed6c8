// SPDX-License-Identifier: Apache-2.0
#pragma once

// Reads a container's log file, in the CRI's format: lines of "TIME STREAM TAGS
// TEXT", where the tag P says that the text goes on in the next line.

#include <cstdint>
#include <functional>
#include <optional>
#include <ostream>
#include <string>

#include "absl/strings/string_view.h"
#include "lib/base/status.h"

namespace serai::cli {

struct LogOptions {
  bool timestamps = false;
  std::optional<int64_t> tail;  // only so many of the lines that are there
};

// Takes the file in pieces of any size and writes the texts, parts of a line
// joined. A line in another format is written as it is. Holds back at most
// 64 KiB, an unfinished line.
class LogPrinter {
 public:
  // `out` must outlive the printer.
  LogPrinter(std::ostream& out, bool timestamps)
      : out_(out), timestamps_(timestamps) {}
  void Feed(absl::string_view bytes);
  // Writes what was held back.
  void Finish();

 private:
  void Line(absl::string_view line);

  std::ostream& out_;
  const bool timestamps_;
  std::string pending_;
  bool in_line_ = false;  // a part was written whose line is not finished
};

// Writes the file at `path`. NOT_FOUND when there is none.
absl::Status PrintLog(const std::string& path, const LogOptions& options,
                      std::ostream& out);

// Tells FollowLog whether the log is complete.
using LogEnded = std::function<absl::StatusOr<bool>()>;

// Writes the file and what is added to it, also after it was rotated (moved
// away and made anew), until `ended` says so and all is written, or nobody
// reads `out` any more. Waits for a file that is not there yet. `ended` is
// asked some ten times a second; its error is returned.
absl::Status FollowLog(const std::string& path, const LogOptions& options,
                       std::ostream& out, const LogEnded& ended);

}  // namespace serai::cli
