// SPDX-License-Identifier: Apache-2.0
#pragma once

// The root file system that a kernel unpacks into memory at its start: an
// archive in cpio's "newc" form (Linux:
// Documentation/driver-api/early-userspace/ buffer-format.rst).

#include <string>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"

namespace serai::testing {

class Initramfs {
 public:
  void AddDirectory(absl::string_view name);
  // `name` is a path without a leading slash; its directories come first.
  void AddFile(absl::string_view name, absl::string_view content);
  // The same, of a file of this machine's.
  absl::Status CopyFile(absl::string_view name, const std::string& path);

  // The archive. Nothing can be added after it.
  std::string Finish();

 private:
  void AddEntry(absl::string_view name, unsigned mode,
                absl::string_view content);

  std::string archive_;
  unsigned entries_ = 0;
};

}  // namespace serai::testing
