// SPDX-License-Identifier: Apache-2.0
#pragma once

// What pods and containers use, read from the kernel when it is asked for
// (ContainerStats, PodSandboxStats of the CRI). Any thread.

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "cri/state/store.h"
#include "lib/base/status.h"
#include "lib/host/cgroup.h"
#include "lib/host/link_counters.h"
#include "proto/cri/metrics.pb.h"
#include "proto/cri/stats.pb.h"

namespace serai::cri {

class StatsReader {
 public:
  // `cgroups` and `store` must outlive the reader. `root` is the directory on
  // whose file system images are.
  StatsReader(const host::CgroupHierarchy& cgroups, const Store& store,
              std::string root)
      : cgroups_(cgroups), store_(store), root_(std::move(root)) {}

  // NOT_FOUND for a container that does not run: it uses nothing.
  absl::StatusOr<runtime::v1::ContainerStats> OfContainer(
      Container& container) const;

  // With those of its running containers. FAILED_PRECONDITION when the pod is
  // stopped; NOT_FOUND when it is being stopped.
  absl::StatusOr<runtime::v1::PodSandboxStats> OfPod(Pod& pod) const;

  // The same as cAdvisor's metrics, with those of its running containers.
  // Errors as OfPod().
  absl::StatusOr<runtime::v1::PodSandboxMetrics> MetricsOf(
      const Pod& pod) const;

 private:
  // Of an interface's tap: what it sent, the guest received.
  struct InterfaceCounters {
    std::string interface;
    host::LinkCounters tap;
  };
  absl::StatusOr<std::vector<InterfaceCounters>> CountersOf(
      const PodRecord& record) const;

  using Containers = std::vector<std::shared_ptr<Container>>;

  // The cgroups that are the pod together: the one that holds all of it where
  // it has one to itself, else the sandbox's and the running containers'.
  absl::StatusOr<std::vector<host::Cgroup>> PodGroups(
      const PodRecord& record, const Containers& containers) const;
  absl::Status AddPodUsage(Pod& pod, const PodRecord& record,
                           const Containers& containers,
                           runtime::v1::LinuxPodSandboxStats& out) const;

  const host::CgroupHierarchy& cgroups_;
  const Store& store_;
  const std::string root_;
};

}  // namespace serai::cri
