// SPDX-License-Identifier: Apache-2.0
#pragma once

namespace serai::tender {

// From here on the root directory, which is the working directory too, is an
// empty one in which nothing can be made. `own_namespace` says that the mount
// namespace is this process's own: nothing else is in it then. Makes a child
// for a moment. Ends the process with a message where that can't be done.
void EnterEmptyRoot(bool own_namespace);

}  // namespace serai::tender
