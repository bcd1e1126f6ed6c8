// SPDX-License-Identifier: Apache-2.0
// ContainerManager's UpdateContainerResources.
#include "cri/bundle/bundle.h"
#include "cri/cgroup/place.h"
#include "cri/container/container_manager.h"
#include "cri/container/resources.h"
#include "lib/base/file.h"
#include "lib/guest/node_targets.h"
#include "lib/oci/runtime_spec.h"
#include "spdlog/spdlog.h"

namespace serai::cri {

absl::Status ContainerManager::UpdateResources(
    const std::string& id,
    const runtime::v1::LinuxContainerResources& resources) {
  ASSIGN_OR_RETURN(const Found found, Find(id));
  const auto& [pod, container] = found;
  absl::MutexLock lock(&pod->operation);
  // It may have been removed while we waited.
  RETURN_IF_ERROR(store_.FindContainer(container->id).status());
  const ContainerRecord before = container->record.Get();
  ContainerRecord after = before;
  MergeResources(resources,
                 *after.mutable_config()->mutable_linux()->mutable_resources());
  const PodRecord pod_record = pod->record.Get();
  const auto apply = [&](const ContainerRecord& record) {
    switch (PhaseOf(before)) {
      case ContainerPhase::kCreated:
        return Rebundle(pod_record, record);
      case ContainerPhase::kRunning:
        return Limit(pod_record, record);
      case ContainerPhase::kExited:
        break;
    }
    return absl::OkStatus();
  };
  absl::Status status = apply(after);
  if (status.ok()) {
    status = container->record.Change([&](ContainerRecord& r) {
      *r.mutable_config()->mutable_linux()->mutable_resources() =
          after.config().linux().resources();
    });
    if (status.ok()) return status;
  }
  // All or nothing.
  const absl::Status undone = apply(before);
  if (!undone.ok()) {
    spdlog::error("container {}: putting its limits back: {}", container->id,
                  std::string(undone.message()));
  }
  return status;
}

// One that has not started yet gets all of it, its guest's memory too.
absl::Status ContainerManager::Rebundle(const PodRecord& pod,
                                        const ContainerRecord& record) const {
  ASSIGN_OR_RETURN(oci::RuntimeSpec spec, ReadBundle(record.bundle()));
  ASSIGN_OR_RETURN(const HandlerConfig* const handler,
                   FindHandler(config_, pod.handler()));
  RETURN_IF_ERROR(Resize(record, *handler, guest::ProbeNode(), spec));
  return WriteFileAtomic(JoinPath(record.bundle(), "config.json"),
                         oci::ToJson(spec), 0600, Durability::kProcess);
}

absl::Status ContainerManager::Limit(const PodRecord& pod,
                                     const ContainerRecord& record) const {
  ASSIGN_OR_RETURN(const oci::RuntimeSpec spec, ReadBundle(record.bundle()));
  ASSIGN_OR_RETURN(const HandlerConfig* const handler,
                   FindHandler(config_, pod.handler()));
  ASSIGN_OR_RETURN(const host::CgroupLimits limits,
                   RunningLimits(record.config().linux().resources(),
                                 spec.guest_memory.value_or(0), *handler));
  ASSIGN_OR_RETURN(const host::Cgroup cgroup,
                   host::Cgroup::Open(cgroups_, record.cgroup()));
  ASSIGN_OR_RETURN(const std::vector<std::string> not_applied,
                   cgroup.SetLimits(limits));
  for (const std::string& sentence : not_applied) {
    spdlog::warn("container {}: {}", record.id(), sentence);
  }
  return TellSystemd(cgroups_, record.cgroup(), limits);
}

}  // namespace serai::cri
