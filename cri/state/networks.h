// SPDX-License-Identifier: Apache-2.0
#pragma once

// Interfaces and taps as the records of pods and containers tell them. Pure
// functions, any thread.

#include <string>
#include <vector>

#include "proto/state/record.pb.h"

namespace serai::cri {

// All interfaces of a pod, each with its tap; the first is the pod's own.
std::vector<state::v1::PodNetwork> NetworksOf(
    const state::v1::PodRecord& record);

// The taps that are devices of a container's guest.
std::vector<std::string> TapsOf(const state::v1::ContainerRecord& record);

}  // namespace serai::cri
