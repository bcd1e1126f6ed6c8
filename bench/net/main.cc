// SPDX-License-Identifier: Apache-2.0
// What the ways from the node's network to a guest cost: a tap that is the
// other end of the wire, veth pair and bridge and redirect, a tap on a bridge.
// Prints a Markdown table.
#include <sched.h>
#include <signal.h>

#include <CLI/CLI.hpp>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

#include "bench/common/results.h"
#include "bench/net/place.h"
#include "bench/net/traffic.h"
#include "lib/host/netns.h"
#include "tests/guests/testing/guest_process.h"

namespace serai::bench {
namespace {

using testing::GuestProcess;

struct Contestant {
  std::string name;
  Wiring wiring;
};

struct Setting {
  std::string target;
  int rounds;
  double seconds;
  size_t bytes;
};

absl::Status Enter(const UniqueFd& netns) {
  return ::setns(netns.get(), CLONE_NEWNET) == 0
             ? absl::OkStatus()
             : ErrnoStatus(errno, "entering a namespace");
}

absl::StatusOr<std::unique_ptr<GuestProcess>> Start(
    const Setting& setting, const std::string& name, const Place& place,
    const std::vector<std::string>& more_args = {}) {
  std::vector<std::string> args = {"--ipv4=" + place.address + "/24"};
  args.insert(args.end(), more_args.begin(), more_args.end());
  // On this thread, with which the guest ends.
  ASSIGN_OR_RETURN(const UniqueFd own,
                   host::OpenNetns("/proc/thread-self/ns/net"));
  if (place.netns.valid()) RETURN_IF_ERROR(Enter(place.netns));
  auto guest = std::make_unique<GuestProcess>(testing::GuestSpec{
      name,
      setting.target,
      {"--net:service=" + place.tap, "--net-mac:service=" + place.mac},
      args});
  RETURN_IF_ERROR(Enter(own));
  if (guest->WaitForOutput("listening on")) return guest;
  return absl::UnavailableError(absl::StrCat(name, ": ", guest->Output()));
}

absl::Status MeasureWeb(const Setting& setting, const Contestant& contestant,
                        Results& results) {
  ASSIGN_OR_RETURN(const auto network, Network::Enter());
  ASSIGN_OR_RETURN(const Place place, network->Add(contestant.wiring));
  ASSIGN_OR_RETURN(const auto guest, Start(setting, "web", place));
  ASSIGN_OR_RETURN(const double requests,
                   HttpRate(place.address, setting.seconds));
  results.Add("HTTP, 8 connections, requests/s", contestant.name, requests);
  ASSIGN_OR_RETURN(const double megabytes,
                   BodyRate(place.address, setting.bytes));
  results.Add("HTTP, one long answer, MB/s", contestant.name, megabytes);
  return absl::OkStatus();
}

absl::Status MeasureEcho(const Setting& setting, const Contestant& contestant,
                         Results& results) {
  ASSIGN_OR_RETURN(const auto network, Network::Enter());
  ASSIGN_OR_RETURN(const Place first, network->Add(contestant.wiring));
  ASSIGN_OR_RETURN(const auto guest, Start(setting, "echo", first));
  ASSIGN_OR_RETURN(const double trips,
                   EchoRate(first.address, setting.seconds));
  results.Add("UDP, node to guest, round trips/s", contestant.name, trips);
  if (contestant.wiring == Wiring::kBareTap) return absl::OkStatus();
  ASSIGN_OR_RETURN(const Place second, network->Add(contestant.wiring));
  ASSIGN_OR_RETURN(const auto other,
                   Start(setting, "echo", second, {"--port=9"}));
  ASSIGN_OR_RETURN(const double between,
                   BetweenRate(first, second, setting.seconds));
  results.Add("UDP, guest to guest, 8 under way, round trips/s",
              contestant.name, between);
  return absl::OkStatus();
}

absl::Status Main(const std::string& build, const Setting& setting) {
  if (::setenv("SERAI_BUILD_DIR", build.c_str(), 1) != 0) {
    return ErrnoStatus(errno, "setenv");
  }
  // The last is what the others are compared with.
  const std::vector<Contestant> contestants = {
      {"bare tap", Wiring::kBareTap},
      {"tap on a bridge", Wiring::kNodeTap},
      {"the same, no guard", Wiring::kUnguarded},
      {"veth, bridge, redirect", Wiring::kRedirect}};
  Results results;
  for (int round = 0; round < setting.rounds; ++round) {
    for (const Contestant& contestant : contestants) {
      RETURN_IF_ERROR(MeasureWeb(setting, contestant, results),
                      contestant.name);
      RETURN_IF_ERROR(MeasureEcho(setting, contestant, results),
                      contestant.name);
    }
  }
  std::vector<std::string> names;
  for (const Contestant& contestant : contestants) {
    names.push_back(contestant.name);
  }
  results.Print(names);
  return absl::OkStatus();
}

}  // namespace
}  // namespace serai::bench

int main(int argc, char** argv) {
  CLI::App app("Measures the ways from the node's network to a guest");
  std::string build;
  serai::bench::Setting setting{"spt", 5, 2, 100'000'000};
  app.add_option("--build", build, "the build tree, an absolute path")
      ->required();
  app.add_option("--target", setting.target, "hvt or spt")
      ->capture_default_str();
  app.add_option("--rounds", setting.rounds, "rounds")->capture_default_str();
  app.add_option("--seconds", setting.seconds, "of each measurement")
      ->capture_default_str();
  app.add_option("--bytes", setting.bytes, "of the long answer")
      ->capture_default_str();
  CLI11_PARSE(app, argc, argv);
  ::signal(SIGPIPE, SIG_IGN);
  const absl::Status status = serai::bench::Main(build, setting);
  if (status.ok()) return 0;
  std::fprintf(stderr, "net: %s\n", std::string(status.message()).c_str());
  return 1;
}
