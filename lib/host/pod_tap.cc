// SPDX-License-Identifier: Apache-2.0
#include "lib/host/pod_tap.h"

#include <utility>

namespace serai::host {

absl::StatusOr<PodTap> TakeInterface(
    int netns_fd, const Interface& interface, const std::string& name,
    const std::vector<std::string>& addresses) {
  if (interface.tap_on_node) {
    return PodTap{interface.tap,    interface.mac, interface.mtu, 0,
                  /*on_node=*/true, /*made=*/false};
  }
  const bool made = interface.tap.empty();
  TapSpec spec = {interface.name, made ? name : interface.tap, addresses};
  ASSIGN_OR_RETURN(Tap tap,
                   made ? CreateTap(netns_fd, spec) : AdoptTap(netns_fd, spec));
  return PodTap{std::move(spec.tap),
                std::move(tap.mac),
                static_cast<uint32_t>(tap.mtu),
                tap.index,
                /*on_node=*/false,
                made};
}

}  // namespace serai::host
