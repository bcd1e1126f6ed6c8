// SPDX-License-Identifier: Apache-2.0
#pragma once

// A control group, named by its path in the hierarchy ("/kubepods/podX/ID"),
// alike on cgroup v2 and on v1, where the same path is used in every controller
// we know. On a hybrid machine (a v2 tree without controllers beside v1 ones)
// v1 is used. Documentation/admin-guide/cgroup-v2.rst and cgroup-v1/ of the
// kernel say what the files mean. Any thread, each object by one at a time.

#include <sys/types.h>

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/string_view.h"
#include "lib/base/status.h"
#include "lib/base/unique_fd.h"
#include "lib/host/cgroup_files.h"

namespace serai::host {

// Where the machine's control groups are.
class CgroupHierarchy {
 public:
  // Looks at what is mounted on `root` and below. NOT_FOUND when that is no
  // cgroup file system.
  static absl::StatusOr<CgroupHierarchy> Detect(
      const std::string& root = "/sys/fs/cgroup");

  // A v2 tree rooted in directory `root`, taken on trust.
  static CgroupHierarchy V2(std::string root);

  // v1 controllers by name ("memory", "cpu", …) and the directory each is
  // mounted on. Two that share a mount name the same directory.
  static CgroupHierarchy V1(std::map<std::string, std::string> controllers);

  bool is_v2() const { return is_v2_; }

  // The directory that `controller` is mounted on; the one root on v2 whatever
  // the controller; empty when v1 has no such controller mounted.
  std::string RootOf(const std::string& controller) const;

  // The v1 controllers that are mounted; on v2 one empty name.
  std::vector<std::string> Controllers() const;

  // Every distinct root.
  std::vector<std::string> Roots() const;

 private:
  bool is_v2_ = false;
  std::map<std::string, std::string> roots_;  // v2: one, with an empty name
};

// v2's cpu.weight for v1's cpu.shares, which the CRI and the OCI's runtime
// specification give: 1 + (shares - 2) * 9999 / 262142 for shares brought into
// 2…262144.
uint64_t CpuWeightOf(uint64_t shares);

// Unset fields are left as they are. A negative number lifts the limit.
struct CgroupLimits {
  std::optional<int64_t> memory_bytes;
  std::optional<int64_t> cpu_quota_us;    // per period
  std::optional<uint64_t> cpu_period_us;  // default 100,000
  // v1's cpu.shares, brought into 2…262144; v2 gets CpuWeightOf() them.
  std::optional<uint64_t> cpu_shares;
  std::string cpuset_cpus;  // "0-2,7"; empty: left as it is
  std::string cpuset_mems;
  std::optional<int64_t> pids_max;
};

// Zero where the kernel, or the hierarchy, does not say.
struct CgroupUsage {
  uint64_t cpu_ns = 0;
  uint64_t cpu_user_ns = 0;
  uint64_t cpu_system_ns = 0;
  uint64_t memory_bytes = 0;       // all that is charged, with page cache
  uint64_t working_set_bytes = 0;  // memory_bytes less the inactive file pages
  uint64_t rss_bytes = 0;          // anonymous memory
  uint64_t page_faults = 0;
  uint64_t major_page_faults = 0;
  uint64_t oom_kills = 0;
  uint64_t pids = 0;
  std::optional<uint64_t> memory_limit_bytes;  // none: no limit
  std::optional<uint64_t> swap_bytes;          // none: swap is not accounted
  std::optional<uint64_t> swap_limit_bytes;    // none: no limit
};

// What tells of a cgroup's want of memory: a descriptor to wait on, and for
// what. v2 (EPOLLPRI): stays ready until the file is read again from its start.
// v1 (EPOLLIN): an eventfd, ready when the kernel is about to choose whom to
// kill, and when the cgroup is removed: the count follows a little later.
struct OomEvents {
  UniqueFd fd;
  uint32_t epoll_events = 0;
};

class Cgroup {
 public:
  // Makes the cgroup and the parents that are missing, and on v2 turns on, in
  // its ancestors, the controllers we use; one that can't be turned on is an
  // error no sooner than SetLimits() needs it. A cgroup that is there is used
  // as it is. On failure what this call made is removed again.
  // INVALID_ARGUMENT for a path that is not absolute, is "/" or has "." or
  // ".." parts: the root group is the machine's.
  static absl::StatusOr<Cgroup> Create(const CgroupHierarchy& hierarchy,
                                       const std::string& path);

  // A handle on what may, or may not, exist: see Exists(). Checks the path
  // only.
  static absl::StatusOr<Cgroup> Open(const CgroupHierarchy& hierarchy,
                                     const std::string& path);

  // The directories that Create() would make now, parents before children: to
  // be written down before it makes them.
  std::vector<std::string> Missing() const;

  const std::string& path() const { return path_; }
  bool is_v2() const { return hierarchy_.is_v2(); }

  // Whether the cgroup is there, in any of the v1 trees.
  bool Exists() const;

  // The directories that Create() made, parents before children. A parent is
  // often shared with other cgroups: Remove() leaves it. RemoveMade() takes
  // those away that are in nobody's use.
  const std::vector<std::string>& made() const { return made_; }

  // Sets the limits. A limit whose controller this machine does not have is no
  // error: a sentence for each is returned, to be logged. Any other failure is
  // an error; limits set before it stay.
  absl::StatusOr<std::vector<std::string>> SetLimits(
      const CgroupLimits& limits) const;

  // Moves a process, with all its threads, into the cgroup.
  absl::Status AddProcess(pid_t pid) const;

  // v2 only (FAILED_PRECONDITION on v1): the directory, for clone3(2) with
  // CLONE_INTO_CGROUP.
  absl::StatusOr<UniqueFd> OpenDirectory() const;

  // The pids of the cgroup and those below it, sorted.
  absl::StatusOr<std::vector<pid_t>> Processes() const;

  // NOT_FOUND when the cgroup is not there.
  absl::StatusOr<CgroupUsage> Usage() const;

  // NOT_FOUND for one right below the root.
  absl::StatusOr<Cgroup> Parent() const;

  // What a controller's directory has to read; on v2 its name is of no matter.
  CgroupFiles Files(const std::string& controller) const;

  // How many of the cgroup's processes the kernel killed for want of memory; 0
  // when it does not say.
  uint64_t OomKills() const;

  // FAILED_PRECONDITION without a memory controller.
  absl::StatusOr<OomEvents> OpenOomEvents() const;

  // SIGKILL for every process in the cgroup and below it. Returns when none is
  // left that is not a zombie, or DEADLINE_EXCEEDED after some seconds. A
  // cgroup that is not there is success.
  absl::Status KillAll() const;

  // Removes the cgroup and those below it, in every tree; one that is not there
  // is success. Waits a moment for processes that are on their way out, then
  // FAILED_PRECONDITION.
  absl::Status Remove() const;

  // KillAll() and Remove(), again for processes that come in between.
  absl::Status Destroy() const;

 private:
  Cgroup(CgroupHierarchy hierarchy, std::string path)
      : hierarchy_(std::move(hierarchy)), path_(std::move(path)) {}

  // The cgroup's directory for a controller; empty when there is none.
  std::string DirOf(const std::string& controller) const;
  // Its distinct directories that exist.
  std::vector<std::string> Dirs() const;

  CgroupHierarchy hierarchy_;
  std::string path_;
  std::vector<std::string> made_;
};

// The path of a systemd slice by its name, which is what the CRI's
// cgroup_parent holds under systemd's cgroup driver: "a-b.slice" is
// "/a.slice/a-b.slice", "-.slice" is "/". INVALID_ARGUMENT when it is no
// slice's name.
absl::StatusOr<std::string> SlicePath(absl::string_view slice);

// Removes directories that made() listed, children first, as long as they are
// empty: one that is gone, or that others use, is left without an error.
absl::Status RemoveMade(const std::vector<std::string>& made);

}  // namespace serai::host
