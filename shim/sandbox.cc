// SPDX-License-Identifier: Apache-2.0
#include "shim/sandbox.h"

#include <fcntl.h>
#include <sched.h>
#include <unistd.h>

#include <cerrno>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "lib/base/file.h"
#include "lib/host/netns.h"

namespace serai::shim {
namespace {

constexpr size_t kMaxMembership = 64 * 1024;

// The directories of the cgroups that this process is in.
absl::StatusOr<std::vector<std::string>> OwnCgroups(
    const host::CgroupHierarchy& hierarchy) {
  ASSIGN_OR_RETURN(const std::string text,
                   ReadFile("/proc/self/cgroup", kMaxMembership));
  std::vector<std::string> directories;
  for (const absl::string_view line : absl::StrSplit(text, '\n')) {
    // NUMBER:CONTROLLERS:PATH, without controllers for v2's tree
    const std::vector<std::string> parts =
        absl::StrSplit(line, absl::MaxSplits(':', 2));
    if (parts.size() != 3 || parts[1].empty() != hierarchy.is_v2()) continue;
    const std::vector<std::string> controllers = absl::StrSplit(parts[1], ',');
    const std::string root = hierarchy.RootOf(controllers.front());
    if (!root.empty()) directories.push_back(JoinPath(root, parts[2]));
  }
  return directories;
}

absl::Status MoveTo(const std::string& directory) {
  return WriteControlFile(JoinPath(directory, "cgroup.procs"),
                          absl::StrCat(::getpid()));
}

}  // namespace

absl::StatusOr<std::unique_ptr<Sandbox>> Sandbox::Enter(
    const std::string& netns, const std::string& cgroup) {
  std::unique_ptr<Sandbox> sandbox(new Sandbox());
  RETURN_IF_ERROR(sandbox->EnterNetns(netns), "the pod's network namespace");
  const absl::Status entered = sandbox->EnterCgroup(cgroup);
  if (entered.ok()) return sandbox;
  return Annotate(FirstError(entered, sandbox->Leave()),
                  absl::StrCat("the sandbox's cgroup ", cgroup));
}

absl::Status Sandbox::EnterNetns(const std::string& path) {
  if (path.empty()) return absl::OkStatus();
  ASSIGN_OR_RETURN(const UniqueFd netns, host::OpenNetns(path));
  ASSIGN_OR_RETURN(own_netns_, OpenFile("/proc/self/ns/net", O_RDONLY));
  if (::setns(netns.get(), CLONE_NEWNET) == 0) return absl::OkStatus();
  const int error = errno;
  own_netns_.reset();
  return ErrnoStatus(error, "setns");
}

absl::Status Sandbox::EnterCgroup(const std::string& path) {
  if (path.empty()) return absl::OkStatus();
  ASSIGN_OR_RETURN(hierarchy_, host::CgroupHierarchy::Detect());
  ASSIGN_OR_RETURN(own_cgroups_, OwnCgroups(*hierarchy_));
  ASSIGN_OR_RETURN(cgroup_, host::Cgroup::Create(*hierarchy_, path));
  return cgroup_->AddProcess(::getpid());
}

absl::Status Sandbox::Leave() {
  return FirstError(LeaveNetns(), LeaveCgroup());
}

absl::Status Sandbox::LeaveNetns() {
  if (!own_netns_.valid()) return absl::OkStatus();
  if (::setns(own_netns_.get(), CLONE_NEWNET) != 0) {
    return ErrnoStatus(errno, "leaving the pod's network namespace");
  }
  own_netns_.reset();
  return absl::OkStatus();
}

absl::Status Sandbox::LeaveCgroup() {
  if (!cgroup_) return absl::OkStatus();
  for (const std::string& directory : own_cgroups_) {
    if (MoveTo(directory).ok()) continue;
    // It may be gone by now; the root is always there.
    for (const std::string& root : hierarchy_->Roots()) {
      if (directory.compare(0, root.size(), root) == 0) {
        RETURN_IF_ERROR(MoveTo(root), "leaving cgroup ", cgroup_->path());
      }
    }
  }
  RETURN_IF_ERROR(cgroup_->Remove());
  RETURN_IF_ERROR(host::RemoveMade(cgroup_->made()));
  cgroup_.reset();
  return absl::OkStatus();
}

}  // namespace serai::shim
