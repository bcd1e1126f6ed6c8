// SPDX-License-Identifier: Apache-2.0
#pragma once

// What the unpacker gives up before it looks at what strangers made (ADR 0016).
// Afterwards it can read and write the descriptors that it has, and make files
// below its root, which is the directory that it unpacks into.

#include <sys/types.h>

#include <cstdint>

#include "lib/base/status.h"

namespace serai::cri {

// Nobody's: not the tender's (ADR 0009), whose processes it could signal.
inline constexpr uid_t kUnpackerUser = 65531;

// Descriptors up to `highest_fd` stay open. `root_fd` becomes root and working
// directory; no file grows beyond `max_file_bytes`. Where the caller is not
// root, as in unit tests, it stays who it is, and only the working directory
// changes; the rest holds. On error the process is of no use any more.
//
// In a build with sanitizers, which make calls of their own, without the filter
// of system calls and the limit of memory.
absl::Status EnterUnpackerJail(int root_fd, int highest_fd,
                               int64_t max_file_bytes);

}  // namespace serai::cri
