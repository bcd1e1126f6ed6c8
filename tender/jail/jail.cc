// SPDX-License-Identifier: Apache-2.0
#include "tender/jail/jail.h"

#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstddef>
#include <cstring>

#include "tender/console.h"
#include "tender/jail/limits.h"
#include "tender/jail/privileges.h"
#include "tender/jail/root.h"
#include "tender/jail/waiter.h"
#include "tender/report.h"

namespace serai::tender {
namespace {

// What is kept, in ascending order.
class Descriptors {
 public:
  Descriptors(const Options& options, std::span<const int> others) {
    AddOutput(STDOUT_FILENO);
    AddOutput(STDERR_FILENO);
    Add(options.kernel_fd);
    Add(options.kvm_fd);
    Add(options.status_fd);
    Add(options.dump_core.fd);
    Add(options.snapshot_to.fd);
    Add(options.restore_from.fd);
    Add(options.restore_memory_fd);
    Add(options.gdb.listener_fd);
    for (size_t i = 0; i < options.device_option_count; ++i) {
      Add(options.device_options[i].fd);
    }
    for (const int fd : others) Add(fd);
    std::sort(kept_.data(), kept_.data() + count_);
  }

  // Of the others, none was meant for the guest.
  void CloseAllOthers() const {
    unsigned next = 0;
    for (size_t i = 0; i < count_; ++i) {
      const auto kept = static_cast<unsigned>(kept_[i]);
      if (kept > next) Close(next, kept - 1);
      next = std::max(next, kept + 1);
    }
    Close(next, ~0u);
  }

  int highest() const { return count_ == 0 ? 0 : kept_[count_ - 1]; }

 private:
  static constexpr size_t kMax = Options::kMaxDeviceOptions + 16;

  void Add(int fd) {
    if (fd < 0) return;
    if (count_ == kMax) Fatal("bug: too many descriptors");
    kept_[count_++] = fd;
  }
  // What only holds the place of one that was closed leads out of the jail.
  void AddOutput(int fd) {
    const int flags = ::fcntl(fd, F_GETFL);
    if (flags >= 0 && (flags & O_PATH) == 0) Add(fd);
  }
  static void Close(unsigned first, unsigned last) {
    if (::syscall(SYS_close_range, first, last, 0) != 0) {
      Fatal("--jail: close_range: %s", std::strerror(errno));
    }
  }

  std::array<int, kMax> kept_;
  size_t count_ = 0;
};

// The program that started the tender may have asked for it to die with it. The
// kernel forgets that when a process changes its effective user or group; this
// is renewed right after. A first process of a PID namespace, from which its
// parent can't be seen, has no other safety than that there is next to no time
// in between.
class TieToParent {
 public:
  // `parent` is known to whoever could not ask for it (posix_spawn); -1: it
  // was asked for, or is not wanted.
  explicit TieToParent(int64_t parent) : parent_(::getppid()) {
    if (parent >= 0) {
      signal_ = SIGKILL;
      parent_ = static_cast<pid_t>(parent);
      Renew();
    } else if (::prctl(PR_GET_PDEATHSIG, &signal_) != 0) {
      signal_ = 0;
    }
  }

  void Renew() const {
    if (signal_ == 0) return;
    if (::prctl(PR_SET_PDEATHSIG, signal_) != 0) {
      Fatal("--jail: prctl(PR_SET_PDEATHSIG): %s", std::strerror(errno));
    }
    // It may have died while nothing was set.
    if (::getppid() == parent_) return;
    ::kill(::getpid(), signal_);
    // Where that is ignored, or is not for the first process of a namespace.
    ::_exit(128 + signal_);
  }

 private:
  pid_t parent_;
  int signal_ = 0;
};

void MakeNamespaces(int flags, bool is_user) {
  if (flags == 0 || ::unshare(flags) == 0) return;
  const int error = errno;
  if (error == EPERM && !is_user) {
    Fatal("--jail: making namespaces: %s: add the word user (--jail=user,...)",
          std::strerror(error));
  }
  Fatal("--jail: making namespaces: %s", std::strerror(error));
}

void EnterUserNamespace(const JailOptions& jail, const TieToParent& tie) {
  const Identity outside = BecomeUserOutside(jail);
  tie.Renew();
  if (::unshare(CLONE_NEWUSER) != 0) {
    const int error = errno;
    Fatal("--jail: making a user namespace: %s%s", std::strerror(error),
          error == EPERM || error == ENOSPC
              ? ": this system does not allow it to this user here"
              : "");
  }
  MapUser(jail, outside);
}

}  // namespace

void EnterJail(const Options& options, std::span<const int> others) {
  const JailOptions& jail = options.jail;
  const TieToParent tie(jail.parent);
  const Descriptors descriptors(options, others);
  descriptors.CloseAllOthers();
  if (jail.user) EnterUserNamespace(jail, tie);
  MakeNamespaces(
      (jail.mount ? CLONE_NEWNS : 0) | (jail.net ? CLONE_NEWNET : 0) |
          (jail.ipc ? CLONE_NEWIPC : 0) | (jail.uts ? CLONE_NEWUTS : 0),
      jail.user);
  EnterEmptyRoot(jail.mount);
  // The next child is its first process.
  MakeNamespaces(jail.pid ? CLONE_NEWPID : 0, jail.user);
  HoldStandardDescriptors();
  ForbidNewPrivileges();
  DropBoundingSet();
  if (!jail.user) {
    BecomeUser(jail);
    tie.Renew();
  }
  DropCapabilities();
  SetLimits(options, descriptors.highest());
  ForbidInspection();
  if (jail.pid) BecomeFirstProcess(options);
}

}  // namespace serai::tender
