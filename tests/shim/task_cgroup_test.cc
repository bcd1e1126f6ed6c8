// SPDX-License-Identifier: Apache-2.0
// A task's cgroup on the machine's own hierarchy, v1 or v2.
#include "shim/task_cgroup.h"

#include <sys/wait.h>
#include <unistd.h>

#include "absl/strings/match.h"
#include "lib/host/cgroup_membership.h"
#include "proto/task/metrics_v1.pb.h"
#include "proto/task/metrics_v2.pb.h"
#include "shim/child_call.h"
#include "shim/metrics.h"
#include "shim/oom_watch.h"
#include "tests/shim/task_cgroup_fixture.h"
#include "tests/support/waiting_child.h"

namespace serai::shim {
namespace {

using ::serai::testing::HasStatus;
using ::serai::testing::WaitingChild;
using ::testing::IsEmpty;

TEST(CgroupsPathTest, PathsAreTakenFromTheRoot) {
  for (const char* path : {"/default/app", "default/app"}) {
    ASSERT_OK_AND_ASSIGN(const CgroupPlace place, ParseCgroupsPath(path));
    EXPECT_EQ(place.path, "/default/app");
    EXPECT_EQ(place.scope, "");
  }
  ASSERT_OK_AND_ASSIGN(const CgroupPlace place,
                       ParseCgroupsPath("/kubepods/a:b:c"));
  EXPECT_EQ(place.path, "/kubepods/a:b:c");
}

TEST(CgroupsPathTest, SlicePrefixAndNameAreAScope) {
  ASSERT_OK_AND_ASSIGN(
      CgroupPlace place,
      ParseCgroupsPath("kubepods-podx_y.slice:cri-containerd:0123"));
  EXPECT_EQ(place.scope, "cri-containerd-0123.scope");
  EXPECT_EQ(place.slice, "kubepods-podx_y.slice");
  EXPECT_EQ(place.path,
            "/kubepods.slice/kubepods-podx_y.slice/cri-containerd-0123.scope");
  ASSERT_OK_AND_ASSIGN(place, ParseCgroupsPath("::app"));
  EXPECT_EQ(place.path, "/system.slice/app.scope");
  ASSERT_OK_AND_ASSIGN(place, ParseCgroupsPath("-.slice:x:app"));
  EXPECT_EQ(place.path, "/x-app.scope");
}

TEST(CgroupsPathTest, WhatCanBeNeitherIsRefused) {
  for (const char* path : {"a.slice:x:", "a.service:x:y", "a/b.slice:x:y",
                           "a.slice:x:y/z", "a.slice:x y:z", "--.slice:x:y"}) {
    EXPECT_THAT(ParseCgroupsPath(path),
                HasStatus(absl::StatusCode::kInvalidArgument, ""))
        << path;
  }
}

TEST_F(TaskCgroupTest, PathIsMadeLimitedAndRemoved) {
  host::CgroupLimits limits;
  limits.memory_bytes = 64 * kMiB;
  limits.pids_max = 4;
  ASSERT_OK_AND_ASSIGN(const auto cgroup, Make(limits));
  EXPECT_FALSE(cgroup->needs_admission());
  EXPECT_EQ(cgroup->record().path, top_ + "/app");
  EXPECT_EQ(cgroup->record().scope, "");
  EXPECT_EQ(cgroup->record().made.size(), hierarchy_->Roots().size() * 2);
  WaitingChild child;
  ASSERT_OK(Admit(*cgroup, child.pid()));
  ASSERT_OK_AND_ASSIGN(const auto usage, cgroup->cgroup().Usage());
  EXPECT_EQ(usage.memory_limit_bytes, 64 * kMiB);
  EXPECT_EQ(usage.pids, 1u);
  // Another task's, for all that is known.
  EXPECT_OK(cgroup->Remove());
  EXPECT_TRUE(cgroup->cgroup().Exists());
  ::kill(child.pid(), SIGKILL);
  child.Reap();
  EXPECT_OK(cgroup->Remove());
  ASSERT_OK_AND_ASSIGN(const auto top, host::Cgroup::Open(*hierarchy_, top_));
  EXPECT_FALSE(top.Exists());
}

TEST_F(TaskCgroupTest, RefusedLimitLeavesNothing) {
  host::CgroupLimits limits;
  limits.cpuset_cpus = "none";
  EXPECT_FALSE(Make(limits).ok());
  ASSERT_OK_AND_ASSIGN(const auto top, host::Cgroup::Open(*hierarchy_, top_));
  EXPECT_FALSE(top.Exists());
}

TEST_F(TaskCgroupTest, UpdateSetsLimits) {
  ASSERT_OK_AND_ASSIGN(const auto cgroup, Make());
  host::CgroupLimits limits;
  limits.memory_bytes = 32 * kMiB;
  limits.cpu_shares = 512;
  limits.pids_max = 7;
  EXPECT_OK(Update(*cgroup, limits));
  ASSERT_OK_AND_ASSIGN(const auto usage, cgroup->cgroup().Usage());
  EXPECT_EQ(usage.memory_limit_bytes, 32 * kMiB);
  EXPECT_EQ(cgroup->cgroup().Files("pids").Number("pids.max"), 7u);
  limits.cpuset_cpus = "none";
  EXPECT_FALSE(Update(*cgroup, limits).ok());
  EXPECT_OK(cgroup->Remove());
}

TEST_F(TaskCgroupTest, RecordedCgroupIsRemovedWhenNobodyIsInIt) {
  ASSERT_OK_AND_ASSIGN(const auto cgroup, Make());
  WaitingChild child;
  ASSERT_OK(cgroup->cgroup().AddProcess(child.pid()));
  EXPECT_OK(TaskCgroup::RemoveRecorded(cgroup->record()));
  EXPECT_TRUE(cgroup->cgroup().Exists());
  ::kill(child.pid(), SIGKILL);
  child.Reap();
  EXPECT_OK(TaskCgroup::RemoveRecorded(cgroup->record()));
  EXPECT_FALSE(cgroup->cgroup().Exists());
  EXPECT_OK(TaskCgroup::RemoveRecorded(cgroup->record()));
  EXPECT_OK(TaskCgroup::RemoveRecorded({}));
}

TEST_F(TaskCgroupTest, MetricsAreThoseOfTheNodesVersion) {
  host::CgroupLimits limits;
  limits.memory_bytes = 64 * kMiB;
  ASSERT_OK_AND_ASSIGN(const auto cgroup, Make(limits));
  WaitingChild child([] {
    Touch(8 * kMiB);
    for (;;) ::pause();
  });
  ASSERT_OK(cgroup->cgroup().AddProcess(child.pid()));
  child.Go();
  wire::Any any;
  // What containerd's CRI plugin computes from them.
  uint64_t cpu = 0;
  uint64_t rss = 0;
  uint64_t working_set = 0;
  const bool enough = RunUntil([&] {
    const auto read = ReadMetrics(cgroup->cgroup());
    EXPECT_OK(read);
    if (!read.ok()) return true;
    if (hierarchy_->is_v2()) {
      metrics::v2::Metrics metrics;
      EXPECT_TRUE(metrics.ParseFromString(read->value()));
      cpu = metrics.cpu().usage_usec();
      rss = metrics.memory().anon();
      working_set = metrics.memory().usage() - metrics.memory().inactive_file();
      EXPECT_EQ(metrics.memory().usage_limit(), uint64_t{64 * kMiB});
      EXPECT_EQ(metrics.pids().current(), 1u);
    } else {
      metrics::v1::Metrics metrics;
      EXPECT_TRUE(metrics.ParseFromString(read->value()));
      cpu = metrics.cpu().usage().total();
      rss = metrics.memory().total_rss();
      working_set = metrics.memory().usage().usage() -
                    metrics.memory().total_inactive_file();
      EXPECT_EQ(metrics.memory().usage().limit(), uint64_t{64 * kMiB});
      EXPECT_EQ(metrics.pids().current(), 1u);
    }
    return rss >= 8 * kMiB && cpu > 0;
  });
  EXPECT_TRUE(enough) << rss << " " << cpu;
  EXPECT_GE(working_set, rss);
  ::kill(child.pid(), SIGKILL);
  child.Reap();
  EXPECT_OK(cgroup->Remove());
}

TEST_F(TaskCgroupTest, OomIsToldWhileTheLoopRuns) {
  host::CgroupLimits limits;
  limits.memory_bytes = 16 * kMiB;
  ASSERT_OK_AND_ASSIGN(const auto cgroup, Make(limits));
  int told = 0;
  OomWatch watch(*loop_, cgroup->cgroup(), [&] { ++told; });
  EXPECT_FALSE(RunUntil([&, end = absl::Now() + absl::Milliseconds(100)] {
                 return told > 0 || absl::Now() > end;
               }) &&
               told > 0);
  for (int kill = 1; kill <= 2; ++kill) {
    WaitingChild child([] { Touch(64 * kMiB); });
    ASSERT_OK(cgroup->cgroup().AddProcess(child.pid()));
    child.Go();
    EXPECT_TRUE(RunUntil([&] { return told == kill; })) << kill;
    EXPECT_EQ(WTERMSIG(child.Reap()), SIGKILL);
  }
  EXPECT_TRUE(watch.seen());
  watch.Look();
  EXPECT_EQ(told, 2);
  EXPECT_EQ(cgroup->cgroup().OomKills(), 2u);
  // v1 tells of the removal as well, which is no kill.
  EXPECT_OK(cgroup->Remove());
  RunUntil([&, end = absl::Now() + absl::Milliseconds(300)] {
    return absl::Now() > end;
  });
  EXPECT_EQ(told, 2);
}

TEST_F(TaskCgroupTest, OomBeforeTheLoopComesToItIsFoundByLook) {
  host::CgroupLimits limits;
  limits.memory_bytes = 16 * kMiB;
  ASSERT_OK_AND_ASSIGN(const auto cgroup, Make(limits));
  int told = 0;
  OomWatch watch(*loop_, cgroup->cgroup(), [&] { ++told; });
  WaitingChild child([] { Touch(64 * kMiB); });
  ASSERT_OK(cgroup->cgroup().AddProcess(child.pid()));
  child.Go();
  EXPECT_EQ(WTERMSIG(child.Reap()), SIGKILL);
  watch.Finish(true);
  EXPECT_EQ(told, 1);
  EXPECT_OK(cgroup->Remove());
}

TEST_F(TaskCgroupTest, KillsOfOthersAreNoOom) {
  ASSERT_OK_AND_ASSIGN(const auto cgroup, Make());
  int told = 0;
  OomWatch watch(*loop_, cgroup->cgroup(), [&] { ++told; });
  WaitingChild child;
  ASSERT_OK(cgroup->cgroup().AddProcess(child.pid()));
  ::kill(child.pid(), SIGKILL);
  child.Reap();
  EXPECT_OK(cgroup->cgroup().Remove());
  RunUntil([&, end = absl::Now() + absl::Milliseconds(100)] {
    return absl::Now() > end;
  });
  watch.Finish(true);
  EXPECT_EQ(told, 0);
  EXPECT_OK(cgroup->Remove());
}

// As systemd does with a scope whose last process has ended.
TEST_F(TaskCgroupTest, OomIsToldThoughTheCgroupIsGone) {
  host::CgroupLimits limits;
  limits.memory_bytes = 16 * kMiB;
  ASSERT_OK_AND_ASSIGN(const auto cgroup, Make(limits));
  int told = 0;
  OomWatch watch(*loop_, cgroup->cgroup(), [&] { ++told; });
  WaitingChild child([] { Touch(64 * kMiB); });
  ASSERT_OK(cgroup->cgroup().AddProcess(child.pid()));
  child.Go();
  EXPECT_EQ(WTERMSIG(child.Reap()), SIGKILL);
  EXPECT_OK(cgroup->cgroup().Remove());
  watch.Finish(true);
  EXPECT_EQ(told, 1);
  EXPECT_OK(cgroup->Remove());
}

TEST_F(TaskCgroupTest, ChildCallsGiveResultsErrorsAndDeaths) {
  std::vector<absl::StatusOr<std::string>> answers;
  const auto take = [&](const absl::StatusOr<std::string>& answer) {
    answers.push_back(answer);
  };
  const auto call = [&](const ChildWork& work) {
    const size_t before = answers.size();
    EXPECT_OK(CallInChild(*loop_, work, take));
    EXPECT_TRUE(RunUntil([&] { return answers.size() > before; }));
    EXPECT_GT(::waitpid(-1, nullptr, 0), 0);
  };
  call([] { return std::string("a b\nc"); });
  call([] { return absl::NotFoundError("no such thing"); });
  call([]() -> absl::StatusOr<std::string> { ::_exit(3); });
  ASSERT_EQ(answers.size(), 3u);
  EXPECT_EQ(*answers[0], "a b\nc");
  EXPECT_THAT(answers[1],
              HasStatus(absl::StatusCode::kNotFound, "no such thing"));
  EXPECT_THAT(answers[2], HasStatus(absl::StatusCode::kInternal, "died"));
}

}  // namespace
}  // namespace serai::shim
