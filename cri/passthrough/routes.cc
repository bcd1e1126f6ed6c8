// SPDX-License-Identifier: Apache-2.0
#include "cri/passthrough/routes.h"

#include <algorithm>

#include "absl/strings/match.h"
#include "absl/strings/strip.h"
#include "absl/types/span.h"
#include "cri/passthrough/field_reader.h"

namespace serai::cri {
namespace {

constexpr absl::string_view kRuntimeService = "/runtime.v1.RuntimeService/";
// What is of our own making is ours to answer.
constexpr absl::string_view kOwnPackages = "/serai.";

constexpr FieldPath kNone = {};
constexpr FieldPath kFirst = {1, 0};

// Methods of runtime.v1.RuntimeService (CRI v1 up to 0.37), by name.
constexpr Rule kRules[] = {
    {"Attach", Kind::kOwner, kNone, kFirst, kNone},
    {"CheckpointContainer", Kind::kOwner, kNone, kFirst, kNone},
    {"CheckpointPod", Kind::kOwner, kFirst, kNone, kNone},
    {"ContainerStats", Kind::kOwner, kNone, kFirst, kNone},
    {"ContainerStatus", Kind::kOwner, kNone, kFirst, kNone},
    {"CreateContainer", Kind::kOwner, kFirst, kNone, kNone},
    {"Exec", Kind::kOwner, kNone, kFirst, kNone},
    {"ExecSync", Kind::kOwner, kNone, kFirst, kNone},
    {"GetContainerEvents", Kind::kEvents, kNone, kNone, kNone},
    {"ListContainerStats", Kind::kList, {1, 2}, {1, 1}, kNone},
    {"ListContainers", Kind::kList, {1, 3}, {1, 1}, kNone},
    {"ListMetricDescriptors", Kind::kDescriptors, kNone, kNone, kNone},
    {"ListPodSandbox", Kind::kList, {1, 1}, kNone, kNone},
    {"ListPodSandboxMetrics", Kind::kMetrics, kNone, kNone, kNone},
    {"ListPodSandboxStats", Kind::kList, {1, 1}, kNone, kNone},
    {"PodSandboxStats", Kind::kOwner, kFirst, kNone, kNone},
    {"PodSandboxStatus", Kind::kOwner, kFirst, kNone, kNone},
    {"PortForward", Kind::kOwner, kFirst, kNone, kNone},
    {"RemoveContainer", Kind::kOwner, kNone, kFirst, kNone},
    {"RemovePodSandbox", Kind::kOwner, kFirst, kNone, kNone},
    {"ReopenContainerLog", Kind::kOwner, kNone, kFirst, kNone},
    {"RestorePod", Kind::kOwner, kNone, kNone, {3, 0}},
    {"RunPodSandbox", Kind::kOwner, kNone, kNone, {2, 0}},
    {"RuntimeConfig", Kind::kRuntimeConfig, kNone, kNone, kNone},
    {"StartContainer", Kind::kOwner, kNone, kFirst, kNone},
    {"Status", Kind::kStatus, kNone, kNone, kNone},
    {"StopContainer", Kind::kOwner, kNone, kFirst, kNone},
    {"StopPodSandbox", Kind::kOwner, kFirst, kNone, kNone},
    {"StreamContainerStats", Kind::kStreamedList, {1, 2}, {1, 1}, kNone},
    {"StreamContainers", Kind::kStreamedList, {1, 3}, {1, 1}, kNone},
    {"StreamPodSandboxMetrics", Kind::kStreamedList, kNone, kNone, kNone},
    {"StreamPodSandboxStats", Kind::kStreamedList, {1, 1}, kNone, kNone},
    {"StreamPodSandboxes", Kind::kStreamedList, {1, 1}, kNone, kNone},
    {"UpdateContainerResources", Kind::kOwner, kNone, kFirst, kNone},
    {"UpdatePodSandboxResources", Kind::kOwner, kFirst, kNone, kNone},
    {"UpdateRuntimeConfig", Kind::kUpdate, kNone, kNone, kNone},
    {"Version", Kind::kLocal, kNone, kNone, kNone},
};

// Empty also when the rule has no such field.
absl::StatusOr<absl::string_view> Find(absl::string_view request,
                                       const FieldPath& path) {
  if (path[0] == 0) return absl::string_view();
  return FindString(request,
                    absl::MakeSpan(path).subspan(0, path[1] == 0 ? 1 : 2));
}

}  // namespace

Rule RuleOf(absl::string_view method) {
  if (absl::StartsWith(method, kOwnPackages)) return {method, Kind::kLocal};
  absl::string_view name = method;
  if (!absl::ConsumePrefix(&name, kRuntimeService)) return {method};
  const Rule* const rule =
      std::find_if(std::begin(kRules), std::end(kRules),
                   [&](const Rule& r) { return r.method == name; });
  return rule == std::end(kRules) ? Rule{method} : *rule;
}

absl::StatusOr<Target> TargetOf(const Rule& rule, absl::string_view request,
                                const Ours& ours) {
  if (rule.kind == Kind::kContainerd) return Target::kContainerd;
  if (rule.kind == Kind::kLocal) return Target::kLocal;
  ASSIGN_OR_RETURN(const auto pod, Find(request, rule.pod));
  ASSIGN_OR_RETURN(const auto container, Find(request, rule.container));
  if (rule.kind == Kind::kOwner) {
    ASSIGN_OR_RETURN(const auto handler, Find(request, rule.handler));
    // Of the three, a rule has one.
    const bool is_ours = ours.HasPod(pod) || ours.HasContainer(container) ||
                         ours.HasHandler(handler);
    return is_ours ? Target::kLocal : Target::kContainerd;
  }
  const bool only_ours = ours.IsPod(pod) || ours.IsContainer(container);
  return only_ours ? Target::kLocal : Target::kBoth;
}

}  // namespace serai::cri
