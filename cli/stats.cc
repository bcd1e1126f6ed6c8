// SPDX-License-Identifier: Apache-2.0
// serai stats: what the pods use.

#include <CLI/CLI.hpp>
#include <memory>
#include <ostream>
#include <set>
#include <string>
#include <vector>

#include "absl/strings/str_format.h"
#include "cli/client.h"
#include "cli/command.h"
#include "cli/output.h"
#include "cli/pods.h"

namespace serai::cli {
namespace {

std::string Label(const v1::ContainerStats& stats, const std::string& name) {
  const auto it =
      stats.attributes().labels().find(absl::StrCat("io.kubernetes.", name));
  return it == stats.attributes().labels().end() ? "" : it->second;
}

// The containers of the pods that are named.
absl::StatusOr<std::set<std::string>> ContainersOf(
    Client& client, const std::vector<std::string>& names) {
  std::set<std::string> ids;
  ASSIGN_OR_RETURN(const auto pods, ListPods(client));
  for (const std::string& name : names) {
    ASSIGN_OR_RETURN(const auto pod, FindPod(pods, name));
    ASSIGN_OR_RETURN(const auto containers, ListContainers(client, pod.id()));
    for (const auto& container : containers) ids.insert(container.id());
  }
  return ids;
}

nlohmann::json StatsJson(const v1::ContainerStats& stats) {
  return {
      {"pod", Label(stats, "pod.name")},
      {"namespace", Label(stats, "pod.namespace")},
      {"container_id", stats.attributes().id()},
      {"container", stats.attributes().metadata().name()},
      {"cpu_nanoseconds", stats.cpu().usage_core_nano_seconds().value()},
      {"cpu_nanocores", stats.cpu().usage_nano_cores().value()},
      {"memory_working_set_bytes", stats.memory().working_set_bytes().value()},
      {"memory_rss_bytes", stats.memory().rss_bytes().value()}};
}

std::vector<std::string> StatsRow(const v1::ContainerStats& stats) {
  const auto seconds =
      static_cast<double>(stats.cpu().usage_core_nano_seconds().value()) / 1e9;
  const auto& rate = stats.cpu();
  return {Label(stats, "pod.name"),
          Label(stats, "pod.namespace"),
          ShortId(stats.attributes().id()),
          rate.has_usage_nano_cores()
              ? absl::StrCat(rate.usage_nano_cores().value() / 1'000'000, "m")
              : "",
          absl::StrFormat("%.2fs", seconds),
          HumanBytes(stats.memory().working_set_bytes().value())};
}

absl::StatusOr<int> Stats(Invocation& invocation,
                          const std::vector<std::string>& pods) {
  ASSIGN_OR_RETURN(const auto client, invocation.Connect());
  ASSIGN_OR_RETURN(const auto wanted, ContainersOf(*client, pods));
  ASSIGN_OR_RETURN(const auto list, client->ListContainerStats({}),
                   "reading statistics");
  nlohmann::json array = nlohmann::json::array();
  Table table({"NAME", "NAMESPACE", "CONTAINER", "CPU", "CPU TIME", "MEMORY"});
  for (const auto& stats : list.stats()) {
    if (!pods.empty() && wanted.count(stats.attributes().id()) == 0) continue;
    array.push_back(StatsJson(stats));
    table.Add(StatsRow(stats));
  }
  if (invocation.json()) {
    PrintJson(invocation.out, array);
  } else {
    table.Print(invocation.out);
  }
  return 0;
}

}  // namespace

void AddStatsCommand(CLI::App& app, Invocation& invocation) {
  CLI::App& command = *app.add_subcommand("stats", "What pods use");
  const auto pods = std::make_shared<std::vector<std::string>>();
  command.add_option("POD", *pods, "only these");
  AddOutputOption(command, invocation);
  AddSocketOption(command, invocation);
  command.callback([&invocation, pods] {
    invocation.action = [&invocation, pods] {
      return Stats(invocation, *pods);
    };
  });
}

}  // namespace serai::cli
