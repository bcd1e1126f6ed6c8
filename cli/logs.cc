// SPDX-License-Identifier: Apache-2.0
// serai logs: a pod's log file.

#include <CLI/CLI.hpp>
#include <memory>
#include <optional>
#include <ostream>
#include <string>

#include "cli/client.h"
#include "cli/command.h"
#include "cli/cri_log.h"
#include "cli/pods.h"

namespace serai::cli {
namespace {

struct LogsOptions {
  std::string pod;
  bool follow = false;
  LogOptions log;
};

absl::StatusOr<int> Logs(Invocation& invocation, const LogsOptions& options) {
  ASSIGN_OR_RETURN(const auto client, invocation.Connect());
  ASSIGN_OR_RETURN(const auto pods, ListPods(*client));
  ASSIGN_OR_RETURN(const auto pod, FindPod(pods, options.pod));
  ASSIGN_OR_RETURN(const auto containers, ListContainers(*client, pod.id()));
  if (containers.empty()) {
    return absl::NotFoundError(
        absl::StrCat("pod ", PodName(pod.metadata()), " has no container yet"));
  }
  const std::string id = containers.front().id();
  ASSIGN_OR_RETURN(const auto status, StatusOfContainer(*client, id));
  if (status.log_path().empty()) {
    return absl::NotFoundError("the container was made without a log");
  }
  if (!options.follow) {
    RETURN_IF_ERROR(PrintLog(status.log_path(), options.log, invocation.out));
    return 0;
  }
  const auto ended = [&]() -> absl::StatusOr<bool> {
    const auto now = StatusOfContainer(*client, id);
    if (absl::IsNotFound(now.status())) return true;
    RETURN_IF_ERROR(now.status());
    return now->state() == v1::CONTAINER_EXITED;
  };
  RETURN_IF_ERROR(
      FollowLog(status.log_path(), options.log, invocation.out, ended));
  return 0;
}

}  // namespace

void AddLogsCommand(CLI::App& app, Invocation& invocation) {
  CLI::App& command = *app.add_subcommand("logs", "Print a pod's log");
  const auto options = std::make_shared<LogsOptions>();
  command
      .add_option("POD", options->pod,
                  "name, namespace/name, or (the beginning of) an id")
      ->required();
  command.add_flag("-f,--follow", options->follow,
                   "go on until the container ends");
  command
      .add_option("--tail", options->log.tail, "only the last so many lines")
      ->check(CLI::Range(0, 10'000'000))
      ->type_name("LINES");
  command.add_flag("--timestamps", options->log.timestamps,
                   "with the time of each line");
  AddSocketOption(command, invocation);
  command.callback([&invocation, options] {
    invocation.action = [&invocation, options] {
      return Logs(invocation, *options);
    };
  });
}

}  // namespace serai::cli
