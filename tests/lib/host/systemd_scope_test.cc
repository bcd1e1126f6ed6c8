// SPDX-License-Identifier: Apache-2.0
// What systemd is asked for, with a script in place of busctl. The real one:
// tests/shim/task_cgroup_test.cc.
#include "lib/host/systemd_scope.h"

#include <sys/stat.h>
#include <unistd.h>

#include "absl/strings/str_split.h"
#include "absl/time/clock.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temp_dir.h"

namespace serai::host {
namespace {

using ::serai::testing::HasStatus;
using ::serai::testing::TempDir;
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::SizeIs;

class SystemdScopeTest : public ::testing::Test {
 protected:
  // Scopes whose busctl writes down its arguments, a line a call, with a "_"
  // for a space in one, and then does what the lines of `script` say.
  SystemdScopes WithBusctl(const std::string& script, bool is_v2 = true) {
    EXPECT_OK(WriteFileAtomic(
        dir_ / "busctl",
        absl::StrCat("#!/bin/sh\n(for word; do printf ' %s' "
                     "\"$(printf %s \"$word\" | tr ' ' _)\"; done; echo) >> ",
                     log(), "\n", script, "\n"),
        0755));
    return SystemdScopes(is_v2, {dir_ / "busctl", absl::Milliseconds(300)});
  }

  std::string log() const { return dir_ / "log"; }

  // The method and arguments of each call.
  std::vector<std::string> Calls() const {
    const auto text = ReadFile(log(), 65536);
    if (!text.ok()) return {};
    std::vector<std::string> calls;
    for (const absl::string_view line :
         absl::StrSplit(*text, '\n', absl::SkipEmpty())) {
      const std::vector<std::string> parts =
          absl::StrSplit(line, "systemd1.Manager ");
      calls.push_back(parts.back());
    }
    return calls;
  }

  static ScopeSpec Spec() {
    return {"serai-x.scope", "kubepods.slice", ::getpid(), {}};
  }

  TempDir dir_;
};

TEST_F(SystemdScopeTest, ScopeIsAskedForWithItsLimits) {
  ScopeSpec spec = Spec();
  spec.limits.memory_bytes = 64 << 20;
  spec.limits.cpu_shares = 1024;
  spec.limits.cpu_quota_us = 30'000;
  spec.limits.cpu_period_us = 40'000;
  spec.limits.pids_max = -1;
  spec.limits.cpuset_cpus = "0-1,9";
  spec.limits.cpuset_mems = "0";
  const SystemdScopes systemd = WithBusctl("");
  EXPECT_THAT(systemd.Start(spec),
              HasStatus(absl::StatusCode::kDeadlineExceeded, "not done it"));
  ASSERT_THAT(Calls(), SizeIs(1));
  const std::string call = Calls()[0];
  EXPECT_THAT(call, ::testing::StartsWith("StartTransientUnit ssa(sv)a(sa(sv)) "
                                          "serai-x.scope replace 17 "));
  for (const std::string& property :
       {std::string("Description s unikernel_serai-x.scope"),
        std::string("Slice s kubepods.slice"),
        absl::StrCat("PIDs au 1 ", ::getpid()), std::string("Delegate b true"),
        std::string("DefaultDependencies b false"),
        std::string("CollectMode s inactive-or-failed"),
        std::string("MemoryMax t 67108864"), std::string("CPUWeight t 39"),
        std::string("CPUQuotaPerSecUSec t 750000"),
        std::string("CPUQuotaPeriodUSec t 40000"),
        std::string("TasksMax t 18446744073709551615"),
        std::string("AllowedCPUs ay 2 3 2"),
        std::string("AllowedMemoryNodes ay 1 1")}) {
    EXPECT_THAT(call, HasSubstr(absl::StrCat(" ", property, " ")));
  }
  EXPECT_THAT(call, ::testing::EndsWith(" 0"));
}

TEST_F(SystemdScopeTest, V1HasOtherProperties) {
  ScopeSpec spec = Spec();
  spec.limits.memory_bytes = 1 << 20;
  spec.limits.cpu_shares = 1;
  spec.limits.cpuset_cpus = "0";
  const SystemdScopes systemd = WithBusctl("", false);
  EXPECT_FALSE(systemd.Start(spec).ok());
  ASSERT_THAT(Calls(), SizeIs(1));
  EXPECT_THAT(Calls()[0], AllOf(HasSubstr("MemoryLimit t 1048576"),
                                HasSubstr("CPUShares t 2"),
                                HasSubstr("BlockIOAccounting b true"),
                                Not(HasSubstr("AllowedCPUs"))));
}

TEST_F(SystemdScopeTest, OddCpuListsAreLeftToTheKernel) {
  const SystemdScopes systemd = WithBusctl("");
  for (const char* list : {"all", "0-", "-1", "99999999", "0,,1", "1-0"}) {
    CgroupLimits limits;
    limits.cpuset_cpus = list;
    SCOPED_TRACE(list);
    EXPECT_OK(systemd.SetLimits("serai-x.scope", limits));
  }
  EXPECT_THAT(Calls(), IsEmpty());
}

TEST_F(SystemdScopeTest, RefusalIsTriedOnceMoreAfterAReset) {
  const SystemdScopes systemd = WithBusctl(
      "case \"$*\" in *StartTransientUnit*) echo 'Call failed: no' >&2; "
      "exit 1;; esac");
  EXPECT_THAT(systemd.Start(Spec()),
              HasStatus(absl::StatusCode::kUnavailable, "Call failed: no"));
  EXPECT_THAT(Calls(), ElementsAre(HasSubstr("StartTransientUnit"),
                                   "ResetFailedUnit s serai-x.scope",
                                   HasSubstr("StartTransientUnit")));
}

TEST_F(SystemdScopeTest, SilenceHasAnEnd) {
  const SystemdScopes systemd = WithBusctl("sleep 60");
  const absl::Time start = absl::Now();
  EXPECT_THAT(systemd.Start(Spec()),
              HasStatus(absl::StatusCode::kDeadlineExceeded, ""));
  EXPECT_LT(absl::Now() - start, absl::Seconds(10));
}

TEST_F(SystemdScopeTest, NoBusctlIsSaidSo) {
  const SystemdScopes systemd(true, {dir_ / "none", absl::Seconds(1)});
  EXPECT_THAT(systemd.Start(Spec()),
              HasStatus(absl::StatusCode::kUnavailable, "none"));
}

TEST_F(SystemdScopeTest, LimitsAreSetForTheUnitsLife) {
  const SystemdScopes systemd = WithBusctl("");
  CgroupLimits limits;
  limits.cpu_quota_us = -1;
  EXPECT_OK(systemd.SetLimits("serai-x.scope", limits));
  EXPECT_THAT(Calls(), ElementsAre("SetUnitProperties sba(sv) serai-x.scope "
                                   "true 1 CPUQuotaPerSecUSec t "
                                   "18446744073709551615"));
}

TEST_F(SystemdScopeTest, StopOfAnUnknownScopeSucceeds) {
  EXPECT_OK(WithBusctl("").Stop("serai-x.scope"));
  EXPECT_OK(WithBusctl("echo 'Call failed: Unit serai-x.scope not loaded.' >&2;"
                       "exit 1")
                .Stop("serai-x.scope"));
  EXPECT_THAT(
      WithBusctl("echo 'Access denied' >&2; exit 1").Stop("serai-x.scope"),
      HasStatus(absl::StatusCode::kUnavailable, "Access denied"));
}

TEST_F(SystemdScopeTest, NamesAreChecked) {
  for (const char* name :
       {"x.scope", "cri-containerd-0123abc.scope", "a:b_c\\x2d.scope"}) {
    SCOPED_TRACE(name);
    EXPECT_OK(CheckScopeName(name));
  }
  for (const std::string& name :
       {std::string(), std::string(".scope"), std::string("x.service"),
        std::string("a/b.scope"), std::string("a b.scope"),
        std::string("a\n.scope"), std::string(300, 'a') + ".scope"}) {
    EXPECT_THAT(CheckScopeName(name),
                HasStatus(absl::StatusCode::kInvalidArgument, ""))
        << name;
  }
  ScopeSpec spec = Spec();
  spec.unit = "../x.scope";
  EXPECT_THAT(WithBusctl("").Start(spec),
              HasStatus(absl::StatusCode::kInvalidArgument, ""));
  EXPECT_THAT(Calls(), IsEmpty());
}

}  // namespace
}  // namespace serai::host
