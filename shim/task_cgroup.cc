// SPDX-License-Identifier: Apache-2.0
#include "shim/task_cgroup.h"

#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "lib/base/file.h"
#include "lib/host/systemd_scope.h"
#include "shim/child_call.h"
#include "shim/log.h"

namespace serai::shim {
namespace {

constexpr char kDefaultSlice[] = "system.slice";

void LogLacking(const std::vector<std::string>& lacking) {
  for (const std::string& what : lacking) LogWarning(what);
}

absl::Status SetLimits(const host::Cgroup& cgroup,
                       const host::CgroupLimits& limits) {
  ASSIGN_OR_RETURN(const auto lacking, cgroup.SetLimits(limits));
  LogLacking(lacking);
  return absl::OkStatus();
}

// What a child does to put a process into a scope, and all that it takes. The
// answer is the cgroup's path, then the directories that were made, by line.
absl::StatusOr<std::string> StartScope(const host::CgroupHierarchy& hierarchy,
                                       const host::ScopeSpec& spec) {
  const host::SystemdScopes systemd(hierarchy.is_v2());
  ASSIGN_OR_RETURN(const std::string path, systemd.Start(spec));
  // On v1 systemd does not know all controllers.
  ASSIGN_OR_RETURN(const auto cgroup, host::Cgroup::Create(hierarchy, path));
  if (!hierarchy.is_v2()) RETURN_IF_ERROR(cgroup.AddProcess(spec.pid));
  RETURN_IF_ERROR(SetLimits(cgroup, spec.limits));
  std::vector<std::string> lines = {path};
  lines.insert(lines.end(), cgroup.made().begin(), cgroup.made().end());
  return absl::StrJoin(lines, "\n");
}

absl::Status RemoveScope(const host::CgroupHierarchy& hierarchy,
                         const TaskCgroup::Record& record) {
  const absl::Status stopped =
      host::SystemdScopes(hierarchy.is_v2()).Stop(record.scope);
  ASSIGN_OR_RETURN(const auto cgroup,
                   host::Cgroup::Open(hierarchy, record.path));
  return FirstError(FirstError(stopped, cgroup.Remove()),
                    host::RemoveMade(record.made));
}

}  // namespace

absl::StatusOr<CgroupPlace> ParseCgroupsPath(absl::string_view cgroups_path) {
  CgroupPlace place;
  const std::vector<std::string> parts = absl::StrSplit(cgroups_path, ':');
  if (parts.size() != 3 || absl::StartsWith(cgroups_path, "/")) {
    place.path = absl::StartsWith(cgroups_path, "/")
                     ? std::string(cgroups_path)
                     : absl::StrCat("/", cgroups_path);
    return place;
  }
  place.slice = parts[0].empty() ? kDefaultSlice : parts[0];
  place.scope =
      absl::StrCat(parts[1], parts[1].empty() ? "" : "-", parts[2], ".scope");
  if (parts[2].empty()) {
    return absl::InvalidArgumentError(
        absl::StrCat("\"", cgroups_path, "\" names no scope"));
  }
  RETURN_IF_ERROR(host::CheckScopeName(place.scope));
  ASSIGN_OR_RETURN(const std::string slice, host::SlicePath(place.slice));
  place.path = JoinPath(slice, place.scope);
  return place;
}

host::CgroupLimits LimitsOf(const oci::Resources& resources) {
  host::CgroupLimits limits;
  limits.memory_bytes = resources.memory_limit;
  limits.cpu_quota_us = resources.cpu_quota;
  limits.cpu_period_us = resources.cpu_period;
  limits.cpu_shares = resources.cpu_shares;
  limits.cpuset_cpus = resources.cpus;
  limits.cpuset_mems = resources.mems;
  limits.pids_max = resources.pids_limit;
  return limits;
}

absl::StatusOr<std::unique_ptr<TaskCgroup>> TaskCgroup::Make(
    EventLoop& loop, const std::string& cgroups_path,
    const host::CgroupLimits& limits) {
  ASSIGN_OR_RETURN(CgroupPlace place, ParseCgroupsPath(cgroups_path));
  ASSIGN_OR_RETURN(auto hierarchy, host::CgroupHierarchy::Detect());
  const bool is_scope = !place.scope.empty();
  ASSIGN_OR_RETURN(host::Cgroup cgroup,
                   is_scope ? host::Cgroup::Open(hierarchy, place.path)
                            : host::Cgroup::Create(hierarchy, place.path));
  std::unique_ptr<TaskCgroup> made(new TaskCgroup(
      loop, std::move(hierarchy), std::move(place), std::move(cgroup)));
  made->limits_ = limits;
  made->made_ = made->cgroup_.made();
  if (is_scope) return made;
  const absl::Status limited = SetLimits(made->cgroup_, limits);
  if (limited.ok()) return made;
  return FirstError(limited, made->Remove());
}

void TaskCgroup::Admit(pid_t pid, OnDone done) {
  if (!needs_admission()) return done(cgroup_.AddProcess(pid));
  const host::ScopeSpec spec = {place_.scope, place_.slice, pid, limits_};
  const absl::Status called = CallInChild(
      loop_, [&] { return StartScope(hierarchy_, spec); },
      [this, alive = std::weak_ptr<bool>(alive_),
       done](const absl::StatusOr<std::string>& answer) {
        if (!alive.expired()) {
          done(Annotate(TakeAdmission(answer), place_.scope));
        }
      });
  if (!called.ok()) done(called);
}

absl::Status TaskCgroup::TakeAdmission(
    const absl::StatusOr<std::string>& answer) {
  RETURN_IF_ERROR(answer.status());
  std::vector<std::string> lines = absl::StrSplit(*answer, '\n');
  ASSIGN_OR_RETURN(cgroup_, host::Cgroup::Open(hierarchy_, lines.front()));
  made_.assign(lines.begin() + 1, lines.end());
  return absl::OkStatus();
}

void TaskCgroup::Update(const host::CgroupLimits& limits, OnDone done) {
  const absl::Status set = SetLimits(cgroup_, limits);
  if (!set.ok() || !needs_admission()) return done(set);
  const auto tell_systemd = [&]() -> absl::StatusOr<std::string> {
    RETURN_IF_ERROR(host::SystemdScopes(hierarchy_.is_v2())
                        .SetLimits(place_.scope, limits));
    return "";
  };
  const absl::Status called = CallInChild(
      loop_, tell_systemd, [done](const absl::StatusOr<std::string>& answer) {
        done(answer.status());
      });
  if (!called.ok()) done(called);
}

namespace {

// The task's tender is gone, and it makes no processes. Others than its own are
// those of a task with the same path, as a restored container has it: the
// last of them removes it.
absl::Status RemoveUnlessShared(const host::Cgroup& cgroup) {
  const absl::Status removed = cgroup.Remove();
  if (removed.ok()) return removed;
  const absl::StatusOr<std::vector<pid_t>> others = cgroup.Processes();
  return others.ok() && !others->empty() ? absl::OkStatus() : removed;
}

}  // namespace

absl::Status TaskCgroup::Remove() {
  if (needs_admission()) {
    return LeaveToChild(absl::StrCat("removing ", place_.scope),
                        [&] { return RemoveScope(hierarchy_, record()); });
  }
  RETURN_IF_ERROR(RemoveUnlessShared(cgroup_));
  return host::RemoveMade(made_);
}

absl::Status TaskCgroup::RemoveRecorded(const Record& record) {
  if (record.path.empty()) return absl::OkStatus();
  ASSIGN_OR_RETURN(const auto hierarchy, host::CgroupHierarchy::Detect());
  ASSIGN_OR_RETURN(const auto cgroup,
                   host::Cgroup::Open(hierarchy, record.path));
  if (!record.scope.empty()) {
    RETURN_IF_ERROR(cgroup.KillAll());
    return RemoveScope(hierarchy, record);
  }
  RETURN_IF_ERROR(RemoveUnlessShared(cgroup));
  return host::RemoveMade(record.made);
}

}  // namespace serai::shim
