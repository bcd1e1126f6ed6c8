// SPDX-License-Identifier: Apache-2.0
#include "tender/jail/privileges.h"

#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>

#include "tender/line.h"
#include "tender/report.h"

namespace serai::tender {
namespace {

using CapabilityData = std::array<__user_cap_data_struct, 2>;

[[noreturn]] void Fail(const char* what) {
  Fatal("--jail: %s: %s", what, std::strerror(errno));
}

int GetCapabilities(CapabilityData* data) {
  __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
  return static_cast<int>(::syscall(SYS_capget, &header, data->data()));
}

int SetCapabilities(const CapabilityData& data) {
  __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
  return static_cast<int>(::syscall(SYS_capset, &header, data.data()));
}

bool TryToBecome(const JailOptions& jail) {
  if (::setgroups(0, nullptr) != 0) {
    // Whoever may not, and need not become anybody, stays in them.
    const bool becomes_other = jail.uid >= 0 || jail.gid >= 0;
    return !becomes_other && errno == EPERM;
  }
  if (jail.gid >= 0) {
    const auto gid = static_cast<gid_t>(jail.gid);
    if (::setresgid(gid, gid, gid) != 0) return false;
  }
  if (jail.uid >= 0) {
    const auto uid = static_cast<uid_t>(jail.uid);
    if (::setresuid(uid, uid, uid) != 0) return false;
  }
  return true;
}

// One line, in one write, as these files want it.
void WriteMap(const char* path, std::string_view text) {
  const int fd = ::open(path, O_WRONLY | O_CLOEXEC);
  if (fd < 0 || ::write(fd, text.data(), text.size()) !=
                    static_cast<ssize_t>(text.size())) {
    Fatal("--jail: %s: %s", path, std::strerror(errno));
  }
  ::close(fd);
}

// `inside` stands for `outside`; as before where it is not given.
void WriteIdMap(const char* path, int64_t inside, uint32_t outside) {
  char buffer[64];
  WriteMap(path, Line(buffer)
                     .Number(inside >= 0 ? static_cast<uint64_t>(inside)
                                         : uint64_t{outside})
                     .Text(" ")
                     .Number(outside)
                     .Text(" 1")
                     .text());
}

}  // namespace

void BecomeUser(const JailOptions& jail) {
  if (TryToBecome(jail)) return;
  const int error = errno;
  Fatal("--jail: taking on the user or group: %s%s", std::strerror(error),
        error == EPERM ? ": this takes root's rights; with the word user it "
                         "becomes that inside a namespace"
                       : "");
}

Identity BecomeUserOutside(const JailOptions& jail) {
  // Where user namespaces are root's alone, they are still to be had after
  // this.
  CapabilityData data = {};
  if (::prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0) != 0 ||
      GetCapabilities(&data) != 0) {
    Fail("keeping capabilities");
  }
  // EINVAL: there is no such user in the namespace that this is in now.
  if (!TryToBecome(jail) && errno != EPERM && errno != EINVAL) {
    Fail("taking on the user or group");
  }
  if (SetCapabilities(data) != 0 || ::prctl(PR_SET_KEEPCAPS, 0, 0, 0, 0) != 0) {
    Fail("keeping capabilities");
  }
  return {::geteuid(), ::getegid()};
}

void MapUser(const JailOptions& jail, const Identity& outside) {
  // The files below belong to root as long as this process is not to be
  // inspected.
  if (::prctl(PR_SET_DUMPABLE, 1, 0, 0, 0) != 0) Fail("prctl(PR_SET_DUMPABLE)");
  WriteMap("/proc/self/setgroups", "deny");
  WriteIdMap("/proc/self/uid_map", jail.uid, outside.uid);
  WriteIdMap("/proc/self/gid_map", jail.gid, outside.gid);
  ForbidInspection();
}

void ForbidNewPrivileges() {
  if (::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) {
    Fail("prctl(PR_SET_NO_NEW_PRIVS)");
  }
}

void DropBoundingSet() {
  unsigned long capability = 0;
  while (::prctl(PR_CAPBSET_DROP, capability, 0, 0, 0) == 0) ++capability;
  // There is none of that number.
  if (errno != EINVAL) Fail("dropping capabilities from the bounding set");
}

void DropCapabilities() {
  if (::prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) != 0) {
    Fail("clearing the ambient capabilities");
  }
  if (SetCapabilities(CapabilityData{}) != 0) Fail("dropping capabilities");
}

void ForbidInspection() {
  if (::prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0) Fail("prctl(PR_SET_DUMPABLE)");
}

}  // namespace serai::tender
