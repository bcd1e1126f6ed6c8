// SPDX-License-Identifier: Apache-2.0
// How long the CRI calls of a pod's life take against a running seraid with
// Debian's CNI plugins, one pod after the other, and what the processes weigh.
// Prints a table, or JSON.
#include <signal.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_split.h"
#include "absl/time/clock.h"
#include "bench/common/proc.h"
#include "lib/base/file.h"
#include "lib/base/subprocess.h"
#include "nlohmann/json.hpp"
#include "tests/support/test_node.h"

namespace serai {
namespace {

using testing::TestNode;

constexpr char kTapBridge[] = "srttapbench";

// Milliseconds of each step, in the order of their first use.
class Samples {
 public:
  void Add(const std::string& step, double milliseconds) {
    if (values_.count(step) == 0) order_.push_back(step);
    values_[step].push_back(milliseconds);
  }
  const std::vector<std::string>& steps() const { return order_; }
  double Percentile(const std::string& step, double fraction) const {
    std::vector<double> sorted = values_.at(step);
    std::sort(sorted.begin(), sorted.end());
    const double last = static_cast<double>(sorted.size() - 1);
    return sorted[static_cast<size_t>(fraction * last + 0.5)];
  }

 private:
  std::vector<std::string> order_;
  std::map<std::string, std::vector<double>> values_;
};

double MillisecondsSince(absl::Time start) {
  return absl::ToDoubleMilliseconds(absl::Now() - start);
}

// Runs `work`, and counts its time as `step` when it succeeds.
absl::Status Timed(Samples& samples, const std::string& step,
                   const std::function<absl::Status()>& work) {
  const absl::Time start = absl::Now();
  RETURN_IF_ERROR(work(), step);
  samples.Add(step, MillisecondsSince(start));
  return absl::OkStatus();
}

// The time of the chain's plugins for `command` since the last call. Plugins
// that other plugins call (IPAM) are in the times of those.
double TakePluginTime(const std::string& directory, const char* command) {
  const std::string path = JoinPath(directory, "times.log");
  const std::string log = ReadFile(path, 1 << 20).value_or("");
  (void)RemovePath(path);
  double microseconds = 0;
  for (const absl::string_view line : absl::StrSplit(log, '\n')) {
    const std::vector<std::string> words = absl::StrSplit(line, ' ');
    double value = 0;
    if (words.size() == 3 && words[0] != "host-local" && words[1] == command &&
        absl::SimpleAtod(words[2], &value)) {
      microseconds += value;
    }
  }
  return microseconds / 1000;
}

// A life of a pod, each step timed.
absl::Status Life(TestNode& node, const std::string& image,
                  const std::string& plugins, int number, Samples& samples) {
  const std::string name = absl::StrCat("bench-", number);
  const absl::Time start = absl::Now();
  std::string pod;
  std::string container;
  RETURN_IF_ERROR(Timed(samples, "RunPodSandbox", [&] {
    ASSIGN_OR_RETURN(pod, node.RunPod(name));
    return absl::OkStatus();
  }));
  RETURN_IF_ERROR(Timed(samples, "CreateContainer", [&] {
    ASSIGN_OR_RETURN(container,
                     node.Create(pod, node.ContainerConfig(image, {})));
    return absl::OkStatus();
  }));
  RETURN_IF_ERROR(Timed(samples, "StartContainer",
                        [&] { return node.StartContainer(container); }));
  ASSIGN_OR_RETURN(const auto status, node.PodStatusOf(pod));
  RETURN_IF_ERROR(Timed(samples, "first HTTP answer", [&]() -> absl::Status {
    // A connection that comes too early is refused or waits a second for the
    // kernel's retry; short tries find the answer when it is there.
    const absl::Time deadline = absl::Now() + absl::Seconds(10);
    for (;;) {
      const auto answer = testing::HttpGet(status.network().ip(), 80, "/",
                                           absl::Milliseconds(20));
      if (answer.ok() || absl::Now() > deadline) return answer.status();
    }
  }));
  const double total = MillisecondsSince(start);
  const double plugin_time = TakePluginTime(plugins, "ADD");
  samples.Add("total to first answer", total);
  samples.Add("  of it, CNI plugins", plugin_time);
  samples.Add("  of it, Serai and guest", total - plugin_time);
  RETURN_IF_ERROR(Timed(samples, "StopContainer",
                        [&] { return node.StopContainer(container, 2); }));
  RETURN_IF_ERROR(
      Timed(samples, "StopPodSandbox", [&] { return node.StopPod(pod); }));
  samples.Add("  of it, CNI plugins (DEL)", TakePluginTime(plugins, "DEL"));
  return Timed(samples, "RemovePodSandbox",
               [&] { return node.RemovePod(pod); });
}

struct Weight {
  std::string process;
  double rss_kb;
  double private_dirty_kb;
};

Weight WeightOf(const std::string& process, pid_t pid) {
  const std::string proc = absl::StrCat("/proc/", pid);
  return {process, bench::ProcField(proc + "/status", "VmRSS:"),
          bench::ProcField(proc + "/smaps_rollup", "Private_Dirty:")};
}

// The first process in the cgroups of `node` whose name starts with `name`.
pid_t ProcessOf(const TestNode& node, absl::string_view name) {
  const auto pids = ListDir("/proc").value_or(std::vector<std::string>());
  for (const std::string& entry : pids) {
    int pid = 0;
    if (!absl::SimpleAtoi(entry, &pid)) continue;
    const std::string groups =
        ReadFile(absl::StrCat("/proc/", pid, "/cgroup"), 1 << 16).value_or("");
    const std::string comm =
        ReadFile(absl::StrCat("/proc/", pid, "/comm"), 256).value_or("");
    if (groups.find(node.cgroup_parent() + "/") != std::string::npos &&
        comm.rfind(std::string(name), 0) == 0) {
      return pid;
    }
  }
  return -1;
}

absl::StatusOr<std::vector<Weight>> Weigh(TestNode& node,
                                          const std::string& image) {
  ASSIGN_OR_RETURN(const auto pod, node.Run("weigh", image));
  RETURN_IF_ERROR(testing::HttpGetRetried(pod.ip, 80, "/").status());
  std::vector<Weight> weights = {
      WeightOf("shim", ProcessOf(node, "containerd-shim")),
      WeightOf("tender", ProcessOf(node, "serai-tender"))};
  RETURN_IF_ERROR(node.RemovePod(pod.pod));
  weights.push_back(WeightOf("seraid, after all pods", node.pid()));
  return weights;
}

void PrintTable(const Samples& samples, const std::vector<Weight>& weights) {
  std::printf("%-28s %10s %10s\n", "ms", "p50", "p99");
  for (const std::string& step : samples.steps()) {
    std::printf("%-28s %10.1f %10.1f\n", step.c_str(),
                samples.Percentile(step, 0.5), samples.Percentile(step, 0.99));
  }
  std::printf("\n%-28s %10s %10s\n", "kB", "RSS", "private");
  for (const Weight& weight : weights) {
    std::printf("%-28s %10.0f %10.0f\n", weight.process.c_str(), weight.rss_kb,
                weight.private_dirty_kb);
  }
}

void PrintJson(const Samples& samples, const std::vector<Weight>& weights) {
  nlohmann::json out;
  for (const std::string& step : samples.steps()) {
    out["milliseconds"][step] = {{"p50", samples.Percentile(step, 0.5)},
                                 {"p99", samples.Percentile(step, 0.99)}};
  }
  for (const Weight& weight : weights) {
    out["kilobytes"][weight.process] = {
        {"rss", weight.rss_kb}, {"private_dirty", weight.private_dirty_kb}};
  }
  std::printf("%s\n", out.dump(2).c_str());
}

void RemoveTapBridge() {
  SubprocessSpec spec;
  spec.program = "/sbin/ip";
  spec.args = {"link", "delete", kTapBridge};
  (void)RunSubprocess(spec).status();
}

// Links that have the timer called in the plugins' place.
absl::Status LinkTimer(const std::string& timer, const std::string& directory) {
  for (const char* plugin :
       {"bridge", "portmap", "firewall", "host-local", "serai-tap"}) {
    const std::string link = JoinPath(directory, plugin);
    if (::symlink(timer.c_str(), link.c_str()) != 0) {
      return ErrnoStatus(errno, absl::StrCat("symlink ", link));
    }
  }
  return absl::OkStatus();
}

// Ours, and the network that it makes by itself or behind bridge.
absl::StatusOr<std::string> TapNetwork(const std::string& build,
                                       const std::string& directory,
                                       bool behind) {
  const std::string real = JoinPath(directory, "real");
  RETURN_IF_ERROR(MakeDirs(real));
  const std::string link = JoinPath(real, "serai-tap");
  if (::symlink(JoinPath(build, "bin/serai-tap").c_str(), link.c_str()) != 0) {
    return ErrnoStatus(errno, absl::StrCat("symlink ", link));
  }
  return absl::StrCat(
      R"({"cniVersion":"1.0.0","name":"bench","plugins":[{"type":")",
      behind ? "bridge" : "serai-tap", R"(","bridge":")", kTapBridge,
      R"(","isGateway":true,"ipam":{"type":"host-local","dataDir":")",
      directory, R"(/ipam","ranges":[[{"subnet":"10.215.0.0/16"}]],)",
      R"("routes":[{"dst":"0.0.0.0/0"}]}})",
      behind ? R"(,{"type":"serai-tap"})" : "", "]}");
}

struct Choice {
  std::string guest = "web.hvt";
  std::string network = "bridge";
  std::vector<std::string> chained;
  int pods = 50;
};

absl::Status Measure(const std::string& build, const Choice& choice,
                     bool json) {
  const std::string& guest = choice.guest;
  const testing::TempDir plugins;
  RETURN_IF_ERROR(
      LinkTimer(JoinPath(build, "bench/plugin_timer"), plugins.path()));
  testing::NodeOptions options;
  options.plugin_dir = plugins.path();
  options.chained = choice.chained;
  const bool of_ours = choice.network != "bridge";
  if (of_ours) {
    ASSIGN_OR_RETURN(options.conflist, TapNetwork(build, plugins.path(),
                                                  choice.network == "behind"));
  }
  const absl::Cleanup no_bridge = [of_ours] {
    if (of_ours) RemoveTapBridge();
  };
  TestNode node(options);
  node.Start();
  ASSIGN_OR_RETURN(const std::string image, node.LoadGuests("web", {guest}));
  Samples warm_up;
  RETURN_IF_ERROR(Life(node, image, plugins.path(), 0, warm_up));
  Samples samples;
  for (int i = 1; i <= choice.pods; ++i) {
    RETURN_IF_ERROR(Life(node, image, plugins.path(), i, samples));
  }
  ASSIGN_OR_RETURN(const std::vector<Weight> weights, Weigh(node, image));
  json ? PrintJson(samples, weights) : PrintTable(samples, weights);
  return absl::OkStatus();
}

}  // namespace
}  // namespace serai

int main(int argc, char** argv) {
  CLI::App app("Times the CRI calls of a pod's life against a private seraid");
  std::string build = "build/release";
  serai::Choice choice;
  bool json = false;
  app.add_option("--build", build, "Build tree")->capture_default_str();
  app.add_option("--guest", choice.guest, "Guest file in its guests/")
      ->capture_default_str();
  app.add_option("--network", choice.network,
                 "bridge; serai-tap in its place, or behind it")
      ->check(CLI::IsMember({"bridge", "serai-tap", "behind"}))
      ->capture_default_str();
  app.add_option("--chain", choice.chained,
                 "Plugins after bridge: portmap, firewall")
      ->delimiter(',');
  app.add_option("--pods", choice.pods, "How many lives")
      ->capture_default_str();
  app.add_flag("--json", json, "Print JSON");
  CLI11_PARSE(app, argc, argv);
  testing::InitGoogleTest();
  ::setenv("SERAI_BUILD_DIR", build.c_str(), 1);
  ::signal(SIGPIPE, SIG_IGN);
  const absl::Status status = serai::Measure(build, choice, json);
  if (status.ok()) return 0;
  std::fprintf(stderr, "start: %s\n", std::string(status.message()).c_str());
  return 1;
}
