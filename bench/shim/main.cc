// SPDX-License-Identifier: Apache-2.0
// Our shim and containerd's for runc, in turns on the same machine: how long a
// task's life takes, and what a shim weighs. Prints a Markdown table.
#include <CLI/CLI.hpp>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "bench/common/proc.h"
#include "bench/common/results.h"
#include "bench/shim/contestant.h"
#include "lib/base/file.h"
#include "tests/support/enter_own_machine.h"
#include "tests/support/require.h"
#include "tests/support/test_containerd.h"

namespace serai::bench {
namespace {

constexpr char kRuncShim[] = "/usr/bin/containerd-shim-runc-v2";

double Memory(const ShimRun& run, absl::string_view field) {
  return ProcField(absl::StrCat("/proc/", run.shim_pid(), "/smaps_rollup"),
                   field);
}

void Weigh(const ShimRun& run, const std::string& name, const std::string& when,
           Results& results) {
  if (run.shim_pid() == 0) return;
  results.Add(absl::StrCat("RSS ", when, ", kB"), name, Memory(run, "Rss:"));
  results.Add(absl::StrCat("private ", when, ", kB"), name,
              Memory(run, "Private_Dirty:"));
}

absl::Status OneLife(const Contestant& contestant, const std::string& id,
                     const std::string& bundle, Results& results) {
  const std::string& name = contestant.name;
  ASSIGN_OR_RETURN(const auto run, ShimRun::Prepare(contestant, id, bundle));
  const absl::Time asked = absl::Now();
  RETURN_IF_ERROR(run->StartShim(), "start of ", name);
  const absl::Duration shim = absl::Now() - asked;
  Weigh(*run, name, "idle", results);
  const absl::Time created = absl::Now();
  RETURN_IF_ERROR(run->StartTask(), "task of ", name);
  const absl::Duration task = absl::Now() - created;
  results.Add("shim's start, ms", name, absl::ToDoubleMilliseconds(shim));
  results.Add("create, start, first output, ms", name,
              absl::ToDoubleMilliseconds(task));
  results.Add("from nothing to first output, ms", name,
              absl::ToDoubleMilliseconds(shim + task));
  Weigh(*run, name, "with a task", results);
  RETURN_IF_ERROR(results.Timed("kill, wait, delete, ms", name,
                                [&] { return run->EndTask(); }));
  return results.Timed("shim's end, ms", name, [&] { return run->EndShim(); });
}

// `pods` shims with a task each, all at once.
absl::Status ManyPods(const Contestant& contestant, int pods,
                      const std::string& directory, Results& results) {
  std::vector<std::unique_ptr<ShimRun>> runs;
  for (int i = 0; i < pods; ++i) {
    ASSIGN_OR_RETURN(
        auto run,
        ShimRun::Prepare(contestant, absl::StrCat(contestant.name, "-m", i),
                         JoinPath(directory, absl::StrCat("m", i))));
    RETURN_IF_ERROR(run->StartShim());
    RETURN_IF_ERROR(run->StartTask());
    runs.push_back(std::move(run));
  }
  for (const auto& run : runs) {
    results.Add(absl::StrCat("PSS of each of ", pods, " shims, kB"),
                contestant.name, Memory(*run, "Pss:"));
  }
  for (const auto& run : runs) {
    RETURN_IF_ERROR(run->EndTask());
    RETURN_IF_ERROR(run->EndShim());
  }
  return absl::OkStatus();
}

absl::Status Measure(const std::vector<Contestant>& contestants, int rounds,
                     int pods, const std::string& directory, Results& results) {
  // The first round is for the page cache.
  for (int round = 0; round <= rounds; ++round) {
    Results ignored;
    for (const Contestant& contestant : contestants) {
      const std::string id = absl::StrCat(contestant.name, "-", round);
      RETURN_IF_ERROR(OneLife(contestant, id, JoinPath(directory, id),
                              round == 0 ? ignored : results));
    }
  }
  for (const Contestant& contestant : contestants) {
    RETURN_IF_ERROR(ManyPods(contestant, pods,
                             JoinPath(directory, contestant.name), results));
  }
  return absl::OkStatus();
}

absl::Status Main(const std::string& build, int rounds, int pods) {
  if (::setenv("SERAI_BUILD_DIR", build.c_str(), 1) != 0) {
    return ErrnoStatus(errno, "setenv");
  }
  RETURN_IF_ERROR(testing::EnterOwnMachine());
  testing::TestContainerd containerd;
  containerd.Start();
  if (::testing::Test::HasFailure()) {
    return absl::UnavailableError("containerd has not started");
  }
  const std::string& directory = containerd.directory();
  std::vector<Contestant> contestants;
  for (const char* target : {"hvt", "spt"}) {
    if (absl::string_view(target) == "hvt" && testing::Lacks("kvm")) continue;
    contestants.push_back(
        {target,
         JoinPath(build, "bin/containerd-shim-serai-v2"),
         {absl::StrCat("SERAI_TENDER=", build, "/bin/serai-tender"),
          absl::StrCat("SERAI_SHIM_SOCKET_DIR=", directory, "/b")},
         absl::StrCat(build, "/guests/spin.", target),
         {"--idle"},
         containerd.socket(),
         containerd.cgroup()});
  }
  contestants.push_back({"runc",
                         kRuncShim,
                         {},
                         JoinPath(build, "tests/plain"),
                         {},
                         containerd.socket(),
                         containerd.cgroup()});
  Results results;
  RETURN_IF_ERROR(Measure(contestants, rounds, pods,
                          JoinPath(directory, "bench"), results));
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
  CLI::App app("Measures our shim against runc's");
  std::string build;
  int rounds = 30;
  int pods = 50;
  app.add_option("--build", build, "the build tree, an absolute path")
      ->required();
  app.add_option("--rounds", rounds, "lives of one task after another")
      ->check(CLI::PositiveNumber);
  app.add_option("--pods", pods, "shims at the same time")
      ->check(CLI::PositiveNumber);
  CLI11_PARSE(app, argc, argv);
  const absl::Status status = serai::bench::Main(build, rounds, pods);
  if (status.ok()) return 0;
  std::fprintf(stderr, "shim: %s\n", std::string(status.message()).c_str());
  return 1;
}
