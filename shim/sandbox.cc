// SPDX-License-Identifier: Apache-2.0
#include "shim/sandbox.h"

#include <fcntl.h>
#include <sched.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

#include "absl/strings/str_cat.h"
#include "lib/base/file.h"
#include "lib/host/cgroup_membership.h"
#include "lib/host/netns.h"

namespace serai::shim {
namespace {

// systemd's own trees on a machine of v1: it tells a scope's processes by them.
constexpr std::pair<const char*, const char*> kSystemdTrees[] = {
    {"name=systemd", "/sys/fs/cgroup/systemd"}, {"", "/sys/fs/cgroup/unified"}};

absl::Status MoveTo(const std::string& directory) {
  return WriteControlFile(JoinPath(directory, "cgroup.procs"),
                          absl::StrCat(::getpid()));
}

}  // namespace

absl::StatusOr<std::unique_ptr<Sandbox>> Sandbox::Enter(
    EventLoop& loop, const std::string& netns,
    const std::string& cgroups_path) {
  std::unique_ptr<Sandbox> sandbox(new Sandbox());
  RETURN_IF_ERROR(sandbox->EnterNetns(netns), "the pod's network namespace");
  const absl::Status entered = sandbox->EnterCgroup(loop, cgroups_path);
  if (entered.ok()) return sandbox;
  return Annotate(FirstError(entered, sandbox->Leave()),
                  absl::StrCat("the sandbox's cgroup ", cgroups_path));
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

absl::Status Sandbox::EnterCgroup(EventLoop& loop,
                                  const std::string& cgroups_path) {
  if (cgroups_path.empty()) return absl::OkStatus();
  RETURN_IF_ERROR(NoteOwnCgroups());
  ASSIGN_OR_RETURN(cgroup_, TaskCgroup::Make(loop, cgroups_path, {}));
  if (cgroup_->needs_admission()) return absl::OkStatus();
  return cgroup_->cgroup().AddProcess(::getpid());
}

absl::Status Sandbox::NoteOwnCgroups() {
  ASSIGN_OR_RETURN(const auto hierarchy, host::CgroupHierarchy::Detect());
  ASSIGN_OR_RETURN(const auto own, host::CgroupMembership::Of(::getpid()));
  for (const std::string& controller : hierarchy.Controllers()) {
    own_cgroups_[hierarchy.RootOf(controller)] = own.PathOf(controller);
  }
  if (hierarchy.is_v2()) return absl::OkStatus();
  for (const auto& [tree, root] : kSystemdTrees) {
    if (PathExists(JoinPath(root, "cgroup.procs"))) {
      own_cgroups_[root] = own.PathOf(tree);
    }
  }
  return absl::OkStatus();
}

void Sandbox::Admit(TaskCgroup::OnDone done) {
  if (!cgroup_ || !cgroup_->needs_admission()) return done(absl::OkStatus());
  cgroup_->Admit(::getpid(), std::move(done));
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
  for (const auto& [root, path] : own_cgroups_) {
    // It may be gone by now; the root is always there.
    if (MoveTo(JoinPath(root, path)).ok()) continue;
    RETURN_IF_ERROR(MoveTo(root), "leaving cgroup ", cgroup_->cgroup().path());
  }
  RETURN_IF_ERROR(cgroup_->Remove());
  cgroup_.reset();
  return absl::OkStatus();
}

}  // namespace serai::shim
