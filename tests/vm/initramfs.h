// SPDX-License-Identifier: Apache-2.0
#pragma once

// The root file system that a kernel unpacks into memory at its start: an
// archive in cpio's "newc" form (Linux:
// Documentation/driver-api/early-userspace/buffer-format.rst).

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

  // The files of a directory of this machine's, and those of directories in it.
  absl::Status CopyTree(const std::string& name, const std::string& path);
  // Modules that fetch_kernel.sh has brought: those in its list `list`, which
  // becomes "modules/order", as "modules/NAME.ko".
  absl::Status AddModules(absl::string_view list);

  // The archive. Nothing can be added after it.
  std::string Finish();

 private:
  void AddEntry(absl::string_view name, unsigned mode,
                absl::string_view content);

  std::string archive_;
  unsigned entries_ = 0;
};

}  // namespace serai::testing
