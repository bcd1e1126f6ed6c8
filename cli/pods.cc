// SPDX-License-Identifier: Apache-2.0
#include "cli/pods.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_join.h"
#include "cli/output.h"

namespace serai::cli {
namespace {

bool Means(absl::string_view name, const v1::PodSandbox& pod) {
  constexpr size_t kShortestPrefix = 4;
  return name == pod.metadata().name() || name == PodName(pod.metadata()) ||
         (name.size() >= kShortestPrefix && absl::StartsWith(pod.id(), name));
}

}  // namespace

absl::StatusOr<v1::PodSandbox> FindPod(const std::vector<v1::PodSandbox>& pods,
                                       absl::string_view name) {
  std::vector<v1::PodSandbox> meant;
  std::copy_if(pods.begin(), pods.end(), std::back_inserter(meant),
               [&](const auto& pod) { return Means(name, pod); });
  if (meant.empty()) {
    return absl::NotFoundError(absl::StrCat("there is no pod \"", name, "\""));
  }
  const auto ready = [](const auto& pod) {
    return pod.state() == v1::SANDBOX_READY;
  };
  if (meant.size() == 1) return meant.front();
  if (std::count_if(meant.begin(), meant.end(), ready) == 1) {
    return *std::find_if(meant.begin(), meant.end(), ready);
  }
  const std::string list =
      absl::StrJoin(meant, ", ", [](std::string* out, const auto& pod) {
        absl::StrAppend(out, PodName(pod.metadata()), " (", ShortId(pod.id()),
                        ")");
      });
  return absl::InvalidArgumentError(absl::StrCat(
      "\"", name, "\" means several pods: ", list, "; use the id"));
}

absl::StatusOr<std::vector<v1::PodSandbox>> ListPods(Client& client) {
  ASSIGN_OR_RETURN(const auto list, client.ListPodSandbox({}), "listing pods");
  return std::vector<v1::PodSandbox>(list.items().begin(), list.items().end());
}

absl::StatusOr<std::vector<v1::Container>> ListContainers(
    Client& client, const std::string& pod_id) {
  v1::ListContainersRequest request;
  if (!pod_id.empty()) request.mutable_filter()->set_pod_sandbox_id(pod_id);
  ASSIGN_OR_RETURN(const auto list, client.ListContainers(request),
                   "listing containers");
  std::vector<v1::Container> containers(list.containers().begin(),
                                        list.containers().end());
  std::stable_sort(containers.begin(), containers.end(),
                   [](const auto& a, const auto& b) {
                     return a.created_at() > b.created_at();
                   });
  return containers;
}

absl::StatusOr<v1::PodSandboxStatus> PodStatus(Client& client,
                                               const std::string& id) {
  v1::PodSandboxStatusRequest request;
  request.set_pod_sandbox_id(id);
  ASSIGN_OR_RETURN(auto response, client.PodSandboxStatus(request));
  return std::move(*response.mutable_status());
}

absl::StatusOr<v1::ContainerStatus> StatusOfContainer(Client& client,
                                                      const std::string& id) {
  v1::ContainerStatusRequest request;
  request.set_container_id(id);
  ASSIGN_OR_RETURN(auto response, client.ContainerStatus(request));
  return std::move(*response.mutable_status());
}

std::string PodName(const v1::PodSandboxMetadata& metadata) {
  return absl::StrCat(metadata.namespace_(), "/", metadata.name());
}

bool IsFullId(absl::string_view text) {
  constexpr size_t kIdLength = 64;
  return text.size() == kIdLength &&
         std::all_of(text.begin(), text.end(), [](char c) {
           return absl::ascii_isdigit(static_cast<unsigned char>(c)) ||
                  (c >= 'a' && c <= 'f');
         });
}

std::string StateName(v1::PodSandboxState state) {
  return state == v1::SANDBOX_READY ? "Ready" : "NotReady";
}

std::string StateName(v1::ContainerState state) {
  switch (state) {
    case v1::CONTAINER_CREATED:
      return "Created";
    case v1::CONTAINER_RUNNING:
      return "Running";
    case v1::CONTAINER_EXITED:
      return "Exited";
    default:
      return "Unknown";
  }
}

}  // namespace serai::cli
