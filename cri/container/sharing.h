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

// The other containers of a container's pod.
struct Neighbours {
  std::vector<ContainerRecord> living;  // that have not ended
  std::vector<ContainerRecord> ended;
};

// The pod as a further container, called `name`, sees it: in place of each tap
// that a neighbour has stands one that nobody has; where the interface is
// shared already, the one that this container had before, and none of another's
// that may come back.
PodRecord WithFreeTaps(PodRecord pod, const Neighbours& neighbours,
                       const std::string& name);

// An interface, and its guests with their taps and ports.
struct Sharing {
  state::v1::PodNetwork network;
  std::vector<host::SteeredTap> taps;  // never empty; the first has the rest
};

// The interfaces that these guests share, or that guests have shared before.
// INVALID_ARGUMENT, with a sentence for the pod's author, where what arrives
// can't be told apart. The last guest is the one that is to be made.
absl::StatusOr<std::vector<Sharing>> PlanSharing(
    const PodRecord& pod, const std::vector<ContainerRecord>& guests);

// Makes the taps that are not the pod's own, and leads to each guest what is
// its. In place of what was said before.
absl::Status Share(const PodRecord& pod, const std::vector<Sharing>& sharings);

Neighbours NeighboursOf(const Store& store, const ContainerRecord& record);

// Has `guests` and `taker`, which is to be made, share the pod's interfaces, and
// writes down that they do; nothing where none is shared. Errors as
// PlanSharing().
absl::Status ShareInterfaces(Pod& pod, std::vector<ContainerRecord> guests,
                             const ContainerRecord& taker);

// After a container that shared the pod's interfaces is gone, or came to
// nothing. An error is logged.
void ShareAnew(const Store& store, const Pod& pod, const ContainerRecord& gone);

}  // namespace serai::cri
