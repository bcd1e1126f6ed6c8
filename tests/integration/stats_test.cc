// SPDX-License-Identifier: Apache-2.0
// What pods and containers use, as kubelet and crictl ask for it; and the lists
// as streams.
#include <atomic>
#include <map>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/time/clock.h"
#include "tests/integration/bad_input.h"

namespace serai::testing {
namespace {

using ::testing::UnorderedElementsAre;
using ::testing::UnorderedElementsAreArray;

using Runtime = cri::RuntimeService::Stub;

class StatsTest : public ::testing::Test {
 protected:
  void SetUp() override {
    SERAI_NEED("root");
    SERAI_NEED("net");
    NodeOptions options;
    options.chained = {};
    node_ = std::make_unique<TestNode>(options);
    node_->Start();
    ASSERT_OK_AND_ASSIGN(web_, node_->LoadGuests("web", {"web.spt"}));
  }

  absl::StatusOr<cri::PodSandboxStats> PodStats(const std::string& pod) {
    cri::PodSandboxStatsRequest request;
    request.set_pod_sandbox_id(pod);
    ASSIGN_OR_RETURN(
        const auto response,
        CallCri(node_->runtime(), &Runtime::PodSandboxStats, request));
    return response.stats();
  }

  std::vector<std::string> ListedPods(
      const cri::PodSandboxStatsFilter& filter) {
    cri::ListPodSandboxStatsRequest request;
    *request.mutable_filter() = filter;
    const auto response =
        CallCri(node_->runtime(), &Runtime::ListPodSandboxStats, request);
    EXPECT_OK(response);
    std::vector<std::string> ids;
    for (const auto& stats : response->stats()) {
      ids.push_back(stats.attributes().id());
    }
    return ids;
  }

  std::unique_ptr<TestNode> node_;
  std::string web_;
};

TEST_F(StatsTest, APodsTrafficIsCountedAsItsGuestSeesIt) {
  ASSERT_OK_AND_ASSIGN(const auto web, node_->Run("web", web_));
  ASSERT_OK(HttpGetRetried(web.ip, 80, "/"));
  ASSERT_OK_AND_ASSIGN(const cri::PodSandboxStats before, PodStats(web.pod));
  // Long requests, short answers.
  constexpr int kRequests = 20;
  const std::string text(800, 'x');
  for (int i = 0; i < kRequests; ++i) {
    ASSERT_OK(HttpGet(web.ip, 80, "/log?text=" + text));
  }
  ASSERT_OK_AND_ASSIGN(const cri::PodSandboxStats after, PodStats(web.pod));
  const auto& was = before.linux().network().default_interface();
  const auto& is = after.linux().network().default_interface();
  EXPECT_EQ(is.name(), "eth0");
  const uint64_t sent = is.tx_bytes().value() - was.tx_bytes().value();
  const uint64_t received = is.rx_bytes().value() - was.rx_bytes().value();
  EXPECT_GT(received, kRequests * text.size());
  EXPECT_GT(sent, 0u);
  EXPECT_LT(sent, received);
  EXPECT_TRUE(is.has_rx_errors());
  EXPECT_GT(after.linux().network().timestamp(),
            before.linux().network().timestamp());
}

TEST_F(StatsTest, APodsNumbersHoldThoseOfItsContainer) {
  ASSERT_OK_AND_ASSIGN(const auto web, node_->Run("web", web_));
  ASSERT_OK(HttpGetRetried(web.ip, 80, "/"));
  ASSERT_OK_AND_ASSIGN(const cri::PodSandboxStats stats, PodStats(web.pod));
  EXPECT_EQ(stats.attributes().id(), web.pod);
  EXPECT_EQ(stats.attributes().metadata().name(), "web");
  const cri::LinuxPodSandboxStats& pod = stats.linux();
  ASSERT_EQ(pod.containers_size(), 1);
  const cri::ContainerStats& container = pod.containers(0);
  EXPECT_EQ(container.attributes().id(), web.container);
  // The shim's beside the guest's.
  EXPECT_GT(pod.cpu().usage_core_nano_seconds().value(), 0u);
  EXPECT_TRUE(pod.cpu().has_usage_nano_cores());
  EXPECT_GE(pod.memory().usage_bytes().value(),
            container.memory().usage_bytes().value() / 2);
  EXPECT_EQ(pod.process().process_count().value(), 2u);
  EXPECT_TRUE(container.has_swap());
  EXPECT_TRUE(container.cpu().has_usage_nano_cores());
  EXPECT_EQ(container.writable_layer().fs_id().mountpoint(), node_->root());
}

TEST_F(StatsTest, APodInACgroupOfItsOwnIsMeasuredAsAWhole) {
  cri::PodSandboxConfig config = node_->PodConfig("own");
  config.mutable_linux()->set_cgroup_parent(node_->cgroup_parent() + "/pod1");
  ASSERT_OK_AND_ASSIGN(const std::string pod, node_->RunPod(config));
  ASSERT_OK_AND_ASSIGN(const std::string container,
                       node_->Create(pod, node_->ContainerConfig(web_, {})));
  ASSERT_OK(node_->StartContainer(container));
  ASSERT_OK_AND_ASSIGN(const cri::PodSandboxStats running, PodStats(pod));
  EXPECT_EQ(running.linux().process().process_count().value(), 2u);
  const uint64_t cpu = running.linux().cpu().usage_core_nano_seconds().value();
  EXPECT_GT(cpu, 0u);
  // What an ended container has used stays the pod's.
  ASSERT_OK(node_->StopContainer(container, 0));
  ASSERT_OK_AND_ASSIGN(const cri::PodSandboxStats ended, PodStats(pod));
  EXPECT_GE(ended.linux().cpu().usage_core_nano_seconds().value(), cpu);
  EXPECT_EQ(ended.linux().process().process_count().value(), 1u);
  EXPECT_EQ(ended.linux().containers_size(), 0);
}

TEST_F(StatsTest, TheRateIsThatOfTheTimeBetweenTwoCalls) {
  ASSERT_OK_AND_ASSIGN(const std::string spin,
                       node_->LoadGuests("spin", {"spin.spt"}));
  ASSERT_OK_AND_ASSIGN(const auto busy, node_->Run("busy", spin));
  ASSERT_OK_AND_ASSIGN(const auto idle, node_->Run("idle", web_));
  for (const auto* run : {&busy, &idle})
    ASSERT_OK(node_->StatsOf(run->container));
  absl::SleepFor(absl::Seconds(3));
  ASSERT_OK_AND_ASSIGN(const auto much, node_->StatsOf(busy.container));
  ASSERT_OK_AND_ASSIGN(const auto little, node_->StatsOf(idle.container));
  // Others use this machine as well.
  EXPECT_GT(much.cpu().usage_nano_cores().value(), 100'000'000u);
  EXPECT_LE(much.cpu().usage_nano_cores().value(), 1'100'000'000u);
  EXPECT_LT(little.cpu().usage_nano_cores().value(), 100'000'000u);
}

TEST_F(StatsTest, ListsOfPodStatsAreFilteredAndHaveWhatIsReady) {
  ASSERT_OK_AND_ASSIGN(const auto one, node_->Run("one", web_));
  cri::PodSandboxConfig config = node_->PodConfig("two");
  (*config.mutable_labels())["app"] = "shop";
  ASSERT_OK_AND_ASSIGN(const std::string two, node_->RunPod(config));
  ASSERT_OK_AND_ASSIGN(const std::string stopped, node_->RunPod("stopped"));
  ASSERT_OK(node_->StopPod(stopped));
  cri::PodSandboxStatsFilter filter;
  EXPECT_THAT(ListedPods(filter), UnorderedElementsAre(one.pod, two));
  (*filter.mutable_label_selector())["app"] = "shop";
  EXPECT_THAT(ListedPods(filter), UnorderedElementsAre(two));
  filter.Clear();
  filter.set_id(one.pod.substr(0, 12));
  EXPECT_THAT(ListedPods(filter), UnorderedElementsAre(one.pod));

  EXPECT_THAT(PodStats(stopped),
              HasStatus(absl::StatusCode::kFailedPrecondition, "not ready"));
  EXPECT_THAT(PodStats("nowhere"),
              HasStatus(absl::StatusCode::kNotFound, "nowhere"));
}

TEST_F(StatsTest, ListsDoNotFailForWhatEndsMeanwhile) {
  ASSERT_OK_AND_ASSIGN(const std::string exit,
                       node_->LoadGuests("exit", {"exit.spt"}));
  std::atomic<bool> done = false;
  std::thread lister([&] {
    while (!done) {
      EXPECT_OK(CallCri(node_->runtime(), &Runtime::ListContainerStats, {}));
      EXPECT_OK(CallCri(node_->runtime(), &Runtime::ListPodSandboxStats, {}));
    }
  });
  for (int i = 0; i < 10; ++i) {
    const auto run = node_->Run(absl::StrCat("pod", i), exit, {"--status=0"});
    EXPECT_OK(run);
    if (run.ok()) EXPECT_OK(node_->RemovePod(run->pod));
  }
  done = true;
  lister.join();
}

// What a kernel of cgroup v1, or an older one of v2, does not tell.
bool MayBeMissing(const std::string& name) {
  for (const char* beginning :
       {"container_blkio_", "container_fs_reads_", "container_fs_writes_",
        "container_pressure_", "container_memory_max_usage_bytes",
        // The container has none.
        "container_spec_cpu_quota"}) {
    if (name.rfind(beginning, 0) == 0) return true;
  }
  return false;
}

TEST_F(StatsTest, EveryMetricThatIsDescribedHasAValue) {
  ASSERT_OK_AND_ASSIGN(const auto web, node_->Run("web", web_));
  ASSERT_OK(HttpGetRetried(web.ip, 80, "/"));
  ASSERT_OK_AND_ASSIGN(
      const auto described,
      CallCri(node_->runtime(), &Runtime::ListMetricDescriptors, {}));
  ASSERT_OK_AND_ASSIGN(
      const auto listed,
      CallCri(node_->runtime(), &Runtime::ListPodSandboxMetrics, {}));
  ASSERT_EQ(listed.pod_metrics_size(), 1);
  const cri::PodSandboxMetrics& pod = listed.pod_metrics(0);
  EXPECT_EQ(pod.pod_sandbox_id(), web.pod);
  ASSERT_EQ(pod.container_metrics_size(), 1);
  EXPECT_EQ(pod.container_metrics(0).container_id(), web.container);
  std::map<std::string, cri::Metric> metrics;
  for (const auto& metric : pod.metrics()) metrics[metric.name()] = metric;
  for (const auto& metric : pod.container_metrics(0).metrics()) {
    metrics[metric.name()] = metric;
  }
  EXPECT_GE(described.descriptors_size(), 45);
  for (const auto& descriptor : described.descriptors()) {
    const std::string& name = descriptor.name();
    const auto metric = metrics.find(name);
    if (metric == metrics.end()) {
      EXPECT_TRUE(MayBeMissing(name)) << name;
      continue;
    }
    EXPECT_EQ(metric->second.label_values_size(), descriptor.label_keys_size())
        << name;
  }
  EXPECT_GT(metrics["container_network_receive_packets_total"].value().value(),
            0u);
  EXPECT_EQ(metrics["container_processes"].value().value(), 1u);
  EXPECT_GT(metrics["container_memory_usage_bytes"].value().value(), 0u);
  // The guest and the tender's part.
  EXPECT_EQ(metrics["container_spec_memory_limit_bytes"].value().value(),
            uint64_t{64 << 20});
}

TEST_F(StatsTest, StreamsHaveWhatTheListsHave) {
  std::map<std::string, std::string> containers;
  for (int i = 0; i < 3; ++i) {
    ASSERT_OK_AND_ASSIGN(const auto run,
                         node_->Run(absl::StrCat("pod", i), web_));
    containers[run.container] = run.pod;
  }
  // The ids in all batches of a stream.
  const auto collect = [](auto stream, auto ids_of) {
    std::vector<std::string> ids;
    auto response = stream.second;
    while (stream.first->Read(&response)) ids_of(response, ids);
    EXPECT_OK(FromGrpc(stream.first->Finish()));
    return ids;
  };
  std::vector<std::string> pods;
  std::vector<std::string> ids;
  for (const auto& [container, pod] : containers) {
    ids.push_back(container);
    pods.push_back(pod);
  }
  {
    Call call;
    EXPECT_THAT(
        collect(std::pair(node_->runtime().StreamPodSandboxes(call.get(), {}),
                          cri::StreamPodSandboxesResponse()),
                [](const auto& batch, auto& out) {
                  for (const auto& i : batch.pod_sandboxes()) {
                    out.push_back(i.id());
                  }
                }),
        UnorderedElementsAreArray(pods));
  }
  {
    Call call;
    EXPECT_THAT(
        collect(std::pair(node_->runtime().StreamContainers(call.get(), {}),
                          cri::StreamContainersResponse()),
                [](const auto& batch, auto& out) {
                  for (const auto& i : batch.containers()) {
                    out.push_back(i.id());
                  }
                }),
        UnorderedElementsAreArray(ids));
  }
  {
    Call call;
    EXPECT_THAT(
        collect(std::pair(node_->runtime().StreamContainerStats(call.get(), {}),
                          cri::StreamContainerStatsResponse()),
                [](const auto& batch, auto& out) {
                  for (const auto& i : batch.container_stats()) {
                    out.push_back(i.attributes().id());
                  }
                }),
        UnorderedElementsAreArray(ids));
  }
  {
    Call call;
    EXPECT_THAT(collect(std::pair(node_->runtime().StreamPodSandboxStats(
                                      call.get(), {}),
                                  cri::StreamPodSandboxStatsResponse()),
                        [](const auto& batch, auto& out) {
                          for (const auto& i : batch.pod_sandbox_stats()) {
                            out.push_back(i.attributes().id());
                          }
                        }),
                UnorderedElementsAreArray(pods));
  }
  {
    Call call;
    EXPECT_THAT(collect(std::pair(node_->runtime().StreamPodSandboxMetrics(
                                      call.get(), {}),
                                  cri::StreamPodSandboxMetricsResponse()),
                        [](const auto& batch, auto& out) {
                          for (const auto& i : batch.pod_sandbox_metrics()) {
                            out.push_back(i.pod_sandbox_id());
                          }
                        }),
                UnorderedElementsAreArray(pods));
  }
  {
    Call call;
    EXPECT_THAT(collect(std::pair(node_->images().StreamImages(call.get(), {}),
                                  cri::StreamImagesResponse()),
                        [](const auto& batch, auto& out) {
                          for (const auto& i : batch.images()) {
                            out.push_back(i.id());
                          }
                        }),
                UnorderedElementsAre(web_));
  }
}

}  // namespace
}  // namespace serai::testing
