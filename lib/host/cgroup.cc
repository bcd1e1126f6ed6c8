// SPDX-License-Identifier: Apache-2.0
#include "lib/host/cgroup.h"

#include <fcntl.h>
#include <linux/magic.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <climits>
#include <csignal>
#include <cstdlib>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "lib/base/deadline.h"
#include "lib/base/file.h"
#include "lib/host/pidfd.h"

namespace serai::host {
namespace {

constexpr const char* kV1Controllers[] = {"memory", "cpu",  "cpuacct",
                                          "cpuset", "pids", "freezer"};
constexpr absl::string_view kV2Controllers[] = {"cpu", "cpuset", "memory",
                                                "pids"};
constexpr size_t kControlFileMaxBytes = 64 * 1024;
constexpr size_t kProcsMaxBytes = 8 * 1024 * 1024;
constexpr absl::Duration kKillTimeout = absl::Seconds(5);
constexpr absl::Duration kRemoveTimeout = absl::Seconds(1);
constexpr int kDestroyRounds = 3;
constexpr absl::Duration kRetryPause = absl::Milliseconds(2);

bool IsMountOf(const std::string& path, uint64_t magic) {
  struct statfs fs = {};
  return ::statfs(path.c_str(), &fs) == 0 &&
         static_cast<uint64_t>(fs.f_type) == magic;
}

// "/a//b/" as "/a/b", if it is a path that may name a cgroup of ours.
absl::StatusOr<std::string> CheckedPath(const std::string& path) {
  const std::vector<std::string> parts =
      absl::StrSplit(path, '/', absl::SkipEmpty());
  const bool odd =
      std::any_of(parts.begin(), parts.end(), [](const std::string& part) {
        return part == "." || part == ".." || part.size() > NAME_MAX ||
               part.find('\0') != std::string::npos;
      });
  if (!absl::StartsWith(path, "/") || parts.empty() || odd ||
      path.size() >= PATH_MAX) {
    return absl::InvalidArgumentError(
        absl::StrCat("\"", path, "\" can't be the path of a cgroup"));
  }
  return absl::StrCat("/", absl::StrJoin(parts, "/"));
}

// A v1 cpuset takes no process before its CPUs and memory nodes are set, and a
// new one has none. Done for what is there as well: its maker may be about to.
absl::Status InheritCpuset(const std::string& parent, const std::string& dir) {
  for (const char* file : {"cpuset.cpus", "cpuset.mems"}) {
    ASSIGN_OR_RETURN(const std::string own,
                     ReadFile(JoinPath(dir, file), kControlFileMaxBytes));
    if (!absl::StripAsciiWhitespace(own).empty()) continue;
    ASSIGN_OR_RETURN(const std::string inherited,
                     ReadFile(JoinPath(parent, file), kControlFileMaxBytes));
    RETURN_IF_ERROR(WriteControlFile(JoinPath(dir, file),
                                     absl::StripAsciiWhitespace(inherited)));
  }
  return absl::OkStatus();
}

// Turns on what `dir` has of our controllers for its children. What can't be
// turned on shows when a limit needs it.
void EnableControllers(const std::string& dir) {
  const auto available =
      ReadFile(JoinPath(dir, "cgroup.controllers"), kControlFileMaxBytes);
  const std::string control = JoinPath(dir, "cgroup.subtree_control");
  const auto enabled = ReadFile(control, kControlFileMaxBytes);
  if (!available.ok() || !enabled.ok()) return;
  const auto names = [](const std::string& list) {
    return std::vector<std::string>(
        absl::StrSplit(list, absl::ByAnyChar(" \n"), absl::SkipEmpty()));
  };
  const std::vector<std::string> here = names(*available);
  const std::vector<std::string> on = names(*enabled);
  std::vector<std::string> wanted;
  for (const absl::string_view controller : kV2Controllers) {
    if (std::count(here.begin(), here.end(), controller) != 0 &&
        std::count(on.begin(), on.end(), controller) == 0) {
      wanted.push_back(absl::StrCat("+", controller));
    }
  }
  // All in one write, since one alone may be refused only for its own sake.
  if (wanted.empty() ||
      WriteControlFile(control, absl::StrJoin(wanted, " ")).ok()) {
    return;
  }
  for (const std::string& one : wanted) {
    WriteControlFile(control, one).IgnoreError();
  }
}

struct Tree {
  std::string root;
  bool is_v2;
  bool is_cpuset;  // v1
};

// Makes `path` below the tree's root, part by part; each directory made is
// added to `made`.
absl::Status MakeInTree(const Tree& tree, const std::string& path,
                        std::vector<std::string>& made) {
  std::string dir = tree.root;
  for (const absl::string_view part :
       absl::StrSplit(path, '/', absl::SkipEmpty())) {
    const std::string parent = dir;
    dir = JoinPath(parent, absl::string_view(part.data(), part.size()));
    if (tree.is_v2) EnableControllers(parent);
    if (::mkdir(dir.c_str(), 0755) == 0) {
      made.push_back(dir);
    } else if (errno != EEXIST) {
      return ErrnoStatus(errno, absl::StrCat("mkdir ", dir));
    }
    if (tree.is_cpuset) RETURN_IF_ERROR(InheritCpuset(parent, dir));
  }
  return absl::OkStatus();
}

absl::StatusOr<std::vector<std::string>> ChildDirs(const std::string& dir) {
  std::vector<std::string> children;
  absl::StatusOr<std::vector<std::string>> names = ListDir(dir);
  if (absl::IsNotFound(names.status())) return children;
  RETURN_IF_ERROR(names.status());
  for (const std::string& name : *names) {
    std::string path = JoinPath(dir, name);
    struct stat st = {};
    if (::lstat(path.c_str(), &st) == 0 && S_ISDIR(st.st_mode)) {
      children.push_back(std::move(path));
    }
  }
  return children;
}

absl::Status CollectProcesses(const std::string& dir,
                              std::vector<pid_t>& pids) {
  absl::StatusOr<std::string> list =
      ReadFile(JoinPath(dir, "cgroup.procs"), kProcsMaxBytes);
  if (absl::IsNotFound(list.status())) return absl::OkStatus();
  RETURN_IF_ERROR(list.status());
  for (const absl::string_view line :
       absl::StrSplit(*list, '\n', absl::SkipEmpty())) {
    pid_t pid = 0;
    // 0 stands for a process of an outer pid namespace: not ours to touch.
    if (absl::SimpleAtoi(line, &pid) && pid > 0) pids.push_back(pid);
  }
  ASSIGN_OR_RETURN(const auto children, ChildDirs(dir));
  for (const std::string& child : children) {
    RETURN_IF_ERROR(CollectProcesses(child, pids));
  }
  return absl::OkStatus();
}

// Removes the cgroup in `dir` and those below it. A process that ends leaves
// its cgroup a little after it is reaped: hence the patience.
absl::Status RemoveDir(const std::string& dir, const Deadline& deadline) {
  for (;;) {
    if (::rmdir(dir.c_str()) == 0 || errno == ENOENT) return absl::OkStatus();
    const int error = errno;
    if (error != EBUSY && error != ENOTEMPTY) {
      return ErrnoStatus(error, absl::StrCat("rmdir ", dir));
    }
    ASSIGN_OR_RETURN(const auto children, ChildDirs(dir));
    for (const std::string& child : children) {
      RETURN_IF_ERROR(RemoveDir(child, deadline));
    }
    if (!children.empty()) continue;
    if (deadline.Passed()) {
      return ErrnoStatus(EBUSY, absl::StrCat("rmdir ", dir));
    }
    absl::SleepFor(kRetryPause);
  }
}

}  // namespace

absl::StatusOr<CgroupHierarchy> CgroupHierarchy::Detect(
    const std::string& root) {
  if (IsMountOf(root, CGROUP2_SUPER_MAGIC)) return V2(root);
  std::map<std::string, std::string> controllers;
  for (const char* controller : kV1Controllers) {
    const std::string mount = JoinPath(root, controller);
    if (!IsMountOf(mount, CGROUP_SUPER_MAGIC)) continue;
    // "cpu" is often a link to the mount of "cpu,cpuacct".
    char* real = ::realpath(mount.c_str(), nullptr);
    if (real == nullptr) {
      return ErrnoStatus(errno, absl::StrCat("realpath ", mount));
    }
    controllers[controller] = real;
    std::free(real);
  }
  if (controllers.empty()) {
    return absl::NotFoundError(
        absl::StrCat("no cgroup controllers are mounted at ", root));
  }
  return V1(std::move(controllers));
}

CgroupHierarchy CgroupHierarchy::V2(std::string root) {
  CgroupHierarchy hierarchy;
  hierarchy.is_v2_ = true;
  hierarchy.roots_[""] = std::move(root);
  return hierarchy;
}

CgroupHierarchy CgroupHierarchy::V1(
    std::map<std::string, std::string> controllers) {
  CgroupHierarchy hierarchy;
  hierarchy.roots_ = std::move(controllers);
  return hierarchy;
}

std::string CgroupHierarchy::RootOf(const std::string& controller) const {
  const auto found = roots_.find(is_v2_ ? std::string() : controller);
  return found == roots_.end() ? std::string() : found->second;
}

std::vector<std::string> CgroupHierarchy::Controllers() const {
  std::vector<std::string> controllers;
  for (const auto& [controller, root] : roots_) {
    controllers.push_back(controller);
  }
  return controllers;
}

std::vector<std::string> CgroupHierarchy::Roots() const {
  std::vector<std::string> roots;
  for (const auto& [controller, root] : roots_) roots.push_back(root);
  std::sort(roots.begin(), roots.end());
  roots.erase(std::unique(roots.begin(), roots.end()), roots.end());
  return roots;
}

absl::StatusOr<Cgroup> Cgroup::Open(const CgroupHierarchy& hierarchy,
                                    const std::string& path) {
  ASSIGN_OR_RETURN(std::string checked, CheckedPath(path));
  return Cgroup(hierarchy, std::move(checked));
}

absl::StatusOr<Cgroup> Cgroup::Create(const CgroupHierarchy& hierarchy,
                                      const std::string& path) {
  ASSIGN_OR_RETURN(Cgroup cgroup, Open(hierarchy, path));
  absl::Cleanup undo = [&cgroup] { RemoveMade(cgroup.made_).IgnoreError(); };
  const std::string cpuset_root =
      hierarchy.is_v2() ? std::string() : hierarchy.RootOf("cpuset");
  for (const std::string& root : hierarchy.Roots()) {
    const Tree tree{root, hierarchy.is_v2(), root == cpuset_root};
    RETURN_IF_ERROR(MakeInTree(tree, cgroup.path_, cgroup.made_),
                    "making cgroup ", cgroup.path_);
  }
  std::move(undo).Cancel();
  return cgroup;
}

std::vector<std::string> Cgroup::Missing() const {
  std::vector<std::string> missing;
  for (const std::string& root : hierarchy_.Roots()) {
    std::string dir = root;
    for (const absl::string_view part :
         absl::StrSplit(path_, '/', absl::SkipEmpty())) {
      dir = JoinPath(dir, absl::string_view(part.data(), part.size()));
      if (!PathExists(dir)) missing.push_back(dir);
    }
  }
  return missing;
}

std::string Cgroup::DirOf(const std::string& controller) const {
  const std::string root = hierarchy_.RootOf(controller);
  return root.empty() ? root : JoinPath(root, path_);
}

std::vector<std::string> Cgroup::Dirs() const {
  std::vector<std::string> dirs;
  for (const std::string& root : hierarchy_.Roots()) {
    std::string dir = JoinPath(root, path_);
    if (PathExists(dir)) dirs.push_back(std::move(dir));
  }
  return dirs;
}

absl::StatusOr<Cgroup> Cgroup::Parent() const {
  const size_t slash = path_.rfind('/');
  if (slash != 0) return Cgroup(hierarchy_, path_.substr(0, slash));
  return absl::NotFoundError(absl::StrCat(path_, " is below the root"));
}

bool Cgroup::Exists() const { return !Dirs().empty(); }

absl::Status Cgroup::AddProcess(pid_t pid) const {
  for (const std::string& root : hierarchy_.Roots()) {
    RETURN_IF_ERROR(
        WriteControlFile(JoinPath(JoinPath(root, path_), "cgroup.procs"),
                         absl::StrCat(pid)),
        "moving process ", pid, " into cgroup ", path_);
  }
  return absl::OkStatus();
}

absl::StatusOr<UniqueFd> Cgroup::OpenDirectory() const {
  if (!hierarchy_.is_v2()) {
    return absl::FailedPreconditionError(absl::StrCat(
        "cgroup ", path_, " is of v1: it has several directories"));
  }
  return OpenFile(DirOf(""), O_RDONLY | O_DIRECTORY);
}

absl::StatusOr<std::vector<pid_t>> Cgroup::Processes() const {
  std::vector<pid_t> pids;
  for (const std::string& dir : Dirs()) {
    RETURN_IF_ERROR(CollectProcesses(dir, pids));
  }
  std::sort(pids.begin(), pids.end());
  pids.erase(std::unique(pids.begin(), pids.end()), pids.end());
  return pids;
}

absl::Status Cgroup::KillAll() const {
  if (hierarchy_.is_v2()) {
    // Since Linux 5.14; without it, as on v1.
    WriteControlFile(JoinPath(DirOf(""), "cgroup.kill"), "1").IgnoreError();
  } else if (const std::string dir = DirOf("freezer"); !dir.empty()) {
    // v1's frozen processes do not take the signal.
    WriteControlFile(JoinPath(dir, "freezer.state"), "THAWED").IgnoreError();
  }
  const Deadline deadline(kKillTimeout);
  for (;;) {
    ASSIGN_OR_RETURN(const std::vector<pid_t> seen, Processes());
    if (seen.empty()) return absl::OkStatus();
    if (deadline.Passed()) {
      return absl::DeadlineExceededError(absl::StrCat(
          "cgroup ", path_, " has processes that SIGKILL did not end: ",
          absl::StrJoin(seen, " ")));
    }
    std::map<pid_t, Pidfd> held;
    for (const pid_t pid : seen) {
      absl::StatusOr<Pidfd> process = Pidfd::Open(pid);
      if (process.ok()) held.emplace(pid, *std::move(process));
    }
    // A pid that is listed again is that of the process now held, or that one
    // has ended: no stranger is hit.
    ASSIGN_OR_RETURN(const std::vector<pid_t> still_there, Processes());
    for (const pid_t pid : still_there) {
      const auto process = held.find(pid);
      if (process != held.end()) {
        process->second.SendSignal(SIGKILL).IgnoreError();
      }
    }
    absl::SleepFor(kRetryPause);
  }
}

absl::Status Cgroup::Remove() const {
  const Deadline deadline(kRemoveTimeout);
  absl::Status status;
  for (const std::string& dir : Dirs()) {
    status = FirstError(std::move(status), RemoveDir(dir, deadline));
  }
  return Annotate(status, absl::StrCat("removing cgroup ", path_));
}

absl::Status Cgroup::Destroy() const {
  absl::Status status;
  for (int round = 0; round < kDestroyRounds; ++round) {
    RETURN_IF_ERROR(KillAll());
    status = Remove();
    if (status.ok()) return status;
  }
  return status;
}

absl::StatusOr<std::string> SlicePath(absl::string_view slice) {
  absl::string_view name = slice;
  if (name == "-.slice") return "/";
  const bool is_slice = absl::ConsumeSuffix(&name, ".slice");
  if (!is_slice || name.empty() || name.size() > NAME_MAX ||
      absl::StrContains(name, '/') || absl::StartsWith(name, "-") ||
      absl::EndsWith(name, "-") || absl::StrContains(name, "--")) {
    return absl::InvalidArgumentError(
        absl::StrCat("\"", slice, "\" is not the name of a systemd slice"));
  }
  std::string path;
  std::string prefix;
  for (const absl::string_view part : absl::StrSplit(name, '-')) {
    absl::StrAppend(&prefix, prefix.empty() ? "" : "-", part);
    absl::StrAppend(&path, "/", prefix, ".slice");
  }
  return path;
}

absl::Status RemoveMade(const std::vector<std::string>& made) {
  absl::Status status;
  // NOLINTNEXTLINE(modernize-loop-convert): there is no view to reverse with.
  for (auto dir = made.rbegin(); dir != made.rend(); ++dir) {
    if (::rmdir(dir->c_str()) == 0 || errno == ENOENT || errno == EBUSY ||
        errno == ENOTEMPTY) {
      continue;
    }
    status = FirstError(std::move(status),
                        ErrnoStatus(errno, absl::StrCat("rmdir ", *dir)));
  }
  return status;
}

}  // namespace serai::host
