// SPDX-License-Identifier: Apache-2.0
#pragma once

// A machine of QEMU's with an AMD processor that can virtualise, all of it
// emulated: slow, but the same wherever the test runs. It is killed and reaped
// when the object goes, and dies with the test's process. It leaves nothing
// behind: what it reads and writes are files without names.

#include <sys/types.h>

#include <optional>
#include <string>

#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "lib/base/unique_fd.h"

namespace serai::testing {

class VirtualMachine {
 public:
  // Starts with `initramfs` as its root file system.
  explicit VirtualMachine(absl::string_view initramfs);
  ~VirtualMachine();
  VirtualMachine(const VirtualMachine&) = delete;
  VirtualMachine& operator=(const VirtualMachine&) = delete;

  // The next line on its second serial port, without the newline; nullopt when
  // the machine has ended, or is silent for longer than `patience`.
  std::optional<std::string> ReadLine(absl::Duration patience);

  // What kernel and QEMU had to say.
  std::string Console() const;

 private:
  pid_t pid_ = -1;
  UniqueFd console_;
  UniqueFd results_;
  std::string unread_;
};

}  // namespace serai::testing
