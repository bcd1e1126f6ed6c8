// SPDX-License-Identifier: Apache-2.0
#pragma once

// A container's termination message: what kubelet shows of its end. kubelet
// makes an empty file and mounts it at /dev/termination-log, or where the
// container's annotation says; once the container has ended, it reads the file.
// A unikernel can't write there, so its last words are written for it.

#include <string>

#include "cri/state/store.h"
#include "lib/base/status.h"

namespace serai::cri {

// Writes a failed container's last words, and the reason, to the file that its
// configuration mounts, at most 4096 bytes of UTF-8. Nothing is written after
// success; nor, where kubelet would show the container's log instead of an
// empty message, after an end that is the guest's own. A container without
// such a mount is success. Writes only to a regular file that exists.
absl::Status WriteTerminationMessage(const ContainerRecord& record,
                                     const std::string& last_words);

// What it would write; empty for nothing.
std::string TerminationMessage(const ContainerRecord& record,
                               const std::string& last_words);

}  // namespace serai::cri
