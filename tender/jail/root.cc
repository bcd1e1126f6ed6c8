// SPDX-License-Identifier: Apache-2.0
#include "tender/jail/root.h"

#include <fcntl.h>
#include <linux/mount.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "tender/report.h"

// Of <sys/mount.h>, which can't stand beside <linux/mount.h>.
extern "C" {
int mount(const char*, const char*, const char*, unsigned long,
          const void*) noexcept;
int umount2(const char*, int) noexcept;
}

namespace serai::tender {
namespace {

constexpr unsigned long kRecursivelyPrivate = 0x4000 | 1 << 18;
constexpr int kDetach = 2;

[[noreturn]] void Fail(const char* what) {
  const int error = errno;
  if (error == EPERM) {
    Fatal(
        "--jail: an empty root: %s: %s: this takes root's rights, or the "
        "word user (--jail=user)",
        what, std::strerror(error));
  }
  Fatal("--jail: an empty root: %s: %s", what, std::strerror(error));
}

// A file system with nothing in it, mounted nowhere.
int MountEmpty() {
  const auto context =
      static_cast<int>(::syscall(SYS_fsopen, "tmpfs", FSOPEN_CLOEXEC));
  if (context < 0) Fail("fsopen");
  if (::syscall(SYS_fsconfig, context, FSCONFIG_SET_FLAG, "ro", nullptr, 0) !=
          0 ||
      ::syscall(SYS_fsconfig, context, FSCONFIG_CMD_CREATE, nullptr, nullptr,
                0) != 0) {
    Fail("fsconfig");
  }
  constexpr unsigned kAttributes = MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID |
                                   MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC;
  const auto root = static_cast<int>(
      ::syscall(SYS_fsmount, context, FSMOUNT_CLOEXEC, kAttributes));
  if (root < 0) Fail("fsmount");
  ::close(context);
  return root;
}

void EnterDirectory(int directory) {
  if (::fchdir(directory) != 0) Fail("fchdir");
}

void MakeRoot() {
  if (::chroot(".") != 0 || ::chdir("/") != 0) Fail("chroot");
}

// Mounts `root` over the namespace's root, changes places with that and takes
// it away: what the host has mounted is then not held by this namespace either.
void ReplaceRoot(int root) {
  if (::mount(nullptr, "/", nullptr, kRecursivelyPrivate, nullptr) != 0) {
    // Else what happens here would happen on the host.
    Fail("making mounts private");
  }
  if (::syscall(SYS_move_mount, root, "", AT_FDCWD, "/",
                MOVE_MOUNT_F_EMPTY_PATH) != 0) {
    Fail("move_mount");
  }
  EnterDirectory(root);
  if (::syscall(SYS_pivot_root, ".", ".") == 0) {
    if (::umount2(".", kDetach) != 0) Fail("umount");
    if (::chdir("/") != 0) Fail("chdir");
    return;
  }
  // A root that is no mount, as inside a chroot, or is the initial one can't
  // be changed. What is behind it stays, out of reach.
  if (errno != EINVAL) Fail("pivot_root");
  MakeRoot();
}

}  // namespace

void EnterEmptyRoot(bool own_namespace) {
  const int root = MountEmpty();
  if (own_namespace) {
    ReplaceRoot(root);
    ::close(root);
    return;
  }
  EnterDirectory(root);
  MakeRoot();
  // `root` stays open: it is this directory and leads nowhere else, and closing
  // it would wait for all processors to forget that it was mounted.
}

}  // namespace serai::tender
