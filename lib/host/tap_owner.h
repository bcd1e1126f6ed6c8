// SPDX-License-Identifier: Apache-2.0
#pragma once

// Which links the CNI plugin serai-tap has made, and for whom: the kernel keeps
// it as the links' aliases (ifalias), so that it is known for exactly as long
// as they are there. Pure; any thread.

#include <optional>
#include <string>

#include "absl/strings/string_view.h"
#include "lib/base/status.h"

namespace serai::host {

// An attachment of CNI's.
struct TapOwner {
  std::string network;  // the network's name
  std::string container_id;
  std::string interface;  // CNI_IFNAME

  bool operator==(const TapOwner&) const = default;
};

// "serai-tap-of:NETWORK:ID:INTERFACE", the alias of a tap that a guest is to
// have. INVALID_ARGUMENT when that is too long for one.
absl::StatusOr<std::string> ToAlias(const TapOwner& owner);
// nullopt for an alias that is none of these.
std::optional<TapOwner> OwnerIn(absl::string_view alias);

// "serai-tap:NAME", the alias of the link that stands in the pod's namespace
// for a tap NAME on the node.
std::string PlaceholderAlias(absl::string_view tap);
// The name; nullopt for another alias.
std::optional<std::string> TapIn(absl::string_view placeholder_alias);

// The name of an attachment's tap on the node.
std::string NodeTapName(absl::string_view container_id,
                        absl::string_view interface);

}  // namespace serai::host
