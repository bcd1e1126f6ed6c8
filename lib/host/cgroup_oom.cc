// SPDX-License-Identifier: Apache-2.0
#include <fcntl.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>

#include <cerrno>

#include "lib/base/file.h"
#include "lib/host/cgroup.h"

namespace serai::host {
namespace {

// cgroup-v1/memory.rst, section 10.
absl::StatusOr<OomEvents> RegisterV1(const std::string& dir) {
  OomEvents events;
  events.epoll_events = EPOLLIN;
  events.fd.reset(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!events.fd.valid()) return ErrnoStatus(errno, "eventfd");
  ASSIGN_OR_RETURN(const UniqueFd control,
                   OpenFile(JoinPath(dir, "memory.oom_control"), O_RDONLY));
  RETURN_IF_ERROR(
      WriteControlFile(JoinPath(dir, "cgroup.event_control"),
                       absl::StrCat(events.fd.get(), " ", control.get())));
  return events;
}

}  // namespace

absl::StatusOr<OomEvents> Cgroup::OpenOomEvents() const {
  const std::string dir = DirOf("memory");
  if (dir.empty()) {
    return absl::FailedPreconditionError("there is no memory controller");
  }
  if (!hierarchy_.is_v2()) return RegisterV1(dir);
  OomEvents events;
  // The kernel's way to say that the file's text has changed since it was read.
  // An inotify watch would do as well, but of those a user has only 128.
  events.epoll_events = EPOLLPRI;
  ASSIGN_OR_RETURN(events.fd, OpenFile(JoinPath(dir, "memory.events"),
                                       O_RDONLY | O_NONBLOCK));
  return events;
}

}  // namespace serai::host
