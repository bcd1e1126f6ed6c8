// SPDX-License-Identifier: Apache-2.0
#pragma once

// Several unikernels of one pod at one interface: they share its addresses, and
// the ports that each declares say what is whose (lib/host/steering.h). The
// first to come has the pod's tap and what is nobody's; each further one has a
// tap of its own beside it, "serai0-2". kubelet tells the ports that a
// container declares by an annotation. Callers hold the pod's `operation`.

#include <string>
#include <vector>

#include "cri/state/store.h"
#include "lib/base/status.h"
#include "lib/host/steering.h"

namespace serai::cri {

// Kubelet's, on a container's configuration: its `ports` as JSON.
inline constexpr char kPortsAnnotation[] = "io.kubernetes.container.ports";

// INVALID_ARGUMENT for what is no list of ports.
absl::StatusOr<std::vector<host::DeclaredPort>> DeclaredPorts(
    const runtime::v1::ContainerConfig& config);

// A pod's containers that have not ended.
using Neighbours = std::vector<ContainerRecord>;

// The pod as a further container sees it: in place of each tap that a neighbour
// has stands one that nobody has.
PodRecord WithFreeTaps(PodRecord pod, const Neighbours& neighbours);

// Makes the taps among `taps`, the taker's, that are not the pod's own, and
// leads to all of an interface's guests what is theirs. INVALID_ARGUMENT, with
// a sentence for the pod's author, where what arrives can't be told apart.
// Nothing is done for interfaces with one guest.
absl::Status ShareInterfaces(const PodRecord& pod, const Neighbours& neighbours,
                             const ContainerRecord& taker,
                             const std::vector<std::string>& taps);

}  // namespace serai::cri
