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

// Of several guests at the interface whose tap is `own`, each further one's tap
// is called so with a number after it: "serai0-2".
std::string FurtherTapName(const std::string& own, int number);
// Whether `tap` is at that interface.
bool IsTapAt(const std::string& tap, const std::string& own);

}  // namespace serai::cri
