// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "lib/base/status.h"
#include "lib/base/unique_fd.h"

namespace serai {

struct Pipe {
  UniqueFd read_end;
  UniqueFd write_end;
};

// pipe(2), both ends blocking and close-on-exec.
absl::StatusOr<Pipe> MakePipe();

}  // namespace serai
