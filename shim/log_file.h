// SPDX-License-Identifier: Apache-2.0
#pragma once

// A regular file that lines are appended to, for as long as its disk has room.
// One writer. Not thread-safe.

#include <sys/types.h>

#include <cstddef>
#include <string>
#include <utility>

#include "absl/strings/string_view.h"
#include "lib/base/status.h"
#include "lib/base/unique_fd.h"

namespace serai::shim {

class LogFile {
 public:
  // Opens, or makes with `mode`, the file. INVALID_ARGUMENT when it is neither
  // a regular file nor /dev/null.
  static absl::StatusOr<LogFile> Open(std::string path, mode_t mode);

  // Opens the path anew. On failure the old file stays in use.
  absl::Status Reopen();

  // Removes the file if Open() made it.
  absl::Status Discard() const;

  // Appends `text`. Returns 0, or the errno of the failure; then `written`
  // bytes are in the file, whole lines of `text` or nothing.
  int Append(absl::string_view text, size_t& written);

  // Whether Open() made the file.
  bool made() const { return made_; }
  const std::string& path() const { return path_; }

 private:
  LogFile(std::string path, mode_t mode)
      : path_(std::move(path)), mode_(mode) {}

  std::string path_;
  mode_t mode_;
  UniqueFd fd_;
  bool made_ = false;
};

}  // namespace serai::shim
