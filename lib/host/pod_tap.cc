// SPDX-License-Identifier: Apache-2.0
#include "lib/host/pod_tap.h"

#include <utility>

#include "lib/host/placeholder.h"

namespace serai::host {

absl::StatusOr<PodTap> TakeInterface(int netns_fd, TapSpec spec) {
  const absl::StatusOr<Placeholder> direct =
      ReadPlaceholder(netns_fd, spec.interface);
  if (direct.ok()) {
    return PodTap{
        direct->tap,      direct->mac,   static_cast<int>(direct->mtu), 0,
        /*on_node=*/true, /*made=*/false};
  }
  if (!absl::IsNotFound(direct.status())) return direct.status();
  absl::StatusOr<Tap> tap = CreateTap(netns_fd, spec);
  bool made = true;
  if (absl::IsAlreadyExists(tap.status())) {
    absl::StatusOr<Tap> adopted = AdoptTap(netns_fd, spec);
    made = absl::IsNotFound(adopted.status());
    if (!made) tap = std::move(adopted);
  }
  RETURN_IF_ERROR(tap.status());
  return PodTap{std::move(spec.tap),
                std::move(tap->mac),
                tap->mtu,
                tap->index,
                /*on_node=*/false,
                made};
}

}  // namespace serai::host
