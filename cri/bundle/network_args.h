// SPDX-License-Identifier: Apache-2.0
#pragma once

// What a MirageOS unikernel is told of its network: `--ipv4=ADDR/PREFIX
// --ipv4-gateway=GW` and `--ipv6=…` likewise. Keys of a device that is not
// called "service" carry its name: `--management-ipv4=…`.

#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "lib/base/status.h"
#include "proto/state/record.pb.h"

namespace serai::cri {

inline constexpr char kPodAnnotationNetworkArgs[] = "serai.dev/network-args";

// Whether the pod wants network arguments: its annotation is "mirage" or not
// there, against "none". INVALID_ARGUMENT for another value.
absl::StatusOr<bool> WantsNetworkArgs(
    const runtime::v1::PodSandboxConfig& config);

// The arguments for `device` in `network`. A key that stands in `user_args`
// already, in any form ("--ipv4=…" or "--ipv4" alone), is left to the user:
// address and gateway of a family go together.
std::vector<std::string> NetworkArgs(const state::v1::PodNetwork& network,
                                     absl::string_view device,
                                     const std::vector<std::string>& user_args);

}  // namespace serai::cri
