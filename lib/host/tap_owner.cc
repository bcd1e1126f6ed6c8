// SPDX-License-Identifier: Apache-2.0
#include "lib/host/tap_owner.h"

#include <linux/if.h>

#include <cstdint>
#include <vector>

#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "lib/host/netlink.h"

namespace serai::host {
namespace {

constexpr char kOwnerPrefix[] = "serai-tap-of:";
constexpr char kPlaceholderPrefix[] = "serai-tap:";
constexpr int kNameHashBits = 48;

// FNV-1a. The ids come from the node's own runtime, which plays no tricks on
// itself.
uint64_t Hash(absl::string_view text) {
  uint64_t hash = 0xcbf29ce484222325;
  for (const char c : text) {
    hash = (hash ^ static_cast<uint8_t>(c)) * 0x100000001b3;
  }
  return hash;
}

}  // namespace

absl::StatusOr<std::string> ToAlias(const TapOwner& owner) {
  std::string alias = absl::StrCat(kOwnerPrefix, owner.network, ":",
                                   owner.container_id, ":", owner.interface);
  if (alias.size() >= IFALIASZ) {
    return absl::InvalidArgumentError(absl::StrCat(
        "the network's name, the container's id and the interface's name are "
        "too long together: ",
        alias.size(), " bytes of at most ", IFALIASZ - 1));
  }
  return alias;
}

std::optional<TapOwner> OwnerIn(absl::string_view alias) {
  if (!absl::ConsumePrefix(&alias, kOwnerPrefix)) return std::nullopt;
  const std::vector<std::string> parts = absl::StrSplit(alias, ':');
  if (parts.size() != 3) return std::nullopt;
  return TapOwner{parts[0], parts[1], parts[2]};
}

std::string PlaceholderAlias(absl::string_view tap) {
  return absl::StrCat(kPlaceholderPrefix, tap);
}

std::optional<std::string> TapIn(absl::string_view placeholder_alias) {
  if (!absl::ConsumePrefix(&placeholder_alias, kPlaceholderPrefix) ||
      !IsLinkName(placeholder_alias)) {
    return std::nullopt;
  }
  return std::string(placeholder_alias);
}

std::string NodeTapName(absl::string_view container_id,
                        absl::string_view interface) {
  const uint64_t hash = Hash(absl::StrCat(container_id, "/", interface));
  const uint64_t folded =
      (hash ^ (hash >> kNameHashBits)) & ((uint64_t{1} << kNameHashBits) - 1);
  return absl::StrCat("tap", absl::Hex(folded, absl::kZeroPad12));
}

}  // namespace serai::host
