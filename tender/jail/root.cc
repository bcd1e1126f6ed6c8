// SPDX-License-Identifier: Apache-2.0
#include "tender/jail/root.h"

#include <fcntl.h>
#include <linux/mount.h>
#include <sched.h>
#include <sys/syscall.h>
#include <sys/wait.h>
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

constexpr char kOwnDirectory[] = "/proc/self/fdinfo";

// In a child that shares its root and working directory with the tender.
int MakeOwnDirectoryRoot(void*) {
  const bool made = ::chroot(kOwnDirectory) == 0 && ::chdir("/") == 0;
  ::_exit(made ? 0 : errno);
}

// The directory of a process in /proc is empty for good once that is dead, and
// nobody can make anything in it. To have such a root costs a child that ends
// at once; a mount, by which it could be had as well, keeps a process waiting
// for all processors when it goes. False where there is no /proc.
bool EnterRootOfTheDead() {
  alignas(16) static char stack[16 * 1024];
  const int child = ::clone(MakeOwnDirectoryRoot, stack + sizeof(stack),
                            CLONE_VM | CLONE_VFORK | CLONE_FS, nullptr);
  if (child < 0) Fail("clone");
  int status = 0;
  if (::waitpid(child, &status, __WALL) != child) Fail("waitpid");
  errno = WEXITSTATUS(status);
  if (errno == EPERM) Fail("chroot");
  return status == 0;
}

}  // namespace

void EnterEmptyRoot(bool own_namespace) {
  if (!own_namespace && EnterRootOfTheDead()) return;
  const int root = MountEmpty();
  if (own_namespace) {
    ReplaceRoot(root);
  } else {
    EnterDirectory(root);
    MakeRoot();
  }
  ::close(root);
}

}  // namespace serai::tender
