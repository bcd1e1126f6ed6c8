// SPDX-License-Identifier: Apache-2.0
#include "cni/run_lock.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

#include "absl/strings/numbers.h"
#include "absl/time/clock.h"
#include "lib/base/deadline.h"
#include "lib/base/file.h"
#include "lib/host/pidfd.h"

namespace serai::cni {
namespace {

constexpr absl::Duration kPause = absl::Milliseconds(5);
// From SIGKILL to the descriptors' closing.
constexpr absl::Duration kDying = absl::Seconds(5);

bool SameFile(const struct stat& a, const struct stat& b) {
  return a.st_dev == b.st_dev && a.st_ino == b.st_ino;
}

// Whether a process, by its directory in /proc, has the file open.
bool HasOpen(const std::string& proc, const struct stat& file) {
  const auto fds = ListDir(JoinPath(proc, "fd"));
  if (!fds.ok()) return false;
  for (const std::string& fd : *fds) {
    struct stat st = {};
    const std::string path = JoinPath(JoinPath(proc, "fd"), fd);
    if (::stat(path.c_str(), &st) == 0 && SameFile(st, file)) return true;
  }
  return false;
}

absl::Status KillHolders(int fd) {
  struct stat file = {};
  if (::fstat(fd, &file) != 0) return ErrnoStatus(errno, "fstat");
  ASSIGN_OR_RETURN(const auto entries, ListDir("/proc"));
  for (const std::string& entry : entries) {
    int pid = 0;
    if (!absl::SimpleAtoi(entry, &pid) || pid == ::getpid()) continue;
    const std::string proc = JoinPath("/proc", entry);
    if (!HasOpen(proc, file)) continue;
    const auto process = host::Pidfd::Open(pid);
    // Looked at again: the pid may have been another's before it was held.
    if (process.ok() && HasOpen(proc, file)) {
      process->SendSignal(SIGKILL).IgnoreError();
    }
  }
  return absl::OkStatus();
}

// False when it is not free in time.
absl::StatusOr<bool> Lock(int fd, absl::Duration patience) {
  const Deadline deadline(patience);
  while (::flock(fd, LOCK_EX | LOCK_NB) != 0) {
    if (errno != EWOULDBLOCK && errno != EINTR) {
      return ErrnoStatus(errno, "flock");
    }
    if (deadline.Passed()) return false;
    absl::SleepFor(kPause);
  }
  return true;
}

}  // namespace

absl::StatusOr<RunLock> RunLock::Take(const std::string& path,
                                      absl::Duration patience) {
  for (;;) {
    ASSIGN_OR_RETURN(UniqueFd fd, OpenFile(path, O_RDWR | O_CREAT));
    ASSIGN_OR_RETURN(bool locked, Lock(fd.get(), patience), path);
    if (!locked) {
      RETURN_IF_ERROR(KillHolders(fd.get()), path);
      ASSIGN_OR_RETURN(locked, Lock(fd.get(), kDying), path);
    }
    if (!locked) {
      return absl::DeadlineExceededError(absl::StrCat(
          path, ": a plugin of an earlier run has not ended after SIGKILL"));
    }
    struct stat held = {};
    struct stat named = {};
    // Who had it before may have removed the file.
    if (::fstat(fd.get(), &held) == 0 && ::stat(path.c_str(), &named) == 0 &&
        SameFile(held, named)) {
      return RunLock(path, std::move(fd));
    }
  }
}

absl::Status RunLock::Remove() const { return RemovePath(path_); }

}  // namespace serai::cni
