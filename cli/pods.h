// SPDX-License-Identifier: Apache-2.0
#pragma once

// Pods by the names that people give them.

#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "cli/client.h"
#include "lib/base/status.h"

namespace serai::cli {

// The pod that `name` means: a name, namespace/name, an id or the beginning of
// one. Of several with the same name the only ready one is meant. NOT_FOUND;
// INVALID_ARGUMENT that lists them when there are several.
absl::StatusOr<v1::PodSandbox> FindPod(const std::vector<v1::PodSandbox>& pods,
                                       absl::string_view name);

absl::StatusOr<std::vector<v1::PodSandbox>> ListPods(Client& client);

// The containers of one pod, newest first; empty `pod_id`: of all pods.
absl::StatusOr<std::vector<v1::Container>> ListContainers(
    Client& client, const std::string& pod_id);

absl::StatusOr<v1::PodSandboxStatus> PodStatus(Client& client,
                                               const std::string& id);
absl::StatusOr<v1::ContainerStatus> StatusOfContainer(Client& client,
                                                      const std::string& id);

// "namespace/name".
std::string PodName(const v1::PodSandboxMetadata& metadata);

// Whether `text` is a whole id, and not the beginning of one or a name.
bool IsFullId(absl::string_view text);

// "Ready", "NotReady"; "Created", "Running", "Exited", "Unknown".
std::string StateName(v1::PodSandboxState state);
std::string StateName(v1::ContainerState state);

}  // namespace serai::cli
