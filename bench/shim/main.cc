// SPDX-License-Identifier: Apache-2.0
// Our shim and containerd's for runc, in turns on the same machine: how long a
// task's life takes, and what a shim weighs. Prints a Markdown table.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/time/clock.h"
#include "bench/shim/contestant.h"
#include "lib/base/file.h"
#include "tests/support/enter_own_machine.h"
#include "tests/support/require.h"
#include "tests/support/test_containerd.h"

namespace serai::bench {
namespace {

constexpr char kRuncShim[] = "/usr/bin/containerd-shim-runc-v2";

// What was measured, by row and contestant.
class Results {
 public:
  void Add(const std::string& row, const std::string& contestant,
           double value) {
    if (values_.count(row) == 0) order_.push_back(row);
    values_[row][contestant].push_back(value);
  }

  void Print(const std::vector<Contestant>& contestants) const {
    std::string heading = "| |";
    std::string line = "|---|";
    for (const Contestant& contestant : contestants) {
      absl::StrAppend(&heading, " ", contestant.name, " |");
      line += "---|";
    }
    std::printf("%s\n%s\n", heading.c_str(), line.c_str());
    for (const std::string& row : order_) PrintRow(row, contestants);
  }

 private:
  static double At(std::vector<double> values, double fraction) {
    std::sort(values.begin(), values.end());
    const double last = static_cast<double>(values.size() - 1);
    return values[static_cast<size_t>(fraction * last + 0.5)];
  }

  // Median (90th percentile), and how the median compares with the last's.
  void PrintRow(const std::string& row,
                const std::vector<Contestant>& contestants) const {
    std::printf("| %s |", row.c_str());
    const auto& measured = values_.at(row);
    const auto reference = measured.find(contestants.back().name);
    for (const Contestant& contestant : contestants) {
      const auto found = measured.find(contestant.name);
      if (found == measured.end()) {
        std::printf(" |");
        continue;
      }
      const double median = At(found->second, 0.5);
      std::printf(" %.1f (%.1f)", median, At(found->second, 0.9));
      if (reference != measured.end() && found != reference) {
        std::printf(", %.2f×", median / At(reference->second, 0.5));
      }
      std::printf(" |");
    }
    std::printf("\n");
  }

  std::vector<std::string> order_;
  std::map<std::string, std::map<std::string, std::vector<double>>> values_;
};

// A field of /proc/PID/smaps_rollup, in kB.
double Memory(pid_t pid, absl::string_view field) {
  const auto text =
      ReadFile(absl::StrCat("/proc/", pid, "/smaps_rollup"), 1 << 16);
  if (!text.ok()) return 0;
  double sum = 0;
  for (const absl::string_view line : absl::StrSplit(*text, '\n')) {
    const std::vector<absl::string_view> words =
        absl::StrSplit(line, ' ', absl::SkipEmpty());
    double value = 0;
    if (words.size() == 3 && absl::StartsWith(words[0], field) &&
        absl::SimpleAtod(words[1], &value)) {
      sum += value;
    }
  }
  return sum;
}

void Weigh(const ShimRun& run, const std::string& name, const std::string& when,
           Results& results) {
  if (run.shim_pid() == 0) return;
  results.Add(absl::StrCat("RSS ", when, ", kB"), name,
              Memory(run.shim_pid(), "Rss:"));
  results.Add(absl::StrCat("private ", when, ", kB"), name,
              Memory(run.shim_pid(), "Private_Dirty:"));
}

// Runs `step`, and counts its time in `row` when it succeeds.
template <typename Step>
absl::Status Timed(Results& results, const std::string& row,
                   const std::string& name, Step step) {
  const absl::Time start = absl::Now();
  RETURN_IF_ERROR(step(), row, " of ", name);
  results.Add(row, name, absl::ToDoubleMilliseconds(absl::Now() - start));
  return absl::OkStatus();
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
  RETURN_IF_ERROR(Timed(results, "kill, wait, delete, ms", name,
                        [&] { return run->EndTask(); }));
  return Timed(results, "shim's end, ms", name, [&] { return run->EndShim(); });
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
                contestant.name, Memory(run->shim_pid(), "Pss:"));
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
  results.Print(contestants);
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
