// SPDX-License-Identifier: Apache-2.0
// serai rm: stops and removes pods.

#include <CLI/CLI.hpp>
#include <memory>
#include <optional>
#include <ostream>
#include <string>
#include <utility>
#include <vector>

#include "cli/client.h"
#include "cli/command.h"
#include "cli/output.h"
#include "cli/pods.h"
#include "cli/removal.h"

namespace serai::cli {
namespace {

struct RemoveOptions {
  std::vector<std::string> pods;
  bool all = false;
  std::optional<int64_t> grace;
};

// Ids of what is to go. A whole id may be of a pod that is gone.
absl::StatusOr<std::vector<std::string>> Chosen(Client& client,
                                                const RemoveOptions& options) {
  ASSIGN_OR_RETURN(const auto pods, ListPods(client));
  std::vector<std::string> ids;
  if (options.all) {
    for (const auto& pod : pods) ids.push_back(pod.id());
  }
  for (const std::string& name : options.pods) {
    if (IsFullId(name)) {
      ids.push_back(name);
      continue;
    }
    ASSIGN_OR_RETURN(const auto pod, FindPod(pods, name));
    ids.push_back(pod.id());
  }
  return ids;
}

// One pod that won't go does not save the others.
absl::StatusOr<int> Remove(Invocation& invocation,
                           const RemoveOptions& options) {
  ASSIGN_OR_RETURN(const auto client, invocation.Connect());
  ASSIGN_OR_RETURN(const auto ids, Chosen(*client, options));
  absl::Status first;
  nlohmann::json removed = nlohmann::json::array();
  for (const std::string& id : ids) {
    const absl::Status status = Annotate(RemovePod(*client, id, options.grace),
                                         absl::StrCat("pod ", ShortId(id)));
    if (!status.ok()) {
      first = FirstError(std::move(first), status);
      continue;
    }
    removed.push_back(id);
    if (!invocation.json()) invocation.out << id << std::endl;
  }
  if (invocation.json()) PrintJson(invocation.out, removed);
  RETURN_IF_ERROR(first);
  return 0;
}

}  // namespace

void AddRemoveCommand(CLI::App& app, Invocation& invocation) {
  CLI::App& command = *app.add_subcommand("rm", "Stop and remove pods");
  const auto options = std::make_shared<RemoveOptions>();
  CLI::Option* pods =
      command.add_option("POD", options->pods,
                         "name, namespace/name, or (the beginning of) an id");
  CLI::Option* all =
      command.add_flag("-a,--all", options->all, "all pods, of any owner");
  pods->excludes(all);
  command
      .add_option("--grace", options->grace,
                  "seconds to end by itself; else what the manifest said")
      ->check(CLI::Range(0, 86'400))
      ->type_name("SECONDS");
  AddOutputOption(command, invocation);
  AddSocketOption(command, invocation);
  command.callback([&invocation, options] {
    if (options->pods.empty() && !options->all) {
      throw CLI::RequiredError("POD or --all");
    }
    invocation.action = [&invocation, options] {
      return Remove(invocation, *options);
    };
  });
}

}  // namespace serai::cli
