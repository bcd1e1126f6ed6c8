// SPDX-License-Identifier: Apache-2.0
#include "tender/jail/limits.h"

#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "tender/jail/jail.h"
#include "tender/report.h"

namespace serai::tender {
namespace {

// KVM's and the tender's own, which come later: the machine, its processor,
// epoll, events, a timer, a core file, the debugger.
constexpr rlim_t kDescriptorsToCome = 16;

// `Resource` is a type of the C library's own.
template <typename Resource>
void Limit(Resource resource, rlim_t value, const char* name) {
  rlimit limit = {};
  if (::getrlimit(resource, &limit) != 0) {
    Fatal("--jail: getrlimit(%s): %s", name, std::strerror(errno));
  }
  value = std::min(value, limit.rlim_max);
  limit = {value, value};
  if (::setrlimit(resource, &limit) != 0) {
    Fatal("--jail: setrlimit(%s): %s", name, std::strerror(errno));
  }
}

bool IsFile(int fd) {
  struct stat status = {};
  return fd >= 0 && ::fstat(fd, &status) == 0 && S_ISREG(status.st_mode);
}

// The size beyond which no file need grow: that of the largest block device.
rlim_t LargestFile(const Options& options) {
  // These are files that grow.
  if (IsFile(STDOUT_FILENO) || IsFile(STDERR_FILENO) ||
      IsFile(options.status_fd) || options.dump_core.is_given() ||
      options.snapshot_to.is_given()) {
    return RLIM_INFINITY;
  }
  off_t largest = 0;
  for (size_t i = 0; i < options.device_option_count; ++i) {
    const DeviceOption& device = options.device_options[i];
    if (device.kind != DeviceOption::Kind::kBlock || device.fd < 0) continue;
    largest = std::max(largest, ::lseek(device.fd, 0, SEEK_END));
  }
  return static_cast<rlim_t>(largest);
}

}  // namespace

void SetLimits(const Options& options, int highest_fd) {
  // A core file would be the guest's memory, left to whoever finds it.
  Limit(RLIMIT_CORE, 0, "RLIMIT_CORE");
  // No file grows that the guest is not meant to fill.
  Limit(RLIMIT_FSIZE, LargestFile(options), "RLIMIT_FSIZE");
  // Nothing that could be opened or received would find room.
  Limit(RLIMIT_NOFILE, static_cast<rlim_t>(highest_fd) + 1 + kDescriptorsToCome,
        "RLIMIT_NOFILE");
  // Memory that the host can't take back.
  Limit(RLIMIT_MEMLOCK, 0, "RLIMIT_MEMLOCK");
  // Kernel memory that would outlive the process.
  Limit(RLIMIT_MSGQUEUE, 0, "RLIMIT_MSGQUEUE");
  // More than its share of the processors.
  Limit(RLIMIT_NICE, 0, "RLIMIT_NICE");
  Limit(RLIMIT_RTPRIO, 0, "RLIMIT_RTPRIO");
}

void ForbidProcesses() { Limit(RLIMIT_NPROC, 0, "RLIMIT_NPROC"); }

}  // namespace serai::tender
