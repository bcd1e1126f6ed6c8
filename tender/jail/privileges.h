// SPDX-License-Identifier: Apache-2.0
#pragma once

// The steps of the jail that concern who the process is and what it may do.
// Each ends the process with a message where it can't be done.

#include <sys/types.h>

#include "tender/options.h"

namespace serai::tender {

// Takes on the user and group that are asked for and leaves the supplementary
// groups. Where none is asked for and the caller may not leave groups, it stays
// in them.
void BecomeUser(const JailOptions& jail);

// Who the process is.
struct Identity {
  uid_t uid;
  gid_t gid;
};

// The same before a user namespace is made, with the rights kept that this
// takes. Where the caller may not do it, it stays who it is: inside its
// namespace it will be who it is to be. Returns who it is now.
Identity BecomeUserOutside(const JailOptions& jail);

// In a user namespace that was just made by `outside`: maps that to the one
// user and group that are known inside.
void MapUser(const JailOptions& jail, const Identity& outside);

// No program that is executed adds to what the process may do.
void ForbidNewPrivileges();

// What no program that is executed could get back. This comes before a change
// of the user, which takes the right to do it away.
void DropBoundingSet();

// All, from the other sets.
void DropCapabilities();

// Nobody without a capability of the host's reads this process's memory, and it
// leaves no core file.
void ForbidInspection();

}  // namespace serai::tender
