// SPDX-License-Identifier: Apache-2.0
#pragma once

// The cgroup of a task, by its specification's linux.cgroupsPath: a path, whose
// cgroup is made here (the cgroupfs driver), or "SLICE:PREFIX:NAME", which
// systemd makes as the scope PREFIX-NAME.scope (the systemd driver;
// docs/adr/0011-systemd-by-busctl.md). Alike on cgroup v1 and v2. Used by the
// shim's loop only.

#include <sys/types.h>

#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/string_view.h"
#include "lib/base/event_loop.h"
#include "lib/base/status.h"
#include "lib/host/cgroup.h"
#include "lib/oci/runtime_spec.h"

namespace serai::shim {

// Where a cgroup is to be.
struct CgroupPlace {
  std::string path;   // "/kubepods/podX/ID"
  std::string scope;  // systemd's unit; empty: it is ours to make
  std::string slice;  // of the scope
};

// A relative path is taken from the root. INVALID_ARGUMENT for what is neither
// a path nor names a slice and a scope.
absl::StatusOr<CgroupPlace> ParseCgroupsPath(absl::string_view cgroups_path);

// What a cgroup is told of a specification's resources.
host::CgroupLimits LimitsOf(const oci::Resources& resources);

class TaskCgroup {
 public:
  using OnDone = std::function<void(const absl::Status&)>;

  // What `shim delete` needs when the shim has died.
  struct Record {
    std::string path;
    std::vector<std::string> made;  // directories, parents first
    std::string scope;              // empty: none
  };

  // Makes the cgroup with its limits; one of systemd's only with its first
  // process, by Admit(). `loop` outlives it.
  static absl::StatusOr<std::unique_ptr<TaskCgroup>> Make(
      EventLoop& loop, const std::string& cgroups_path,
      const host::CgroupLimits& limits);
  // Leaves the cgroup: Remove() removes it.
  ~TaskCgroup() = default;
  TaskCgroup(const TaskCgroup&) = delete;
  TaskCgroup& operator=(const TaskCgroup&) = delete;

  // Whether a process comes into the cgroup by Admit() only. Where not, it is
  // there for a child to be born in, or to join by itself.
  bool needs_admission() const { return !place_.scope.empty(); }

  // Moves the process there, and calls `done`: at once, or, when it is
  // systemd's to do, some time later from the loop. On failure the process has
  // to be ended, and the cgroup removed. The record may be another then.
  void Admit(pid_t pid, OnDone done);

  // Sets limits: those that are set in `limits`. On failure some may be set.
  void Update(const host::CgroupLimits& limits, OnDone done);

  // Removes the cgroup, which has no process any more. One of systemd's may go
  // a little later.
  absl::Status Remove();

  const host::Cgroup& cgroup() const { return cgroup_; }
  Record record() const { return {cgroup_.path(), made_, place_.scope}; }

  // What is left of a task whose shim has died: ends what is still in it, and
  // waits for that.
  static absl::Status RemoveRecorded(const Record& record);

 private:
  TaskCgroup(EventLoop& loop, host::CgroupHierarchy hierarchy,
             CgroupPlace place, host::Cgroup cgroup)
      : loop_(loop),
        hierarchy_(std::move(hierarchy)),
        place_(std::move(place)),
        cgroup_(std::move(cgroup)) {}

  absl::Status TakeAdmission(const absl::StatusOr<std::string>& answer);

  EventLoop& loop_;
  const host::CgroupHierarchy hierarchy_;
  const CgroupPlace place_;
  host::Cgroup cgroup_;
  host::CgroupLimits limits_;
  std::vector<std::string> made_;
  // What a child's answer asks whether this object is still there.
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace serai::shim
