// SPDX-License-Identifier: Apache-2.0
#pragma once

// The one place where it is decided what a guest is told, for seraid and for
// the shim under containerd alike: its arguments, and what it gets by DHCP. Any
// thread.

#include "absl/functional/function_ref.h"
#include "lib/base/status.h"
#include "lib/guest/network_args.h"
#include "lib/guest/rumprun_args.h"
#include "lib/oci/runtime_spec.h"

namespace serai::guest {

// Puts the guest's arguments into `spec`, whose `unikernel` and `devices` are
// there: spec.args, raw_args, and the leases of network devices. `user` is what
// the pod's author gives; of it MirageOS' guests get the arguments only.
// `options` is called at most once, where the guest's options count.
// INVALID_ARGUMENT when they are longer than a guest has room for, or one holds
// a NUL.
absl::Status TellGuest(NetworkArgs wanted, const NetworkFacts& facts,
                       RumprunProgram user,
                       absl::FunctionRef<GuestOptions()> options,
                       oci::RuntimeSpec& spec);

}  // namespace serai::guest
