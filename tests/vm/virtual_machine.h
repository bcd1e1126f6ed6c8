// SPDX-License-Identifier: Apache-2.0
#pragma once

// A machine of QEMU's with an AMD processor that can virtualise, all of it
// emulated: slow, but the same wherever the test runs. It is killed and reaped
// when the object goes, and dies with the test's process. It leaves nothing
// behind: what it reads and writes are files without names.

#include <sys/types.h>

#include <optional>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "lib/base/unique_fd.h"

namespace serai::testing {

struct Machine {
  // Of a cpio archive that the kernel unpacks as its root file system.
  std::string initramfs;
  int memory_mib = 1024;
  // Of the kernel, beside those that every machine has.
  std::string kernel_options = {};
  // Further words of QEMU's command line. One of them connects the line to the
  // test: the character device `line`.
  std::vector<std::string> devices = {};
};

class VirtualMachine {
 public:
  explicit VirtualMachine(const Machine& machine);
  ~VirtualMachine();
  VirtualMachine(const VirtualMachine&) = delete;
  VirtualMachine& operator=(const VirtualMachine&) = delete;

  // The next line that the machine says, without the newline; nullopt when it
  // has ended, or is silent for longer than `patience`.
  std::optional<std::string> ReadLine(absl::Duration patience);

  // Says `line`, which has no newline, to the machine; false when it has ended.
  bool WriteLine(absl::string_view line);

  // What kernel and QEMU had to say.
  std::string Console() const;

 private:
  pid_t pid_ = -1;
  UniqueFd console_;
  UniqueFd to_machine_;
  UniqueFd from_machine_;
  std::string unread_;
};

}  // namespace serai::testing
