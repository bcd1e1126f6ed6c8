// SPDX-License-Identifier: Apache-2.0
#include "lib/guest/tell_guest.h"

#include <utility>
#include <vector>

#include "lib/oci/guest_arguments.h"

namespace serai::guest {
namespace {

void Lease(const NetworkFacts& facts, const GuestOptions& options,
           NetworkArgs wanted, oci::RuntimeSpec& spec) {
  for (oci::GuestDevice& device : spec.devices) {
    for (const DeviceNetwork& network : facts.devices) {
      if (network.device == device.name) {
        device.lease = LeaseFor(network, facts, options, wanted);
      }
    }
  }
}

std::string LastPart(const std::string& path) {
  return path.substr(path.find_last_of('/') + 1);
}

}  // namespace

absl::Status TellGuest(NetworkArgs wanted, const NetworkFacts& facts,
                       RumprunProgram user,
                       absl::FunctionRef<GuestOptions()> options,
                       oci::RuntimeSpec& spec) {
  std::vector<std::string> args;
  switch (wanted) {
    case NetworkArgs::kNone:
      args = std::move(user.args);
      break;
    case NetworkArgs::kRumprun:
      user.name = LastPart(spec.unikernel);
      args = {RumprunCommandLine(user, facts, spec.devices)};
      spec.raw_args = true;
      break;
    case NetworkArgs::kMirage:
    case NetworkArgs::kDhcp: {
      const GuestOptions known = options();
      args = WithMirageArgs(facts, known, user.args,
                            wanted == NetworkArgs::kMirage);
      Lease(facts, known, wanted, spec);
      break;
    }
  }
  RETURN_IF_ERROR(
      (spec.raw_args ? oci::RawArguments(args) : oci::EscapeArguments(args))
          .status());
  args.insert(args.begin(), spec.unikernel);
  spec.args = std::move(args);
  return absl::OkStatus();
}

}  // namespace serai::guest
