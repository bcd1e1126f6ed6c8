// SPDX-License-Identifier: Apache-2.0
#include "lib/host/netns.h"

#include <fcntl.h>
#include <linux/nsfs.h>
#include <net/if.h>
#include <pthread.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

#include "lib/base/file.h"

namespace serai::host {
namespace {

absl::Status BringLoopbackUp() {
  const UniqueFd socket(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  if (!socket.valid()) return ErrnoStatus(errno, "socket");
  ifreq request = {};
  request.ifr_name[0] = 'l';
  request.ifr_name[1] = 'o';
  if (::ioctl(socket.get(), SIOCGIFFLAGS, &request) != 0) {
    return ErrnoStatus(errno, "reading the flags of lo");
  }
  request.ifr_flags = static_cast<short>(request.ifr_flags | IFF_UP);
  if (::ioctl(socket.get(), SIOCSIFFLAGS, &request) != 0) {
    return ErrnoStatus(errno, "bringing lo up");
  }
  return absl::OkStatus();
}

struct ScratchWork {
  absl::FunctionRef<absl::Status()> work;
  absl::Status status;
};

void* RunScratchWork(void* argument) {
  auto* scratch = static_cast<ScratchWork*>(argument);
  scratch->status = scratch->work();
  return nullptr;
}

// A thread of its own: its namespace goes with it, so nothing has to be
// switched back, which could fail. Not std::thread, which throws when the
// machine has no thread left.
absl::Status OnScratchThread(absl::FunctionRef<absl::Status()> work) {
  ScratchWork scratch{work, absl::OkStatus()};
  pthread_t thread = {};
  const int error =
      ::pthread_create(&thread, nullptr, &RunScratchWork, &scratch);
  if (error != 0) return ErrnoStatus(error, "starting a thread");
  ::pthread_join(thread, nullptr);
  return std::move(scratch.status);
}

absl::Status MountNewNetns(const std::string& path) {
  if (::unshare(CLONE_NEWNET) != 0) {
    return ErrnoStatus(errno, "making a network namespace");
  }
  RETURN_IF_ERROR(BringLoopbackUp());
  if (::mount("/proc/thread-self/ns/net", path.c_str(), nullptr, MS_BIND,
              nullptr) != 0) {
    return ErrnoStatus(errno,
                       absl::StrCat("mounting a network namespace on ", path));
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status CreateNetns(const std::string& path) {
  RETURN_IF_ERROR(OpenFile(path, O_RDONLY | O_CREAT | O_EXCL, 0444).status());
  absl::Status status = OnScratchThread([&] { return MountNewNetns(path); });
  // The mount is the last step: where it failed, there is only the file.
  if (!status.ok()) ::unlink(path.c_str());
  return status;
}

absl::StatusOr<UniqueFd> OpenNetns(const std::string& path) {
  ASSIGN_OR_RETURN(UniqueFd fd, OpenFile(path, O_RDONLY));
  const int type = ::ioctl(fd.get(), NS_GET_NSTYPE);
  if (type != CLONE_NEWNET) {
    return absl::InvalidArgumentError(
        absl::StrCat(path, " is no network namespace"));
  }
  return fd;
}

absl::Status RemoveNetns(const std::string& path) {
  // EINVAL: nothing is mounted there.
  if (::umount2(path.c_str(), MNT_DETACH | UMOUNT_NOFOLLOW) != 0 &&
      errno != EINVAL && errno != ENOENT) {
    return ErrnoStatus(errno, absl::StrCat("unmounting ", path));
  }
  // Copies of the mount in other mount namespaces go with the file.
  if (::unlink(path.c_str()) != 0 && errno != ENOENT) {
    return ErrnoStatus(errno, absl::StrCat("removing ", path));
  }
  return absl::OkStatus();
}

absl::Status RunInNetns(int netns_fd, absl::FunctionRef<absl::Status()> work) {
  return OnScratchThread([&]() -> absl::Status {
    if (::setns(netns_fd, CLONE_NEWNET) != 0) {
      return ErrnoStatus(errno, "entering the network namespace");
    }
    return work();
  });
}

}  // namespace serai::host
