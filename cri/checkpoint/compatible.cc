// SPDX-License-Identifier: Apache-2.0
#include "cri/checkpoint/compatible.h"

#include <algorithm>
#include <string>

#include "absl/strings/str_join.h"

namespace serai::cri {
namespace {

using runtime::v1::ContainerConfig;
using state::v1::PodNetwork;

std::string Describe(const PodNetwork& network) {
  std::string out = absl::StrCat(network.mac(), ", MTU ", network.mtu());
  for (const auto& address : network.addresses()) {
    absl::StrAppend(&out, ", ", address.address(), "/", address.prefix_length(),
                    " via ", address.gateway());
  }
  return out;
}

std::string CommandOf(const ContainerConfig& config) {
  return absl::StrCat("[", absl::StrJoin(config.command(), " "), "] [",
                      absl::StrJoin(config.args(), " "), "]");
}

bool SameProcess(const ContainerConfig& a, const ContainerConfig& b) {
  return std::equal(a.command().begin(), a.command().end(), b.command().begin(),
                    b.command().end()) &&
         std::equal(a.args().begin(), a.args().end(), b.args().begin(),
                    b.args().end());
}

}  // namespace

absl::Status CheckNothingIsWritten(const oci::RuntimeSpec& guest) {
  for (const oci::GuestDevice& device : guest.devices) {
    if (device.type != oci::GuestDevice::Type::kBlock || device.read_only) {
      continue;
    }
    return absl::FailedPreconditionError(absl::StrCat(
        "the guest may write to its device ", device.name, " (", device.path,
        "), whose content is in no checkpoint: it would not be what a restored "
        "guest remembers of it. Mount it read-only"));
  }
  return absl::OkStatus();
}

absl::Status CheckSameGuest(const state::v1::ContainerCheckpoint& then,
                            const std::string& image_id,
                            const oci::RuntimeSpec& now) {
  if (image_id != then.image_id()) {
    return absl::InvalidArgumentError(absl::StrCat("the image is ", image_id,
                                                   ", that of the checkpoint ",
                                                   then.image_id()));
  }
  const uint64_t memory = now.guest_memory.value_or(0);
  if (then.guest_memory() == 0 || then.guest_memory() == memory) {
    return absl::OkStatus();
  }
  return absl::InvalidArgumentError(
      absl::StrCat("the guest has ", then.guest_memory(),
                   " bytes of memory; this container would have ", memory));
}

absl::Status CheckSameNetwork(const PodNetwork& guest, const PodNetwork& pod) {
  if (Describe(guest) == Describe(pod)) return absl::OkStatus();
  return absl::FailedPreconditionError(absl::StrCat(
      "the guest has in its memory that it is ", Describe(guest),
      "; the network gave the pod ", Describe(pod),
      ". A pod can be restored where its plugins grant the address and the "
      "hardware address that CNI_ARGS ask for (IP, MAC), as bridge with "
      "host-local does"));
}

absl::Status CheckSameContainers(const state::v1::PodCheckpoint& checkpoint,
                                 const std::vector<ContainerConfig>& configs) {
  const ContainerConfig& then = checkpoint.containers(0).config();
  const std::string& name = then.metadata().name();
  if (configs.size() != 1 || configs.front().metadata().name() != name) {
    return absl::InvalidArgumentError(
        absl::StrCat("the checkpoint has one container, \"", name,
                     "\"; container_configs have to be of exactly that one"));
  }
  const ContainerConfig& now = configs.front();
  if (!SameProcess(then, now)) {
    return absl::InvalidArgumentError(absl::StrCat(
        "container \"", name, "\" was started with ", CommandOf(then),
        "; it can't go on with ", CommandOf(now)));
  }
  const int64_t had = then.linux().resources().memory_limit_in_bytes();
  const int64_t has = now.linux().resources().memory_limit_in_bytes();
  if (had == has) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat(
      "container \"", name, "\" had a memory limit of ", had,
      " bytes, which is the guest's size; it can't go on with ", has));
}

}  // namespace serai::cri
