// SPDX-License-Identifier: Apache-2.0
#include "cri/stats/metric_descriptors.h"

#include <map>
#include <set>

#include "cri/stats/container_metrics.h"
#include "lib/base/file.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temp_dir.h"

namespace serai::cri {
namespace {

namespace v1 = runtime::v1;

using ::testing::IsEmpty;
using ::testing::SizeIs;

// Each metric's number of labels, by its name.
std::map<std::string, int> Described() {
  std::map<std::string, int> labels;
  for (const v1::MetricDescriptor& descriptor : MetricDescriptors()) {
    EXPECT_FALSE(descriptor.help().empty()) << descriptor.name();
    EXPECT_TRUE(
        labels.emplace(descriptor.name(), descriptor.label_keys_size()).second)
        << descriptor.name() << " is described twice";
  }
  return labels;
}

class MetricsOfGroup : public ::testing::Test {
 protected:
  void Write(const std::string& file, const std::string& content) {
    ASSERT_OK(MakeDirs(dir_ / "c"));
    ASSERT_OK(WriteFileAtomic(dir_ / "c/" + file, content));
  }

  void Read() {
    state::v1::ContainerRecord record;
    record.set_started_at_ns(1'700'000'000'000'000'000);
    record.mutable_config()
        ->mutable_linux()
        ->mutable_resources()
        ->set_cpu_quota(20000);
    ASSERT_OK_AND_ASSIGN(
        const host::Cgroup cgroup,
        host::Cgroup::Open(host::CgroupHierarchy::V2(dir_.path()), "/c"));
    MetricWriter writer({"c", "/c", "web:1", "abc", "default", "web"}, 9,
                        &metrics_);
    ASSERT_OK(AddContainerMetrics(record, cgroup, dir_.path(), 5'000'000'000,
                                  writer));
    AddNetworkMetrics("eth0", {{1, 2, 3, 4}, {5, 6, 7, 8}}, writer);
  }

  // The only value of a metric, or that with these last labels.
  int64_t Value(const std::string& name,
                const std::vector<std::string>& more = {}) {
    for (const v1::Metric& metric : metrics_) {
      const std::vector<std::string> labels(
          metric.label_values().begin() + kBaseLabels.size(),
          metric.label_values().end());
      if (metric.name() == name && (more.empty() || labels == more)) {
        return static_cast<int64_t>(metric.value().value());
      }
    }
    return -1;
  }

  const serai::testing::TempDir dir_;
  google::protobuf::RepeatedPtrField<v1::Metric> metrics_;
};

TEST_F(MetricsOfGroup, EveryMetricIsAsItIsDescribed) {
  Write("cpu.stat",
        "usage_usec 3500000\nuser_usec 2000000\nsystem_usec 1500000\n"
        "nr_periods 10\nnr_throttled 3\nthrottled_usec 2000000\n");
  Write("memory.stat",
        "anon 100\nfile 50\nfile_mapped 20\nkernel 7\n"
        "inactive_file 30\npgfault 4\npgmajfault 2\n");
  Write("memory.current", "150\n");
  Write("memory.peak", "200\n");
  Write("memory.max", "1000\n");
  Write("memory.events", "low 0\nhigh 0\nmax 5\noom 1\noom_kill 1\n");
  Write("memory.swap.current", "6\n");
  Write("io.stat",
        "8:16 rbytes=4096 wbytes=512 rios=2 wios=1 dbytes=0 dios=0\n");
  Write("cpu.pressure",
        "some avg10=0 avg60=0 avg300=0 total=4000000\n"
        "full avg10=0 avg60=0 avg300=0 total=1000000\n");
  Write("pids.current", "2\n");
  Write("pids.max", "max\n");
  Write("cgroup.procs", "");
  Read();
  std::map<std::string, int> described = Described();
  std::set<std::string> seen;
  for (const v1::Metric& metric : metrics_) {
    ASSERT_EQ(described.count(metric.name()), 1u) << metric.name();
    EXPECT_EQ(described[metric.name()], metric.label_values_size())
        << metric.name();
    seen.insert(metric.name());
  }
  for (const std::string& name : seen) described.erase(name);
  // There is no process here to have any, and only CPU is short.
  described.erase("container_ulimits_soft");
  for (const char* resource : {"io", "memory"}) {
    for (const char* kind : {"stalled", "waiting"}) {
      described.erase(absl::StrCat("container_pressure_", resource, "_", kind,
                                   "_seconds_total"));
    }
  }
  EXPECT_THAT(described, IsEmpty());

  EXPECT_EQ(Value("container_cpu_usage_seconds_total"), 3);
  EXPECT_EQ(Value("container_cpu_user_seconds_total"), 2);
  EXPECT_EQ(Value("container_cpu_system_seconds_total"), 1);
  EXPECT_EQ(Value("container_cpu_cfs_throttled_seconds_total"), 2);
  EXPECT_EQ(Value("container_spec_cpu_quota"), 20000);
  EXPECT_EQ(Value("container_spec_cpu_period"), 100000);
  EXPECT_EQ(Value("container_memory_working_set_bytes"), 120);
  EXPECT_EQ(Value("container_memory_cache"), 50);
  EXPECT_EQ(Value("container_memory_max_usage_bytes"), 200);
  EXPECT_EQ(Value("container_memory_failcnt"), 5);
  EXPECT_EQ(Value("container_memory_swap"), 6);
  EXPECT_EQ(Value("container_oom_events_total"), 1);
  EXPECT_EQ(
      Value("container_memory_failures_total", {"pgmajfault", "hierarchy"}), 2);
  EXPECT_EQ(Value("container_fs_reads_bytes_total", {"8:16"}), 4096);
  EXPECT_EQ(
      Value("container_blkio_device_usage_total", {"8:16", "8", "16", "Write"}),
      512);
  EXPECT_EQ(Value("container_pressure_cpu_waiting_seconds_total"), 4);
  EXPECT_EQ(Value("container_pressure_cpu_stalled_seconds_total"), 1);
  EXPECT_EQ(Value("container_start_time_seconds"), 1'700'000'000);
  EXPECT_EQ(Value("container_last_seen"), 5);
  EXPECT_EQ(Value("container_threads_max"), 0);
  // What the tap sent, the guest received.
  EXPECT_EQ(Value("container_network_receive_bytes_total", {"eth0"}), 5);
  EXPECT_EQ(Value("container_network_transmit_packets_dropped_total"), 4);
}

// critest wants these 56; hugepages are not accounted here.
TEST(MetricDescriptorsTest, AllOfCAdvisorsButThoseOfHugepagesAreThere) {
  EXPECT_THAT(Described(), SizeIs(54));
}

}  // namespace
}  // namespace serai::cri
