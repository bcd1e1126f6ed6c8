// SPDX-License-Identifier: Apache-2.0
#pragma once

// What a unikernel is told on its command line of its network and itself, from
// what the pod has. MirageOS: `--ipv4=ADDR/PREFIX --ipv4-gateway=GW`,
// `--ipv6=…` likewise, `--ipv4-only=true`, `--dns-servers=…`, `--name=POD`: of
// these the ones that the guest takes, where that is known. Keys of a device
// that is not called "service" carry its name: `--management-ipv4=…`. Pure
// functions, any thread.

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "lib/base/status.h"
#include "lib/guest/options.h"
#include "lib/oci/guest_devices.h"

namespace serai::guest {

inline constexpr char kPodAnnotationNetworkArgs[] = "serai.dev/network-args";

// How a guest is told.
enum class NetworkArgs {
  kMirage,   // by options of MirageOS
  kRumprun,  // by rumprun's JSON (rumprun_args.h)
  kDhcp,     // by DHCP; a name and the like by options
  kNone,     // not at all
};

// What `annotations` (the pod's) ask for: "mirage", "rumprun", "dhcp" or
// "none". Where they say nothing, rumprun for an image whose annotations or
// labels, `image`, have urunc's type "rumprun", else MirageOS. INVALID_ARGUMENT
// for another word.
absl::StatusOr<NetworkArgs> WantedNetworkArgs(
    const std::map<std::string, std::string>& annotations,
    const std::map<std::string, std::string>& image);

// An address of an interface, and its family's way out.
struct NetworkAddress {
  std::string address;  // "10.0.0.2" or "fd00::2"
  uint32_t prefix_length = 0;
  std::string gateway;  // empty: none

  bool operator==(const NetworkAddress&) const = default;
};

// Whether it is an IPv4 or IPv6 address.
bool IsAddress(const std::string& text);

// A network device of the guest, and the addresses of what it is attached to.
struct DeviceNetwork {
  std::string device;
  std::vector<NetworkAddress> addresses;
};

struct NetworkFacts {
  std::vector<DeviceNetwork> devices;  // as the manifest lists them
  std::string pod_name;                // empty: none is known
  std::vector<std::string> dns_servers;
};

// All arguments of a MirageOS unikernel: those that tell it the facts, then the
// user's. A key that stands in `user_args` already is left to the user; address
// and gateway of a family go together. Of a guest whose options are not known
// it is only assumed that it takes address and gateway. Without `addresses`,
// those are left out.
std::vector<std::string> WithMirageArgs(
    const NetworkFacts& facts, const GuestOptions& options,
    const std::vector<std::string>& user_args, bool addresses = true);

// What `device` is told that asks by DHCP: an IPv4 address of its own is there.
// Nothing when there is none, or when the guest takes its address as an
// argument: with kMirage that is so unless it is known that it has no option
// for it.
std::optional<oci::DhcpLease> LeaseFor(const DeviceNetwork& device,
                                       const NetworkFacts& facts,
                                       const GuestOptions& options,
                                       NetworkArgs args);

}  // namespace serai::guest
