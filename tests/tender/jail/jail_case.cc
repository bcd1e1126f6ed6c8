// SPDX-License-Identifier: Apache-2.0
#include "tests/tender/jail/jail_case.h"

#include <fcntl.h>
#include <grp.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "lib/base/unique_fd.h"

namespace serai::testing {
namespace {

constexpr uid_t kNobody = 65534;
const User kNobodys = {"65534", "65534"};

bool BecomeNobodyInGroups() {
  return ::setresgid(kNobody, kNobody, kNobody) == 0 &&
         ::setresuid(kNobody, kNobody, kNobody) == 0;
}

bool WriteText(const char* path, const std::string& text) {
  const UniqueFd fd(::open(path, O_WRONLY | O_CLOEXEC));
  return fd.valid() && ::write(fd.get(), text.data(), text.size()) ==
                           static_cast<ssize_t>(text.size());
}

bool UnmountProc() {
  return ::unshare(CLONE_NEWNS) == 0 &&
         ::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0 &&
         ::umount2("/proc", MNT_DETACH) == 0;
}

}  // namespace

bool BecomeNobody() {
  return ::setgroups(0, nullptr) == 0 && BecomeNobodyInGroups();
}

bool BecomeRootOfNamespace() {
  return BecomeNobody() && ::prctl(PR_SET_DUMPABLE, 1) == 0 &&
         ::unshare(CLONE_NEWUSER) == 0 &&
         WriteText("/proc/self/setgroups", "deny") &&
         WriteText("/proc/self/uid_map", "0 65534 1") &&
         WriteText("/proc/self/gid_map", "0 65534 1");
}

bool EnterUnmappedNamespace() {
  return BecomeNobody() && ::unshare(CLONE_NEWUSER) == 0;
}

bool JoinGroups() {
  constexpr gid_t kGroups[] = {4, 27};
  return ::setgroups(2, kGroups) == 0;
}

std::function<bool()> JailCase::Preparation() const {
  return
      [step = prepare] { return JoinGroups() && (step == nullptr || step()); };
}

void PrintTo(const JailCase& one, std::ostream* out) { *out << one.name; }

const std::vector<JailCase>& JailCases() {
  static const std::vector<JailCase>* const kCases = new std::vector<JailCase>{
      {"Plain", "--jail"},
      {"User", "--jail=uid=12345,gid=12346", nullptr, {"12345", "12346"}},
      {"UserOnly", "--jail=uid=12345", nullptr, {"12345"}},
      {"GroupOnly", "--jail=gid=12346", nullptr, {"0", "12346"}},
      {"Mount", "--jail=mount", nullptr, {}, {"mnt"}},
      {"Pid", "--jail=pid", nullptr, {}, {"pid"}},
      {"AllOfRoots",
       "--jail=mount,pid,net,ipc,uts,uid=12345,gid=12346",
       nullptr,
       {"12345", "12346"},
       {"mnt", "pid", "net", "ipc", "uts"}},
      {"RootsUserNamespace", "--jail=user", nullptr, {}, {"user"}},
      {"UserInRootsNamespace",
       "--jail=user,uid=12345,gid=12346",
       nullptr,
       {"12345", "12346"},
       {"user"}},
      {"Nobody", "--jail=user", BecomeNobody, kNobodys, {"user"}},
      // Whoever may not leave a group stays in it.
      {"NobodyInGroups",
       "--jail=user",
       BecomeNobodyInGroups,
       {"65534", "65534", "4 27"},
       {"user"}},
      {"AllOfNobodys",
       "--jail=user,mount,pid,net,ipc,uts,uid=7,gid=8",
       BecomeNobody,
       kNobodys,
       {"user", "mnt", "pid", "net", "ipc", "uts"}},
      {"InNamespace", "--jail", BecomeRootOfNamespace, kNobodys, {"user"}},
      {"MountInNamespace",
       "--jail=mount,pid",
       BecomeRootOfNamespace,
       kNobodys,
       {"mnt", "pid", "user"}},
      {"UserInNamespace",
       "--jail=user,uid=7",
       BecomeRootOfNamespace,
       kNobodys,
       {"user"}},
      {"WithoutProc", "--jail", UnmountProc, {}, {"mnt"}},
  };
  return *kCases;
}

}  // namespace serai::testing
