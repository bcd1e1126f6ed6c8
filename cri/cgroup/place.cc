// SPDX-License-Identifier: Apache-2.0
#include "cri/cgroup/place.h"

#include "absl/strings/match.h"
#include "absl/strings/strip.h"
#include "lib/base/file.h"
#include "lib/host/systemd_scope.h"

namespace serai::cri {
namespace {

constexpr absl::string_view kScope = ".scope";
constexpr absl::string_view kSlice = ".slice";
constexpr absl::string_view kPrefix = "serai-";

absl::string_view LastPart(absl::string_view path) {
  return path.substr(path.find_last_of('/') + 1);
}

absl::string_view Directory(absl::string_view path) {
  return path.substr(0, path.find_last_of('/'));
}

std::string ScopeName(absl::string_view id) {
  return absl::StrCat(kPrefix, id, kScope);
}

// "/serai", the default for both drivers, stands for "serai.slice".
std::string DefaultSlice(const Config::Cgroup& config) {
  const absl::string_view name = LastPart(config.parent);
  return absl::EndsWith(name, kSlice) ? std::string(name)
                                      : absl::StrCat(name, kSlice);
}

absl::Status WrongParent(absl::string_view parent, absl::string_view what,
                         absl::string_view driver) {
  return absl::InvalidArgumentError(
      absl::StrCat("cgroup parent \"", parent, "\" is no ", what, ": seraid's ",
                   "[cgroup] driver is \"", driver,
                   "\", and kubelet's (and containerd's) must be the same"));
}

}  // namespace

absl::StatusOr<std::string> CgroupPath(const Config::Cgroup& config,
                                       const std::string& parent,
                                       const std::string& id) {
  if (!config.by_systemd()) {
    if (parent.empty()) return JoinPath(config.parent, id);
    if (absl::StartsWith(parent, "/")) return JoinPath(parent, id);
    return WrongParent(parent, "path", "cgroupfs");
  }
  const std::string slice =
      parent.empty() ? DefaultSlice(config) : std::string(LastPart(parent));
  if (!absl::EndsWith(slice, kSlice)) {
    return WrongParent(parent, "slice", "systemd");
  }
  ASSIGN_OR_RETURN(const std::string path, host::SlicePath(slice));
  return JoinPath(path, ScopeName(id));
}

std::string CgroupBeside(const std::string& path, const std::string& id) {
  return JoinPath(std::string(Directory(path)),
                  IsScope(path) ? ScopeName(id) : id);
}

bool IsScope(absl::string_view path) { return absl::EndsWith(path, kScope); }

std::string CgroupsPathOf(const std::string& path) {
  if (!IsScope(path)) return path;
  const absl::string_view name =
      absl::StripPrefix(absl::StripSuffix(LastPart(path), kScope), kPrefix);
  const absl::string_view slice = LastPart(Directory(path));
  return absl::StrCat(slice.empty() ? "-.slice" : slice, ":",
                      absl::StripSuffix(kPrefix, "-"), ":", name);
}

absl::Status SpreadScope(const host::Cgroup& cgroup) {
  ASSIGN_OR_RETURN(const std::vector<pid_t> pids, cgroup.Processes());
  for (const pid_t pid : pids) RETURN_IF_ERROR(cgroup.AddProcess(pid));
  return absl::OkStatus();
}

absl::Status TellSystemd(const host::CgroupHierarchy& hierarchy,
                         const std::string& path,
                         const host::CgroupLimits& limits) {
  if (!IsScope(path)) return absl::OkStatus();
  return host::SystemdScopes(hierarchy.is_v2())
      .SetLimits(std::string(LastPart(path)), limits);
}

absl::Status DestroyCgroupAt(const host::CgroupHierarchy& hierarchy,
                             const std::string& path,
                             const std::vector<std::string>& made) {
  ASSIGN_OR_RETURN(const host::Cgroup cgroup,
                   host::Cgroup::Open(hierarchy, path));
  absl::Status status = cgroup.KillAll();
  if (IsScope(path)) {
    status = FirstError(status, host::SystemdScopes(hierarchy.is_v2())
                                    .Stop(std::string(LastPart(path))));
  }
  // A shim that a killed seraid was starting may just have come into it.
  status = FirstError(status, cgroup.Destroy());
  return FirstError(status, host::RemoveMade(made));
}

}  // namespace serai::cri
