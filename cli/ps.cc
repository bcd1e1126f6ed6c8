// SPDX-License-Identifier: Apache-2.0
// serai ps: pods and what is in them.

#include <CLI/CLI.hpp>
#include <map>
#include <memory>
#include <ostream>
#include <utility>
#include <vector>

#include "cli/client.h"
#include "cli/command.h"
#include "cli/output.h"
#include "cli/pods.h"

namespace serai::cli {
namespace {

using nlohmann::json;

// A pod with what its own status and its newest container's say.
struct Row {
  v1::PodSandbox pod;
  std::string ip;
  bool has_container = false;
  v1::ContainerStatus container;
};

// The status of something that was listed a moment ago. It may be gone since.
template <typename T>
absl::StatusOr<T> OrEmptyIfGone(absl::StatusOr<T> status) {
  if (absl::IsNotFound(status.status())) return T();
  return status;
}

absl::StatusOr<std::vector<Row>> Collect(Client& client, bool all) {
  ASSIGN_OR_RETURN(const auto pods, ListPods(client));
  ASSIGN_OR_RETURN(const auto containers, ListContainers(client, ""));
  std::map<std::string, std::string> newest;
  for (const auto& container : containers) {
    newest.emplace(container.pod_sandbox_id(), container.id());
  }
  std::vector<Row> rows;
  for (const auto& pod : pods) {
    if (!all && pod.state() != v1::SANDBOX_READY) continue;
    Row row;
    row.pod = pod;
    ASSIGN_OR_RETURN(const auto status,
                     OrEmptyIfGone(PodStatus(client, pod.id())));
    row.ip = status.network().ip();
    if (const auto it = newest.find(pod.id()); it != newest.end()) {
      ASSIGN_OR_RETURN(row.container,
                       OrEmptyIfGone(StatusOfContainer(client, it->second)));
      row.has_container = !row.container.id().empty();
    }
    rows.push_back(std::move(row));
  }
  return rows;
}

std::string ImageName(const v1::ImageSpec& image) {
  return image.user_specified_image().empty() ? image.image()
                                              : image.user_specified_image();
}

std::string ExitText(const v1::ContainerStatus& container) {
  if (container.state() != v1::CONTAINER_EXITED) return "";
  return absl::StrCat(container.exit_code(), " ", container.reason());
}

void PrintTable(std::ostream& out, const std::vector<Row>& rows) {
  Table table({"NAME", "NAMESPACE", "ID", "STATE", "CONTAINER", "IP", "IMAGE",
               "AGE", "RESTARTS", "EXIT"});
  const int64_t now = NowNanoseconds();
  for (const Row& row : rows) {
    const v1::ContainerStatus& container = row.container;
    table.Add({row.pod.metadata().name(), row.pod.metadata().namespace_(),
               ShortId(row.pod.id()), StateName(row.pod.state()),
               row.has_container ? StateName(container.state()) : "", row.ip,
               ImageName(container.image()), Age(row.pod.created_at(), now),
               absl::StrCat(container.metadata().attempt()),
               ExitText(container)});
  }
  table.Print(out);
}

json ContainerJson(const v1::ContainerStatus& container) {
  return {{"id", container.id()},
          {"name", container.metadata().name()},
          {"state", StateName(container.state())},
          {"image", ImageName(container.image())},
          {"image_id", container.image_id()},
          {"restarts", container.metadata().attempt()},
          {"created_at", container.created_at()},
          {"started_at", container.started_at()},
          {"finished_at", container.finished_at()},
          {"exit_code", container.exit_code()},
          {"reason", container.reason()},
          {"message", container.message()},
          {"log_path", container.log_path()}};
}

json PodJson(const Row& row) {
  json pod = {{"id", row.pod.id()},
              {"name", row.pod.metadata().name()},
              {"namespace", row.pod.metadata().namespace_()},
              {"uid", row.pod.metadata().uid()},
              {"state", StateName(row.pod.state())},
              {"ip", row.ip},
              {"created_at", row.pod.created_at()},
              {"runtime_handler", row.pod.runtime_handler()}};
  if (row.has_container) pod["container"] = ContainerJson(row.container);
  return pod;
}

absl::StatusOr<int> Ps(Invocation& invocation, bool all) {
  ASSIGN_OR_RETURN(const auto client, invocation.Connect());
  ASSIGN_OR_RETURN(const auto rows, Collect(*client, all));
  if (invocation.json()) {
    json list = json::array();
    for (const Row& row : rows) list.push_back(PodJson(row));
    PrintJson(invocation.out, list);
  } else {
    PrintTable(invocation.out, rows);
  }
  return 0;
}

}  // namespace

void AddPsCommand(CLI::App& app, Invocation& invocation) {
  CLI::App& command = *app.add_subcommand("ps", "List pods");
  const auto all = std::make_shared<bool>(false);
  command.add_flag("-a,--all", *all, "also the ones that were stopped");
  AddOutputOption(command, invocation);
  AddSocketOption(command, invocation);
  command.callback([&invocation, all] {
    invocation.action = [&invocation, all] { return Ps(invocation, *all); };
  });
}

}  // namespace serai::cli
