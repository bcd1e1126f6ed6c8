// SPDX-License-Identifier: Apache-2.0
// containerd's metrics out of the files of a directory that stands for a
// cgroup. Those of a real one: task_cgroup_test.cc.
#include "shim/metrics.h"

#include <limits>

#include "proto/task/metrics_v1.pb.h"
#include "proto/task/metrics_v2.pb.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temp_dir.h"

namespace serai::shim {
namespace {

using ::serai::testing::HasStatus;
using ::serai::testing::TempDir;
using ::testing::ElementsAre;

constexpr uint64_t kNoLimit = std::numeric_limits<uint64_t>::max();

class MetricsTest : public ::testing::Test {
 protected:
  void SetUp() override { ASSERT_OK(MakeDirs(dir_ / "app")); }

  void Write(const std::string& file, const std::string& content) {
    EXPECT_OK(WriteFileAtomic(dir_ / ("app/" + file), content));
  }

  template <typename Metrics>
  absl::StatusOr<Metrics> Read(const host::CgroupHierarchy& hierarchy,
                               const std::string& type_url) {
    ASSIGN_OR_RETURN(const auto cgroup, host::Cgroup::Open(hierarchy, "/app"));
    ASSIGN_OR_RETURN(const wire::Any any, ReadMetrics(cgroup));
    EXPECT_EQ(any.type_url(), type_url);
    Metrics metrics;
    EXPECT_TRUE(metrics.ParseFromString(any.value()));
    return metrics;
  }
  absl::StatusOr<metrics::v1::Metrics> ReadV1() {
    return Read<metrics::v1::Metrics>(
        host::CgroupHierarchy::V1({{"memory", dir_.path()},
                                   {"cpu", dir_.path()},
                                   {"cpuacct", dir_.path()},
                                   {"pids", dir_.path()}}),
        "io.containerd.cgroups.v1.Metrics");
  }
  absl::StatusOr<metrics::v2::Metrics> ReadV2() {
    return Read<metrics::v2::Metrics>(host::CgroupHierarchy::V2(dir_.path()),
                                      "io.containerd.cgroups.v2.Metrics");
  }

  TempDir dir_;
};

TEST_F(MetricsTest, V2HasWhatTheFilesHave) {
  Write("pids.current", "3\n");
  Write("pids.max", "max\n");
  Write("cpu.stat",
        "usage_usec 30\nuser_usec 20\nsystem_usec 10\nnr_periods 5\n"
        "nr_throttled 4\nthrottled_usec 3\nnr_bursts 2\nburst_usec 1\n");
  Write("cpu.pressure", "some avg10=1.50 avg60=0.25 avg300=0.00 total=77\n");
  Write("memory.stat",
        "anon 1000\nfile 200\ninactive_file 50\nslab_unreclaimable 7\n"
        "pgfault 11\npgmajfault 2\nthp_collapse_alloc 1\n"
        "workingset_refault_file 9\nunknown_thing 5\n");
  Write("memory.current", "1300\n");
  Write("memory.max", "4096\n");
  Write("memory.peak", "2000\n");
  Write("memory.swap.max", "max\n");
  Write("memory.events",
        "low 1\nhigh 2\nmax 3\noom 4\noom_kill 5\noom_group_kill 6\n");
  Write("memory.pressure",
        "some avg10=0.00 avg60=0.00 avg300=0.00 total=1\n"
        "full avg10=0.00 avg60=0.00 avg300=2.00 total=2\n");
  Write("io.stat",
        "8:0 rbytes=1 wbytes=2 rios=3 wios=4 dbytes=5 dios=6\n"
        "x:y rbytes=1\n253:16 wbytes=9\n");
  ASSERT_OK_AND_ASSIGN(const auto metrics, ReadV2());
  EXPECT_EQ(metrics.pids().current(), 3u);
  EXPECT_EQ(metrics.pids().limit(), kNoLimit);
  EXPECT_EQ(metrics.cpu().usage_usec(), 30u);
  EXPECT_EQ(metrics.cpu().throttled_usec(), 3u);
  EXPECT_EQ(metrics.cpu().burst_usec(), 1u);
  EXPECT_EQ(metrics.cpu().psi().some().avg10(), 1.5);
  EXPECT_EQ(metrics.cpu().psi().some().total(), 77u);
  EXPECT_FALSE(metrics.cpu().psi().has_full());
  const auto& memory = metrics.memory();
  EXPECT_EQ(memory.anon(), 1000u);
  EXPECT_EQ(memory.inactive_file(), 50u);
  EXPECT_EQ(memory.slab_unreclaimable(), 7u);
  EXPECT_EQ(memory.pgmajfault(), 2u);
  EXPECT_EQ(memory.workingset_refault_file(), 9u);
  EXPECT_EQ(memory.usage(), 1300u);
  EXPECT_EQ(memory.usage_limit(), 4096u);
  EXPECT_EQ(memory.max_usage(), 2000u);
  EXPECT_EQ(memory.swap_limit(), kNoLimit);
  EXPECT_EQ(memory.psi().full().avg300(), 2.0);
  EXPECT_EQ(metrics.memory_events().oom_kill(), 5u);
  EXPECT_EQ(metrics.memory_events().oom_group_kill(), 6u);
  ASSERT_EQ(metrics.io().usage_size(), 2);
  EXPECT_EQ(metrics.io().usage(0).major(), 8u);
  EXPECT_EQ(metrics.io().usage(0).wios(), 4u);
  EXPECT_EQ(metrics.io().usage(1).minor(), 16u);
  EXPECT_EQ(metrics.io().usage(1).wbytes(), 9u);
  EXPECT_FALSE(metrics.io().has_psi());
}

TEST_F(MetricsTest, V1HasWhatTheFilesHave) {
  Write("pids.current", "3\n");
  Write("pids.max", "16\n");
  Write("cpuacct.usage", "300\n");
  Write("cpuacct.usage_user", "200\n");
  Write("cpuacct.usage_sys", "100\n");
  Write("cpuacct.usage_percpu", "250 50 \n");
  Write("cpu.stat", "nr_periods 5\nnr_throttled 4\nthrottled_time 3\n");
  Write("memory.stat",
        "cache 1\nrss 2\npgpgin 3\npgmajfault 4\n"
        "hierarchical_memory_limit 5\nhierarchical_memsw_limit 6\n"
        "total_rss 7\ntotal_pgfault 8\ntotal_inactive_file 9\n");
  Write("memory.usage_in_bytes", "1300\n");
  Write("memory.limit_in_bytes", "4096\n");
  Write("memory.max_usage_in_bytes", "2000\n");
  Write("memory.failcnt", "1\n");
  Write("memory.kmem.usage_in_bytes", "12\n");
  Write("memory.oom_control", "oom_kill_disable 0\nunder_oom 0\noom_kill 2\n");
  ASSERT_OK_AND_ASSIGN(const auto metrics, ReadV1());
  EXPECT_EQ(metrics.pids().current(), 3u);
  EXPECT_EQ(metrics.pids().limit(), 16u);
  EXPECT_EQ(metrics.cpu().usage().total(), 300u);
  EXPECT_EQ(metrics.cpu().usage().user(), 200u);
  EXPECT_EQ(metrics.cpu().usage().kernel(), 100u);
  EXPECT_THAT(metrics.cpu().usage().per_cpu(), ElementsAre(250, 50));
  EXPECT_EQ(metrics.cpu().throttling().throttled_periods(), 4u);
  const auto& memory = metrics.memory();
  EXPECT_EQ(memory.cache(), 1u);
  EXPECT_EQ(memory.pg_pg_in(), 3u);
  EXPECT_EQ(memory.pg_maj_fault(), 4u);
  EXPECT_EQ(memory.hierarchical_swap_limit(), 6u);
  EXPECT_EQ(memory.total_rss(), 7u);
  EXPECT_EQ(memory.total_pg_fault(), 8u);
  EXPECT_EQ(memory.total_inactive_file(), 9u);
  EXPECT_EQ(memory.usage().usage(), 1300u);
  EXPECT_EQ(memory.usage().limit(), 4096u);
  EXPECT_EQ(memory.usage().max(), 2000u);
  EXPECT_EQ(memory.usage().failcnt(), 1u);
  EXPECT_EQ(memory.kernel().usage(), 12u);
  EXPECT_TRUE(memory.has_swap());
  EXPECT_EQ(metrics.memory_oom_control().oom_kill(), 2u);
}

TEST_F(MetricsTest, FilesThatAreNotThereAreZeros) {
  ASSERT_OK_AND_ASSIGN(const auto v2, ReadV2());
  EXPECT_EQ(v2.memory().usage(), 0u);
  EXPECT_TRUE(v2.has_cpu());
  ASSERT_OK_AND_ASSIGN(const auto v1, ReadV1());
  EXPECT_EQ(v1.memory().usage().usage(), 0u);
  EXPECT_TRUE(v1.cpu().has_usage());
}

TEST_F(MetricsTest, NoCgroupIsNotFound) {
  ASSERT_OK(RemoveTree(dir_ / "app"));
  EXPECT_THAT(ReadV2(), HasStatus(absl::StatusCode::kNotFound, "/app"));
  EXPECT_THAT(ReadV1(), HasStatus(absl::StatusCode::kNotFound, "/app"));
}

}  // namespace
}  // namespace serai::shim
