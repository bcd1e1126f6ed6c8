// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <fcntl.h>

#include "tender/line.h"

namespace serai::tender {

// Opens once more, with `flags` of its own, the file that is open at `fd`. -1
// with errno where that cannot be done, as without /proc.
inline int Reopen(int fd, int flags) {
  char path[32];
  Line line({path, sizeof(path) - 1});
  line.Text("/proc/self/fd/").Number(static_cast<uint64_t>(fd));
  path[line.text().size()] = '\0';
  return ::open(path, flags | O_CLOEXEC);
}

}  // namespace serai::tender
