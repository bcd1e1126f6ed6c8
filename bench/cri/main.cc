// SPDX-License-Identifier: Apache-2.0
// seraid with a unikernel and Debian's containerd with runc and a static
// program, in turns on the same machine with the same plugins: how long the CRI
// calls of a pod's life take until it says its first line and until it is gone.
// Prints a Markdown table.
#include <signal.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "bench/common/results.h"
#include "lib/base/file.h"
#include "tests/support/enter_own_machine.h"
#include "tests/support/require.h"
#include "tests/support/test_containerd.h"
#include "tests/support/test_node.h"

namespace serai::bench {
namespace {

using testing::CriClient;

struct Contestant {
  std::string name;
  CriClient& cri;
  std::string image;
  std::vector<std::string> args;
  std::string handler;
  std::string line;  // what its guest or program says first
};

class Life {
 public:
  Life(const Contestant& contestant, Results& results)
      : contestant_(contestant), cri_(contestant.cri), results_(results) {}

  absl::Status Run(const std::string& name) {
    const absl::Time start = absl::Now();
    RETURN_IF_ERROR(Timed("RunPodSandbox", [&] {
      ASSIGN_OR_RETURN(pod_, cri_.RunPod(name, contestant_.handler));
      return absl::OkStatus();
    }));
    RETURN_IF_ERROR(Timed("CreateContainer", [&] {
      ASSIGN_OR_RETURN(
          container_,
          cri_.Create(
              pod_, cri_.ContainerConfig(contestant_.image, contestant_.args)));
      return absl::OkStatus();
    }));
    RETURN_IF_ERROR(Timed("StartContainer",
                          [&] { return cri_.StartContainer(container_); }));
    RETURN_IF_ERROR(AwaitRunning());
    Add("**RunPodSandbox to running**", start);
    RETURN_IF_ERROR(AwaitLine());
    Add("**RunPodSandbox to the first line**", start);
    return End();
  }

 private:
  absl::Status End() {
    RETURN_IF_ERROR(Timed("StopContainer",
                          [&] { return cri_.StopContainer(container_, 2); }));
    RETURN_IF_ERROR(
        Timed("StopPodSandbox", [&] { return cri_.StopPod(pod_); }));
    RETURN_IF_ERROR(Timed("RemoveContainer",
                          [&] { return cri_.RemoveContainer(container_); }));
    return Timed("RemovePodSandbox", [&] { return cri_.RemovePod(pod_); });
  }

  void Add(const std::string& row, absl::Time since) {
    results_.Add(row, contestant_.name,
                 absl::ToDoubleMilliseconds(absl::Now() - since));
  }

  absl::Status Timed(const std::string& row,
                     const std::function<absl::Status()>& step) {
    return results_.Timed(row, contestant_.name, step);
  }

  absl::Status AwaitRunning() {
    ASSIGN_OR_RETURN(const auto status, cri_.StatusOf(container_));
    log_ = status.log_path();
    if (status.state() == testing::cri::CONTAINER_RUNNING) {
      return absl::OkStatus();
    }
    return absl::InternalError(
        absl::StrCat(contestant_.name, " does not run: ", status.message()));
  }

  absl::Status AwaitLine() const {
    const absl::Time deadline = absl::Now() + absl::Seconds(10);
    while (!absl::StrContains(ReadFile(log_, 1 << 16).value_or(""),
                              contestant_.line)) {
      if (absl::Now() > deadline) {
        return absl::DeadlineExceededError(
            absl::StrCat(contestant_.name, " has not said its line"));
      }
      absl::SleepFor(absl::Microseconds(100));
    }
    return absl::OkStatus();
  }

  const Contestant& contestant_;
  CriClient& cri_;
  Results& results_;
  std::string pod_;
  std::string container_;
  std::string log_;
};

absl::Status Measure(const std::vector<Contestant>& contestants, int rounds,
                     Results& results) {
  // The first round is for the page cache, the bridge and the chains.
  for (int round = 0; round <= rounds; ++round) {
    Results ignored;
    for (const Contestant& contestant : contestants) {
      RETURN_IF_ERROR(Life(contestant, round == 0 ? ignored : results)
                          .Run(absl::StrCat("bench-", round)));
    }
  }
  return absl::OkStatus();
}

absl::Status Main(const std::string& build, int rounds) {
  if (::setenv("SERAI_BUILD_DIR", build.c_str(), 1) != 0) {
    return ErrnoStatus(errno, "setenv");
  }
  RETURN_IF_ERROR(testing::EnterOwnMachine());
  testing::TestContainerd containerd;
  containerd.Start();
  // The plugins that TestContainerd has: bridge and host-local.
  testing::NodeOptions options;
  options.chained = {};
  testing::TestNode node(options);
  node.Start();
  if (::testing::Test::HasFailure()) {
    return absl::UnavailableError("the servers have not started");
  }
  std::vector<Contestant> contestants;
  for (const char* target : {"hvt", "spt"}) {
    if (absl::string_view(target) == "hvt" && testing::Lacks("kvm")) continue;
    ASSIGN_OR_RETURN(
        const std::string image,
        node.LoadGuests(target, {absl::StrCat("script.", target)}));
    contestants.push_back({absl::StrCat("seraid, ", target),
                           node,
                           image,
                           {"sh", "-c", "echo a line; sleep 1000"},
                           "unikernel",
                           "F a line"});
  }
  contestants.push_back({"containerd, runc",
                         containerd,
                         testing::kPlainImage,
                         {},
                         "",
                         "F plain: an ordinary process"});
  Results results;
  RETURN_IF_ERROR(Measure(contestants, rounds, results));
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
  CLI::App app("Times the CRI calls of seraid and of containerd with runc");
  std::string build;
  int rounds = 30;
  app.add_option("--build", build, "the build tree, an absolute path")
      ->required();
  app.add_option("--rounds", rounds, "lives of a pod, one after another")
      ->check(CLI::PositiveNumber);
  CLI11_PARSE(app, argc, argv);
  testing::InitGoogleTest();
  ::signal(SIGPIPE, SIG_IGN);
  const absl::Status status = serai::bench::Main(build, rounds);
  if (status.ok()) return 0;
  std::fprintf(stderr, "cri: %s\n", std::string(status.message()).c_str());
  return 1;
}
