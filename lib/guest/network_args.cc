// SPDX-License-Identifier: Apache-2.0
#include "lib/guest/network_args.h"

#include <arpa/inet.h>

#include <algorithm>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

namespace serai::guest {
namespace {

constexpr char kUruncType[] = "com.urunc.unikernel.unikernelType";
constexpr size_t kMaxDnsServers = 3;  // as many as a resolv.conf's reader takes

bool IsIpv6(absl::string_view address) {
  return absl::StrContains(address, ':');
}

// An interface's address of a family: the first, which is the pod's own; null.
const NetworkAddress* AddressOf(const DeviceNetwork& device, bool ipv6) {
  for (const NetworkAddress& address : device.addresses) {
    if (IsIpv6(address.address) == ipv6) return &address;
  }
  return nullptr;
}

// What the keys of a device begin with. A guest with one device may have been
// built without a name for its keys.
std::string PrefixOf(const std::string& device, const NetworkFacts& facts,
                     const GuestOptions& options) {
  const std::string own = absl::StrCat("--", device, "-");
  if (device == "service") return "--";
  if (!options.known() || facts.devices.size() > 1) return own;
  const auto& all = options.options();
  const bool has_own =
      std::any_of(all.begin(), all.end(), [&](const OptionNames& names) {
        return absl::StartsWith(names.back(), absl::StrCat(own, "ipv"));
      });
  return has_own ? own : "--";
}

// Puts arguments in a row that the guest takes and its user does not give.
class Teller {
 public:
  Teller(const GuestOptions& options, const std::vector<std::string>& user_args)
      : options_(options), user_args_(user_args) {}

  bool Takes(const std::string& key) const {
    return !options_.known() || options_.Has(key);
  }
  // Of one that is known.
  bool Has(const std::string& key) const { return options_.Has(key); }
  bool IsGiven(const std::string& key) const {
    return options_.IsGiven(key, user_args_);
  }
  void Tell(const std::string& key, absl::string_view value) {
    args_.push_back(absl::StrCat(key, "=", value));
  }
  std::vector<std::string> Take() && { return std::move(args_); }

 private:
  const GuestOptions& options_;
  const std::vector<std::string>& user_args_;
  std::vector<std::string> args_;
};

void TellAddress(const std::string& key, const NetworkAddress& address,
                 Teller& teller) {
  const std::string gateway_key = key + "-gateway";
  if (teller.IsGiven(key) || teller.IsGiven(gateway_key)) return;
  if (!teller.Takes(key)) return;
  teller.Tell(key, absl::StrCat(address.address, "/", address.prefix_length));
  if (!address.gateway.empty() && teller.Takes(gateway_key)) {
    teller.Tell(gateway_key, address.gateway);
  }
}

// That there is no other family saves the guest a second's waiting for it.
void TellOnly(const std::string& prefix, bool ipv6, Teller& teller) {
  const std::string only =
      absl::StrCat(prefix, ipv6 ? "ipv6-only" : "ipv4-only");
  const std::string other = absl::StrCat(prefix, ipv6 ? "ipv4" : "ipv6");
  if (!teller.Has(only)) return;
  for (const std::string& key :
       {only, other + "-only", other, other + "-gateway",
        prefix + "accept-router-advertisements"}) {
    if (teller.IsGiven(key)) return;
  }
  teller.Tell(only, "true");
}

void TellDevice(const DeviceNetwork& device, const std::string& prefix,
                Teller& teller) {
  const NetworkAddress* const ipv4 = AddressOf(device, false);
  const NetworkAddress* const ipv6 = AddressOf(device, true);
  if (ipv4 != nullptr) TellAddress(prefix + "ipv4", *ipv4, teller);
  if (ipv6 != nullptr) TellAddress(prefix + "ipv6", *ipv6, teller);
  if (ipv4 != nullptr && ipv6 == nullptr) TellOnly(prefix, false, teller);
  if (ipv6 != nullptr && ipv4 == nullptr) TellOnly(prefix, true, teller);
}

// Those that a guest in this pod can reach: of a family that it has, and none
// that means the node itself.
std::vector<std::string> ReachableDns(const NetworkFacts& facts) {
  std::vector<std::string> servers;
  for (const std::string& server : facts.dns_servers) {
    const bool ipv6 = IsIpv6(server);
    const bool has_family = std::any_of(
        facts.devices.begin(), facts.devices.end(),
        [&](const auto& device) { return AddressOf(device, ipv6) != nullptr; });
    const bool is_node = absl::StartsWith(server, "127.") || server == "::1";
    if (IsAddress(server) && has_family && !is_node &&
        servers.size() < kMaxDnsServers) {
      servers.push_back(server);
    }
  }
  return servers;
}

// Under the name and in the form that the guest's version has it:
// --dns-servers (MirageOS 4.11), --dns_servers (4.8), --resolver (4.4): a list
// of tcp:IP; --resolver beside --resolver-port (before 4.4): one address;
// --nameserver (mnet): tcp:IP, repeated. One protocol for all: mnet refuses
// a mixture.
void TellDns(const NetworkFacts& facts, Teller& teller) {
  std::vector<std::string> servers = ReachableDns(facts);
  if (servers.empty()) return;
  const bool one_address = teller.Has("--resolver-port");
  for (const char* key :
       {"--dns-servers", "--dns_servers", "--resolver", "--nameserver"}) {
    if (teller.IsGiven(key)) return;
  }
  const auto with_protocol = [](std::string* out, const std::string& server) {
    absl::StrAppend(out, "tcp:", server);
  };
  for (const std::string key : {"--dns-servers", "--dns_servers"}) {
    if (teller.Has(key)) {
      return teller.Tell(key, absl::StrJoin(servers, ",", with_protocol));
    }
  }
  if (teller.Has("--resolver")) {
    return teller.Tell(
        "--resolver", one_address ? servers.front()
                                  : absl::StrJoin(servers, ",", with_protocol));
  }
  if (!teller.Has("--nameserver")) return;
  for (const std::string& server : servers) {
    teller.Tell("--nameserver", absl::StrCat("tcp:", server));
  }
}

std::string Lookup(const std::map<std::string, std::string>& map,
                   const char* key) {
  const auto found = map.find(key);
  return found == map.end() ? "" : found->second;
}

}  // namespace

bool IsAddress(const std::string& text) {
  in6_addr address = {};
  return ::inet_pton(AF_INET, text.c_str(), &address) == 1 ||
         ::inet_pton(AF_INET6, text.c_str(), &address) == 1;
}

absl::StatusOr<NetworkArgs> WantedNetworkArgs(
    const std::map<std::string, std::string>& annotations,
    const std::map<std::string, std::string>& image) {
  const auto annotation = annotations.find(kPodAnnotationNetworkArgs);
  if (annotation == annotations.end()) {
    return Lookup(image, kUruncType) == "rumprun" ? NetworkArgs::kRumprun
                                                  : NetworkArgs::kMirage;
  }
  if (annotation->second == "mirage") return NetworkArgs::kMirage;
  if (annotation->second == "rumprun") return NetworkArgs::kRumprun;
  if (annotation->second == "dhcp") return NetworkArgs::kDhcp;
  if (annotation->second == "none") return NetworkArgs::kNone;
  return absl::InvalidArgumentError(absl::StrCat(
      "annotation ", kPodAnnotationNetworkArgs, " is \"", annotation->second,
      "\"; it can be \"mirage\" (the default), \"rumprun\", \"dhcp\" or "
      "\"none\""));
}

std::vector<std::string> WithMirageArgs(
    const NetworkFacts& facts, const GuestOptions& options,
    const std::vector<std::string>& user_args, bool addresses) {
  Teller teller(options, user_args);
  for (const DeviceNetwork& device : facts.devices) {
    if (!addresses) break;
    TellDevice(device, PrefixOf(device.device, facts, options), teller);
  }
  if (!facts.pod_name.empty() && teller.Has("--name") &&
      !teller.IsGiven("--name")) {
    teller.Tell("--name", facts.pod_name);
  }
  TellDns(facts, teller);
  std::vector<std::string> args = std::move(teller).Take();
  args.insert(args.end(), user_args.begin(), user_args.end());
  return args;
}

std::optional<oci::DhcpLease> LeaseFor(const DeviceNetwork& device,
                                       const NetworkFacts& facts,
                                       const GuestOptions& options,
                                       NetworkArgs args) {
  const NetworkAddress* const address = AddressOf(device, false);
  if (address == nullptr) return std::nullopt;
  const bool takes_none =
      options.known() &&
      !options.Has(PrefixOf(device.device, facts, options) + "ipv4");
  if (args != NetworkArgs::kDhcp &&
      !(args == NetworkArgs::kMirage && takes_none)) {
    return std::nullopt;
  }
  oci::DhcpLease lease;
  lease.address = address->address;
  lease.prefix_length = address->prefix_length;
  if (!IsIpv6(address->gateway)) lease.gateway = address->gateway;
  for (const std::string& server : ReachableDns(facts)) {
    if (!IsIpv6(server)) lease.dns_servers.push_back(server);
  }
  lease.hostname = facts.pod_name;
  return lease;
}

}  // namespace serai::guest
