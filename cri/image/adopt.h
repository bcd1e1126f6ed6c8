// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "lib/base/status.h"

namespace serai::cri {

// Takes over what the unpacker made, once that has ended: all below `directory`
// and itself becomes ours, so that the unpacker's user can't change it any
// more. (The directories above are closed to others besides.) The unpacker is
// not trusted: INTERNAL where something is neither a file, a directory nor a
// symbolic link, has a set-id bit, or lies too deep. Where we are not root, as
// in unit tests, all is ours already.
absl::Status AdoptTree(const std::string& directory);

}  // namespace serai::cri
