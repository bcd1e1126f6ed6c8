// SPDX-License-Identifier: Apache-2.0
// What a running task is limited by, through the task API.
#include <signal.h>

#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "lib/host/cgroup.h"
#include "tests/shim/pod_shim.h"
#include "tests/support/require.h"
#include "tests/support/status_matchers.h"

namespace serai::shim {
namespace {

using ::serai::testing::HasStatus;
using ::serai::testing::PodShim;

constexpr absl::StatusCode kInvalid = absl::StatusCode::kInvalidArgument;

class ResourcesTest : public ::testing::Test {
 protected:
  void SetUp() override {
    SERAI_NEED("root");
    auto hierarchy = host::CgroupHierarchy::Detect();
    ASSERT_OK(hierarchy);
    hierarchy_.emplace(*std::move(hierarchy));
  }

  // The controller's directory of a task.
  host::CgroupFiles Files(const PodShim& shim, const std::string& id,
                          const std::string& controller) {
    const auto cgroup = host::Cgroup::Open(*hierarchy_, shim.CgroupPath(id));
    EXPECT_OK(cgroup);
    return cgroup->Files(controller);
  }

  static void Run(PodShim& shim, const oci::RuntimeSpec& spec) {
    ASSERT_OK(shim.Create("a", spec));
    ASSERT_OK(shim.Start("a"));
  }

  std::optional<host::CgroupHierarchy> hierarchy_;
};

TEST_F(ResourcesTest, UpdateSetsWhatItNamesAndNothingElse) {
  PodShim shim;
  oci::RuntimeSpec spec = shim.Spec("a", "spin.spt", {"--idle"});
  spec.resources.memory_limit = 64 << 20;
  spec.resources.pids_limit = 20;
  Run(shim, spec);
  ASSERT_OK(shim.Update("a", R"({"cpu":{"quota":30000,"period":50000},
                                 "memory":{"limit":67108864}})"));
  if (hierarchy_->is_v2()) {
    EXPECT_EQ(Files(shim, "a", "").Lines("cpu.max").at(0).at(0), "30000");
  } else {
    const host::CgroupFiles cpu = Files(shim, "a", "cpu");
    EXPECT_EQ(cpu.Number("cpu.cfs_quota_us"), 30000u);
    EXPECT_EQ(cpu.Number("cpu.cfs_period_us"), 50000u);
  }
  EXPECT_EQ(Files(shim, "a", "pids").Number("pids.max"), 20u);
  EXPECT_EQ(shim.Stats("a")->memory_limit_bytes, 64u << 20);
  ASSERT_OK(shim.Update("a", R"({"pids":{"limit":30}})"));
  EXPECT_EQ(Files(shim, "a", "pids").Number("pids.max"), 30u);
  ASSERT_OK(shim.Update("a", "{}"));
}

TEST_F(ResourcesTest, MemoryOfAGuestIsNotChanged) {
  PodShim shim;
  oci::RuntimeSpec spec = shim.Spec("a", "spin.spt", {"--idle"});
  spec.resources.memory_limit = 64 << 20;
  spec.resources.pids_limit = 20;
  Run(shim, spec);
  for (const char* limit : {"134217728", "1048576", "-1"}) {
    EXPECT_THAT(shim.Update("a", absl::StrCat(R"({"memory":{"limit":)", limit,
                                              R"(},"pids":{"limit":5}})")),
                HasStatus(kInvalid,
                          "updating task a: a unikernel's memory is what it "
                          "was started with: the limit stays 67108864 bytes"))
        << limit;
  }
  // All or nothing.
  EXPECT_EQ(Files(shim, "a", "pids").Number("pids.max"), 20u);
  EXPECT_EQ(shim.Stats("a")->memory_limit_bytes, 64u << 20);
}

TEST_F(ResourcesTest, NonsenseIsRefused) {
  PodShim shim;
  Run(shim, shim.Spec("a", "spin.spt", {"--idle"}));
  const std::pair<std::string, std::string> cases[] = {
      {"", "not an object"},
      {"[1]", "not an object"},
      {std::string(200, '['), "not an object"},
      {R"({"cpu":{"quota":"all"}})", "cpu.quota is not an integer"},
      {R"({"cpu":{"cpus":"none"}})", "cpuset.cpus"},
      {R"({"memory":{"limit":1048576}})", "the limit stays unset"}};
  for (const auto& [resources, message] : cases) {
    EXPECT_THAT(shim.Update("a", resources), HasStatus(kInvalid, message))
        << resources;
  }
  EXPECT_THAT(shim.Update("b", "{}"),
              HasStatus(absl::StatusCode::kNotFound, "no task b"));
  task::UpdateTaskRequest windows;
  windows.set_id("a");
  windows.mutable_resources()->set_type_url(
      "types.containerd.io/opencontainers/runtime-spec/1/WindowsResources");
  EXPECT_THAT(shim.Call<wire::Empty>("Update", windows).status(),
              HasStatus(kInvalid, "WindowsResources"));
  ASSERT_OK(shim.Kill("a", SIGKILL));
  ASSERT_OK(shim.Wait("a").status());
  EXPECT_THAT(shim.Update("a", "{}"),
              HasStatus(absl::StatusCode::kFailedPrecondition, "has ended"));
}

TEST_F(ResourcesTest, RelativeCgroupsPathIsTakenFromTheRoot) {
  PodShim shim;
  oci::RuntimeSpec spec = shim.Spec("a", "spin.spt", {"--idle"});
  spec.cgroups_path = shim.CgroupPath("a").substr(1);
  Run(shim, spec);
  EXPECT_GE(shim.Stats("a")->pids, 1u);
  // Not the same number: the tender has helpers at its start.
  EXPECT_GE(Files(shim, "a", "pids").Number("pids.current"), 1u);
}

// Where no systemd runs, or it refuses.
TEST_F(ResourcesTest, ScopeThatCannotBeMadeLeavesNothing) {
  if (::access("/run/systemd/system", F_OK) == 0) {
    GTEST_SKIP() << "systemd runs here";
  }
  PodShim shim;
  oci::RuntimeSpec spec = shim.Spec("a", "spin.spt");
  spec.cgroups_path = absl::StrCat("seraitest.slice:x:", shim.unique());
  EXPECT_THAT(shim.Create("a", spec),
              HasStatus(absl::StatusCode::kUnavailable,
                        absl::StrCat("creating task a: x-", shim.unique(),
                                     ".scope: systemd")));
  EXPECT_THAT(shim.State("a"),
              HasStatus(absl::StatusCode::kNotFound, "no task a"));
  EXPECT_FALSE(PathExists(shim.BundlePath("a") + "/serai-task.json"));
  spec.cgroups_path = shim.CgroupPath("a");
  EXPECT_OK(shim.Create("a", spec));
}

}  // namespace
}  // namespace serai::shim
