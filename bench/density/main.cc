// SPDX-License-Identifier: Apache-2.0
// Many pods at once, of seraid and then of Debian's containerd with runc, each
// with one container that sleeps: how long making them takes, how long
// kubelet's question for all of them takes while they run, and what daemon and
// machine need for them. Prints a Markdown table.
#include <signal.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "bench/common/proc.h"
#include "bench/common/results.h"
#include "tests/support/enter_own_machine.h"
#include "tests/support/require.h"
#include "tests/support/test_containerd.h"
#include "tests/support/test_node.h"

namespace serai::bench {
namespace {

using testing::CriClient;

struct Contestant {
  std::string name;
  std::string image;
  std::vector<std::string> args;
  std::string handler;
};

struct Counts {
  int pods;
  int questions;
};

double AvailableKb() { return ProcField("/proc/meminfo", "MemAvailable:"); }

double ResidentKb(pid_t pid) {
  return ProcField(absl::StrCat("/proc/", pid, "/status"), "VmRSS:");
}

// What kubelet asks once a second: all pods, and all containers.
absl::Status Ask(CriClient& cri, int pods) {
  const size_t listed_pods = cri.Pods().size();
  const size_t listed_containers = cri.Containers().size();
  if (listed_pods == static_cast<size_t>(pods) &&
      listed_containers == static_cast<size_t>(pods)) {
    return absl::OkStatus();
  }
  return absl::InternalError(absl::StrCat("of ", pods, " pods there are ",
                                          listed_pods, " in the list, and ",
                                          listed_containers, " containers"));
}

absl::Status RemoveAll(CriClient& cri, const std::vector<std::string>& pods) {
  for (const std::string& pod : pods) {
    RETURN_IF_ERROR(cri.StopPod(pod));
    RETURN_IF_ERROR(cri.RemovePod(pod));
  }
  return absl::OkStatus();
}

// The pods of one contestant come and go before the next one's.
absl::Status Fill(CriClient& cri, pid_t daemon, const Contestant& contestant,
                  const Counts& counts, Results& results) {
  const std::string& name = contestant.name;
  const double daemon_before = ResidentKb(daemon);
  const double available = AvailableKb();
  std::vector<std::string> pods;
  for (int i = 0; i < counts.pods; ++i) {
    RETURN_IF_ERROR(results.Timed("a pod made and started, ms", name, [&] {
      ASSIGN_OR_RETURN(const auto running,
                       cri.Run(absl::StrCat("density-", i), contestant.image,
                               contestant.args, contestant.handler));
      pods.push_back(running.pod);
      return absl::OkStatus();
    }));
  }
  results.Add("the machine's memory for a pod, kB", name,
              (available - AvailableKb()) / counts.pods);
  results.Add("the daemon before, RSS, kB", name, daemon_before);
  for (int i = 0; i < counts.questions; ++i) {
    RETURN_IF_ERROR(results.Timed("ListPodSandbox and ListContainers, ms", name,
                                  [&] { return Ask(cri, counts.pods); }));
  }
  results.Add("the daemon after, RSS, kB", name, ResidentKb(daemon));
  return RemoveAll(cri, pods);
}

absl::Status FillOurs(const Counts& counts, std::vector<std::string>& names,
                      Results& results) {
  for (const char* target : {"hvt", "spt"}) {
    if (absl::string_view(target) == "hvt" && testing::Lacks("kvm")) continue;
    testing::NodeOptions options;
    options.chained = {};
    options.large_subnet = true;
    testing::TestNode node(options);
    node.Start();
    if (::testing::Test::HasFailure()) {
      return absl::UnavailableError("seraid has not started");
    }
    names.push_back(absl::StrCat("seraid, ", target));
    ASSIGN_OR_RETURN(
        const std::string image,
        node.LoadGuests(target, {absl::StrCat("script.", target)}));
    RETURN_IF_ERROR(
        Fill(node, node.pid(),
             {names.back(), image, {"sh", "-c", "sleep 100000"}, "unikernel"},
             counts, results));
  }
  return absl::OkStatus();
}

absl::Status FillTheirs(const Counts& counts, std::vector<std::string>& names,
                        Results& results) {
  testing::TestContainerd containerd;
  containerd.Start();
  if (::testing::Test::HasFailure()) {
    return absl::UnavailableError("containerd has not started");
  }
  names.push_back("containerd, runc");
  return Fill(containerd, containerd.pid(),
              {names.back(), testing::kPlainImage, {}, ""}, counts, results);
}

absl::Status Main(const std::string& build, const Counts& counts) {
  if (::setenv("SERAI_BUILD_DIR", build.c_str(), 1) != 0) {
    return ErrnoStatus(errno, "setenv");
  }
  RETURN_IF_ERROR(testing::EnterOwnMachine());
  Results results(99);
  std::vector<std::string> names;
  RETURN_IF_ERROR(FillOurs(counts, names, results));
  RETURN_IF_ERROR(FillTheirs(counts, names, results));
  results.Print(names);
  return absl::OkStatus();
}

}  // namespace
}  // namespace serai::bench

int main(int argc, char** argv) {
  CLI::App app("Weighs many pods of seraid's, and of containerd's with runc");
  std::string build;
  serai::bench::Counts counts{300, 1000};
  app.add_option("--build", build, "the build tree, an absolute path")
      ->required();
  app.add_option("--pods", counts.pods, "pods at the same time")
      ->check(CLI::Range(1, 1000));  // a bridge has some 1,000 ports
  app.add_option("--questions", counts.questions, "lists of all of them")
      ->check(CLI::PositiveNumber);
  CLI11_PARSE(app, argc, argv);
  testing::InitGoogleTest();
  ::signal(SIGPIPE, SIG_IGN);
  const absl::Status status = serai::bench::Main(build, counts);
  if (status.ok()) return 0;
  std::fprintf(stderr, "density: %s\n", std::string(status.message()).c_str());
  return 1;
}
