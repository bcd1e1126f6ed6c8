// SPDX-License-Identifier: Apache-2.0
#include "cli/removal.h"

#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "cli/manifest.h"
#include "cli/pods.h"
#include "cli/volumes.h"
#include "lib/base/file.h"

namespace serai::cli {
namespace {

absl::Status StopContainer(Client& client, const v1::ContainerStatus& container,
                           std::optional<int64_t> grace) {
  v1::StopContainerRequest request;
  request.set_container_id(container.id());
  request.set_timeout(grace.value_or(GraceOf(container)));
  return Annotate(client.StopContainer(request).status(),
                  "stopping the container");
}

absl::Status RemoveSandbox(Client& client, const std::string& id) {
  v1::StopPodSandboxRequest stop;
  stop.set_pod_sandbox_id(id);
  RETURN_IF_ERROR(client.StopPodSandbox(stop).status(), "stopping the pod");
  v1::RemovePodSandboxRequest remove;
  remove.set_pod_sandbox_id(id);
  return Annotate(client.RemovePodSandbox(remove).status(), "removing the pod");
}

std::string DirectoryOf(const std::string& path) {
  const size_t slash = path.rfind('/');
  return slash == std::string::npos ? "" : path.substr(0, slash);
}

// Removes the log, what rotation made of it, and the two directories of the
// pod if nothing else is in them. Nothing is removed by a directory's name
// alone: the path came from elsewhere.
absl::Status RemoveLogs(const std::string& log_path) {
  const std::string directory = DirectoryOf(log_path);
  if (directory.empty()) return absl::OkStatus();
  const std::string name = log_path.substr(directory.size() + 1);
  const auto entries = ListDir(directory);
  if (absl::IsNotFound(entries.status())) return absl::OkStatus();
  RETURN_IF_ERROR(entries.status());
  for (const std::string& entry : *entries) {
    if (entry == name || absl::StartsWith(entry, absl::StrCat(name, "."))) {
      RETURN_IF_ERROR(RemovePath(JoinPath(directory, entry)));
    }
  }
  for (const std::string& empty : {directory, DirectoryOf(directory)}) {
    const auto left = ListDir(empty);
    if (left.ok() && left->empty()) RETURN_IF_ERROR(RemovePath(empty));
  }
  return absl::OkStatus();
}

bool MadeByCli(const v1::PodSandboxStatus& pod) {
  const auto it = pod.annotations().find(kMadeByAnnotation);
  return it != pod.annotations().end() && it->second == kMadeByCli;
}

}  // namespace

int64_t GraceOf(const v1::ContainerStatus& container) {
  const auto it = container.annotations().find(kGracePeriodAnnotation);
  int64_t seconds = 0;
  if (it == container.annotations().end() ||
      !absl::SimpleAtoi(it->second, &seconds) || seconds < 0) {
    return kDefaultGraceSeconds;
  }
  return seconds;
}

absl::Status RemovePod(Client& client, const std::string& pod_id,
                       std::optional<int64_t> grace) {
  const auto pod = PodStatus(client, pod_id);
  if (absl::IsNotFound(pod.status())) return absl::OkStatus();
  RETURN_IF_ERROR(pod.status());
  std::vector<std::string> logs;
  ASSIGN_OR_RETURN(const auto containers, ListContainers(client, pod_id));
  for (const auto& container : containers) {
    const auto status = StatusOfContainer(client, container.id());
    if (absl::IsNotFound(status.status())) continue;
    RETURN_IF_ERROR(status.status());
    RETURN_IF_ERROR(StopContainer(client, *status, grace));
    logs.push_back(status->log_path());
  }
  RETURN_IF_ERROR(RemoveSandbox(client, pod_id));
  if (!MadeByCli(*pod)) return absl::OkStatus();
  for (const std::string& log : logs) {
    RETURN_IF_ERROR(RemoveLogs(log), "removing the log");
  }
  return Annotate(RemoveEmptyDirs(pod->metadata().uid()),
                  "removing its volumes");
}

}  // namespace serai::cli
