// SPDX-License-Identifier: Apache-2.0
#pragma once

namespace serai::tender {

// From here on the root directory, which is the working directory too, is an
// empty and read-only one that no other process knows. `own_namespace` says
// that the mount namespace is this process's own: nothing else is in it then.
// Ends the process with a message where that can't be done.
void EnterEmptyRoot(bool own_namespace);

}  // namespace serai::tender
