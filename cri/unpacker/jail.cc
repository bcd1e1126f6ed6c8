// SPDX-License-Identifier: Apache-2.0
#include "cri/unpacker/jail.h"

#include <grp.h>
#include <linux/audit.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstddef>
#include <vector>

namespace serai::cri {
namespace {

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr bool kSanitized = true;
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer) || \
    __has_feature(memory_sanitizer)
constexpr bool kSanitized = true;
#else
constexpr bool kSanitized = false;
#endif
#else
constexpr bool kSanitized = false;
#endif

// zstd's largest window that libarchive takes is 128 MiB.
constexpr rlim_t kMaxMemory = rlim_t{512} << 20;
constexpr rlim_t kMaxCpuSeconds = 600;
// The layers, and a directory for each level of a tree that is removed.
constexpr rlim_t kMaxDescriptors = 512;

#if defined(__x86_64__)
constexpr uint32_t kArchitecture = AUDIT_ARCH_X86_64;
#elif defined(__aarch64__)
constexpr uint32_t kArchitecture = AUDIT_ARCH_AARCH64;
#endif

// What unpacking takes, and the C library for its memory and its end. Neither
// processes, nor sockets, nor signals to others, nor changes of owner,
// attributes or mounts.
constexpr long kAllowed[] = {
    SYS_read,         SYS_readv,          SYS_write,         SYS_writev,
    SYS_pread64,      SYS_pwrite64,       SYS_lseek,         SYS_close,
    SYS_fstat,        SYS_newfstatat,     SYS_statx,         SYS_getdents64,
    SYS_openat,       SYS_openat2,        SYS_mkdirat,       SYS_symlinkat,
    SYS_linkat,       SYS_unlinkat,       SYS_renameat,      SYS_renameat2,
    SYS_fchmod,       SYS_ftruncate,      SYS_fsync,         SYS_fcntl,
    SYS_faccessat,    SYS_readlinkat,     SYS_brk,           SYS_mmap,
    SYS_munmap,       SYS_mremap,         SYS_madvise,       SYS_mprotect,
    SYS_futex,        SYS_getrandom,      SYS_clock_gettime, SYS_rt_sigreturn,
    SYS_rt_sigaction, SYS_rt_sigprocmask, SYS_getpid,        SYS_gettid,
    SYS_exit,         SYS_exit_group,
#if defined(__x86_64__)
    SYS_open,         SYS_stat,           SYS_lstat,         SYS_mkdir,
    SYS_rmdir,        SYS_unlink,         SYS_rename,        SYS_access,
#endif
};

absl::Status DropCapabilities() {
  __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
  std::array<__user_cap_data_struct, 2> none = {};
  if (::syscall(SYS_capset, &header, none.data()) != 0) {
    return ErrnoStatus(errno, "capset");
  }
  return absl::OkStatus();
}

absl::Status BecomeNobody() {
  unsigned long capability = 0;
  while (::prctl(PR_CAPBSET_DROP, capability, 0, 0, 0) == 0) ++capability;
  if (::chroot(".") != 0) return ErrnoStatus(errno, "chroot");
  if (::setgroups(0, nullptr) != 0 ||
      ::setresgid(kUnpackerUser, kUnpackerUser, kUnpackerUser) != 0 ||
      ::setresuid(kUnpackerUser, kUnpackerUser, kUnpackerUser) != 0) {
    return ErrnoStatus(errno, "taking on the unpacker's user");
  }
  return absl::OkStatus();
}

// `Resource` is a type of the C library's own.
template <typename Resource>
absl::Status Limit(Resource resource, rlim_t value) {
  const rlimit limit = {value, value};
  if (::setrlimit(resource, &limit) == 0) return absl::OkStatus();
  // A caller's own limit may be lower, and then holds.
  return errno == EPERM ? absl::OkStatus() : ErrnoStatus(errno, "setrlimit");
}

absl::Status SetLimits(int64_t max_file_bytes) {
  if (!kSanitized) RETURN_IF_ERROR(Limit(RLIMIT_AS, kMaxMemory));
  RETURN_IF_ERROR(Limit(RLIMIT_FSIZE, static_cast<rlim_t>(max_file_bytes)));
  RETURN_IF_ERROR(Limit(RLIMIT_CPU, kMaxCpuSeconds));
  RETURN_IF_ERROR(Limit(RLIMIT_NOFILE, kMaxDescriptors));
  RETURN_IF_ERROR(Limit(RLIMIT_NPROC, 0));
  RETURN_IF_ERROR(Limit(RLIMIT_MEMLOCK, 0));
  RETURN_IF_ERROR(Limit(RLIMIT_CORE, 0));
  // A write beyond the limit is an error to tell, not our end.
  ::signal(SIGXFSZ, SIG_IGN);
  return absl::OkStatus();
}

sock_filter Load(size_t offset) {
  return BPF_STMT(BPF_LD | BPF_W | BPF_ABS, static_cast<uint32_t>(offset));
}

sock_filter Return(uint32_t action) {
  return BPF_STMT(BPF_RET | BPF_K, action);
}

// What is not allowed is not there: ENOSYS, for which the C library has other
// ways where it only tries something newer.
absl::Status InstallFilter() {
  constexpr uint32_t kNotThere = SECCOMP_RET_ERRNO | ENOSYS;
  std::vector<sock_filter> program = {
      Load(offsetof(seccomp_data, arch)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, kArchitecture, 1, 0),
      Return(SECCOMP_RET_KILL_PROCESS),
      Load(offsetof(seccomp_data, nr)),
  };
  // x32's numbers are none of these: they have a bit of their own.
  for (const long number : kAllowed) {
    program.push_back(BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K,
                               static_cast<uint32_t>(number), 0, 1));
    program.push_back(Return(SECCOMP_RET_ALLOW));
  }
  program.push_back(Return(kNotThere));
  const sock_fprog filter = {static_cast<unsigned short>(program.size()),
                             program.data()};
  if (::prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter, 0, 0) != 0) {
    return ErrnoStatus(errno, "prctl(PR_SET_SECCOMP)");
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status EnterUnpackerJail(int root_fd, int highest_fd,
                               int64_t max_file_bytes) {
  if (::syscall(SYS_close_range, static_cast<unsigned>(highest_fd) + 1, ~0U,
                0) != 0) {
    return ErrnoStatus(errno, "close_range");
  }
  ::umask(0);
  if (::fchdir(root_fd) != 0) return ErrnoStatus(errno, "fchdir");
  if (::geteuid() == 0) RETURN_IF_ERROR(BecomeNobody());
  RETURN_IF_ERROR(DropCapabilities());
  // After the change of user, which would undo the first and the second.
  if (::prctl(PR_SET_PDEATHSIG, SIGKILL) != 0 ||
      ::prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0 ||
      ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) {
    return ErrnoStatus(errno, "prctl");
  }
  RETURN_IF_ERROR(SetLimits(max_file_bytes));
  return kSanitized ? absl::OkStatus() : InstallFilter();
}

}  // namespace serai::cri
