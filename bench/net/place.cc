// SPDX-License-Identifier: Apache-2.0
#include "bench/net/place.h"

#include <sched.h>

#include <cerrno>

#include "lib/base/subprocess.h"
#include "lib/host/netns.h"
#include "lib/host/node_tap.h"
#include "lib/host/tap.h"

namespace serai::bench {
namespace {

constexpr char kBridge[] = "br0";
constexpr char kGateway[] = "10.66.0.1/24";

std::string PodName(int number) { return absl::StrCat("pod", number); }

}  // namespace

absl::Status Shell(const std::string& line) {
  SubprocessSpec spec;
  spec.program = "/bin/sh";
  spec.args = {"-ec", line};
  spec.env = {"PATH=/usr/sbin:/usr/bin:/sbin:/bin"};
  ASSIGN_OR_RETURN(const SubprocessResult result, RunSubprocess(spec));
  if (result.exit_code == 0) return absl::OkStatus();
  return absl::InternalError(absl::StrCat(line, ": ", result.error_output));
}

absl::StatusOr<std::unique_ptr<Network>> Network::Enter() {
  std::unique_ptr<Network> network(new Network);
  if (::unshare(CLONE_NEWNET) != 0) return ErrnoStatus(errno, "unshare");
  RETURN_IF_ERROR(Shell("ip link set lo up"));
  return network;
}

Network::~Network() {
  for (int i = 1; i <= places_; ++i) {
    host::RemoveNetns(directory_ / PodName(i)).IgnoreError();
  }
}

absl::StatusOr<Place> Network::Add(Wiring wiring) {
  const int number = ++places_;
  Place place;
  place.tap = absl::StrCat("bench", number);
  place.mac = absl::StrCat("02:00:00:00:00:0", number);
  place.address = absl::StrCat("10.66.0.", number + 1);
  switch (wiring) {
    case Wiring::kBareTap:
      RETURN_IF_ERROR(AddBare(place));
      break;
    case Wiring::kRedirect:
      RETURN_IF_ERROR(AddRedirected(place));
      break;
    case Wiring::kNodeTap:
    case Wiring::kUnguarded:
      RETURN_IF_ERROR(AddOnNode(place, wiring == Wiring::kNodeTap));
      break;
  }
  return place;
}

absl::Status Network::AddBare(Place& place) {
  return Shell(absl::StrCat("ip tuntap add ", place.tap, " mode tap; ip addr",
                            " add ", kGateway, " dev ", place.tap,
                            "; ip link set ", place.tap, " up"));
}

absl::Status Network::AddRedirected(Place& place) {
  const std::string pod = directory_ / PodName(places_);
  RETURN_IF_ERROR(host::CreateNetns(pod));
  ASSIGN_OR_RETURN(place.netns, host::OpenNetns(pod));
  const std::string veth = absl::StrCat("veth", places_);
  RETURN_IF_ERROR(Shell(absl::StrCat(
      "ip link show ", kBridge, " >/dev/null 2>&1 || { ip link add ", kBridge,
      " type bridge; ip addr add ", kGateway, " dev ", kBridge,
      "; ip link set ", kBridge, " up; }; ip link add ", veth,
      " type veth peer name eth0 address ", place.mac, " netns ", pod,
      "; ip link set ", veth, " master ", kBridge, " up")));
  host::TapSpec spec;
  spec.tap = place.tap;
  spec.addresses = {place.address};
  return host::CreateTap(place.netns.get(), spec).status();
}

absl::Status Network::AddOnNode(Place& place, bool guarded) {
  host::BridgeSpec bridge;
  bridge.name = kBridge;
  bridge.addresses = {{"10.66.0.1", 24}};
  host::NodeTapSpec spec;
  spec.name = place.tap;
  spec.owner = {"bench", "bench", place.tap};
  spec.guard = {place.mac, {place.address}};
  RETURN_IF_ERROR(host::CreateNodeTap(bridge, spec).status());
  return guarded ? absl::OkStatus()
                 : Shell("tc qdisc delete dev " + place.tap + " ingress");
}

}  // namespace serai::bench
