// SPDX-License-Identifier: Apache-2.0
// What kubelet asks of a container beside its life: its log anew, its numbers,
// its place in a list; and block volumes.
#include <unistd.h>

#include <cstdio>

#include "absl/strings/match.h"
#include "absl/time/clock.h"
#include "lib/base/file.h"
#include "tests/integration/bad_input.h"

namespace serai::testing {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::UnorderedElementsAre;

using Runtime = cri::RuntimeService::Stub;

class ContainerCallsTest : public BadInputTest {
 protected:
  void SetUp() override {
    ASSERT_NO_FATAL_FAILURE(BadInputTest::SetUp());
    if (IsSkipped()) return;
    ASSERT_NO_FATAL_FAILURE(StartNode());
    ASSERT_OK_AND_ASSIGN(image_, node_->LoadGuests("web", {"web.spt"}));
  }

  absl::Status ReopenLog(const std::string& container) {
    cri::ReopenContainerLogRequest request;
    request.set_container_id(container);
    return CallCri(node_->runtime(), &Runtime::ReopenContainerLog, request)
        .status();
  }

  // The content of `path` once `line` is in it.
  static std::string ReadUntilIn(const std::string& path,
                                 const std::string& line) {
    const absl::Time deadline = absl::Now() + absl::Seconds(10);
    std::string content;
    while (!absl::StrContains(content, line) && absl::Now() < deadline) {
      content = ReadFile(path, 1 << 20).value_or("");
      absl::SleepFor(absl::Milliseconds(5));
    }
    EXPECT_THAT(content, HasSubstr(line));
    return content;
  }

  absl::StatusOr<cri::ContainerStats> StatsOf(const std::string& container) {
    cri::ContainerStatsRequest request;
    request.set_container_id(container);
    ASSIGN_OR_RETURN(
        const auto response,
        CallCri(node_->runtime(), &Runtime::ContainerStats, request));
    return response.stats();
  }

  std::vector<std::string> ListedBy(const cri::ContainerFilter& filter) {
    cri::ListContainersRequest request;
    *request.mutable_filter() = filter;
    const auto response =
        CallCri(node_->runtime(), &Runtime::ListContainers, request);
    EXPECT_OK(response);
    std::vector<std::string> ids;
    for (const auto& container : response->containers()) {
      ids.push_back(container.id());
    }
    return ids;
  }

  std::string image_;
};

TEST_F(ContainerCallsTest, ARenamedLogIsFollowedByANewOne) {
  ASSERT_OK_AND_ASSIGN(const auto web, node_->Run("web", image_));
  ASSERT_OK(HttpGetRetried(web.ip, 80, "/log?text=one"));
  ASSERT_OK_AND_ASSIGN(const auto status, node_->StatusOf(web.container));
  const std::string& log = status.log_path();
  const std::string rotated = log + ".1";
  ASSERT_EQ(std::rename(log.c_str(), rotated.c_str()), 0);
  ASSERT_OK(HttpGet(web.ip, 80, "/log?text=two"));
  const std::string before = ReadUntilIn(rotated, " stdout F two\n");
  EXPECT_THAT(before, HasSubstr(" stdout F one\n"));
  EXPECT_OK(ReopenLog(web.container));
  ASSERT_OK(HttpGet(web.ip, 80, "/log?text=three"));
  const std::string after = ReadUntilIn(log, " stdout F three\n");
  EXPECT_THAT(after, Not(HasSubstr("two")));
  EXPECT_EQ(ReadFile(rotated, 1 << 20).value_or(""), before);

  // There is nothing to write to a log any more.
  ASSERT_OK(node_->StopContainer(web.container, 0));
  ASSERT_EQ(::unlink(log.c_str()), 0);
  EXPECT_THAT(ReopenLog(web.container),
              HasStatus(absl::StatusCode::kFailedPrecondition, "not running"));
  EXPECT_FALSE(PathExists(log));
}

TEST_F(ContainerCallsTest, StatsTellWhatAGuestUses) {
  ASSERT_OK_AND_ASSIGN(const auto web, node_->Run("web", image_));
  ASSERT_OK(HttpGetRetried(web.ip, 80, "/"));
  ASSERT_OK_AND_ASSIGN(const cri::ContainerStats first, StatsOf(web.container));
  for (int i = 0; i < 50; ++i) ASSERT_OK(HttpGet(web.ip, 80, "/"));
  // The kernel counts small amounts with some seconds' delay.
  const absl::Time deadline = absl::Now() + absl::Seconds(10);
  cri::ContainerStats stats;
  do {
    ASSERT_OK_AND_ASSIGN(stats, StatsOf(web.container));
  } while (stats.memory().rss_bytes().value() == 0 && absl::Now() < deadline);
  EXPECT_EQ(stats.attributes().id(), web.container);
  EXPECT_EQ(stats.attributes().metadata().name(), "c");
  const int64_t now = absl::GetCurrentTimeNanos();
  EXPECT_NEAR(static_cast<double>(stats.cpu().timestamp()),
              static_cast<double>(now), 60e9);
  const uint64_t cpu = stats.cpu().usage_core_nano_seconds().value();
  EXPECT_GT(cpu, first.cpu().usage_core_nano_seconds().value());
  EXPECT_LT(cpu, 60'000'000'000u);
  const cri::MemoryUsage& memory = stats.memory();
  // More than the guest's code, less than guest and overhead together.
  EXPECT_GT(memory.usage_bytes().value(), 100u << 10);
  EXPECT_LT(memory.usage_bytes().value(), 64u << 20);
  EXPECT_GT(memory.working_set_bytes().value(), 0u);
  EXPECT_LE(memory.working_set_bytes().value(), memory.usage_bytes().value());
  EXPECT_GT(memory.rss_bytes().value(), 0u);
  EXPECT_GT(memory.page_faults().value(), 0u);
}

TEST_F(ContainerCallsTest, TheListOfStatsHasWhatRuns) {
  ASSERT_OK_AND_ASSIGN(const auto one, node_->Run("one", image_));
  ASSERT_OK_AND_ASSIGN(const auto two, node_->Run("two", image_));
  ASSERT_OK_AND_ASSIGN(const auto ended, node_->Run("ended", image_));
  ASSERT_OK(node_->StopContainer(ended.container, 0));
  const auto listed = [this](const cri::ContainerStatsFilter& filter) {
    cri::ListContainerStatsRequest request;
    *request.mutable_filter() = filter;
    const auto response =
        CallCri(node_->runtime(), &Runtime::ListContainerStats, request);
    EXPECT_OK(response);
    std::vector<std::string> ids;
    for (const auto& stats : response->stats()) {
      EXPECT_GT(stats.memory().working_set_bytes().value(), 0u);
      ids.push_back(stats.attributes().id());
    }
    return ids;
  };
  cri::ContainerStatsFilter filter;
  EXPECT_THAT(listed(filter),
              UnorderedElementsAre(one.container, two.container));
  filter.set_pod_sandbox_id(two.pod);
  EXPECT_THAT(listed(filter), UnorderedElementsAre(two.container));
  filter.Clear();
  filter.set_id(one.container);
  EXPECT_THAT(listed(filter), UnorderedElementsAre(one.container));
}

TEST_F(ContainerCallsTest, AContainerThatDoesNotRunHasNoStats) {
  ASSERT_OK_AND_ASSIGN(const auto web, node_->Run("web", image_));
  ASSERT_OK(node_->StopContainer(web.container, 0));
  EXPECT_THAT(StatsOf(web.container),
              HasStatus(absl::StatusCode::kNotFound, web.container));
}

TEST_F(ContainerCallsTest, ListsAreFiltered) {
  ASSERT_OK_AND_ASSIGN(const auto one, node_->Run("one", image_));
  ASSERT_OK_AND_ASSIGN(const std::string pod, node_->RunPod("two"));
  auto config = node_->ContainerConfig(image_, {});
  (*config.mutable_labels())["app"] = "shop";
  (*config.mutable_labels())["tier"] = "front";
  ASSERT_OK_AND_ASSIGN(const std::string two, node_->Create(pod, config));

  cri::ContainerFilter filter;
  EXPECT_THAT(ListedBy(filter), UnorderedElementsAre(one.container, two));
  filter.mutable_state()->set_state(cri::CONTAINER_RUNNING);
  EXPECT_THAT(ListedBy(filter), UnorderedElementsAre(one.container));
  filter.mutable_state()->set_state(cri::CONTAINER_CREATED);
  EXPECT_THAT(ListedBy(filter), UnorderedElementsAre(two));
  filter.mutable_state()->set_state(cri::CONTAINER_EXITED);
  EXPECT_THAT(ListedBy(filter), UnorderedElementsAre());
  filter.Clear();
  filter.set_pod_sandbox_id(pod);
  EXPECT_THAT(ListedBy(filter), UnorderedElementsAre(two));
  filter.Clear();
  filter.set_id(one.container.substr(0, 13));
  EXPECT_THAT(ListedBy(filter), UnorderedElementsAre(one.container));
  filter.Clear();
  (*filter.mutable_label_selector())["app"] = "shop";
  EXPECT_THAT(ListedBy(filter), UnorderedElementsAre(two));
  (*filter.mutable_label_selector())["tier"] = "back";
  EXPECT_THAT(ListedBy(filter), UnorderedElementsAre());
  filter.Clear();
  filter.set_id(one.container);
  filter.set_pod_sandbox_id(pod);
  EXPECT_THAT(ListedBy(filter), UnorderedElementsAre());
}

class BlockVolumeTest : public ContainerCallsTest {
 protected:
  void SetUp() override {
    ASSERT_NO_FATAL_FAILURE(ContainerCallsTest::SetUp());
    if (IsSkipped()) return;
    ASSERT_OK_AND_ASSIGN(block_, node_->LoadGuests("block", {"block.spt"}));
    disk_ = node_->directory() + "/disk.img";
    std::string content(64 << 10, '\0');
    content.replace(0, 5, "camel");
    ASSERT_OK(WriteFileAtomic(disk_, content));
  }

  // The log of a guest that has run to its end with the disk.
  absl::StatusOr<std::string> RunToEnd(const cri::ContainerConfig& config,
                                       int exit_code) {
    ASSIGN_OR_RETURN(const std::string pod, node_->RunPod("block"));
    ASSIGN_OR_RETURN(const std::string container, node_->Create(pod, config));
    RETURN_IF_ERROR(node_->StartContainer(container));
    ASSIGN_OR_RETURN(const auto status, node_->WaitExited(container));
    EXPECT_EQ(status.exit_code(), exit_code) << status.message();
    auto log = LogOf(container);
    RETURN_IF_ERROR(node_->RemovePod(pod));
    return log;
  }

  cri::ContainerConfig WithDevice(const std::vector<std::string>& args,
                                  const std::string& permissions) {
    auto config = node_->ContainerConfig(block_, args);
    cri::Device* device = config.add_devices();
    device->set_container_path("/dev/storage");
    device->set_host_path(disk_);
    device->set_permissions(permissions);
    return config;
  }

  std::string block_;
  std::string disk_;
};

TEST_F(BlockVolumeTest, AGuestReadsAndWritesItsDevice) {
  ASSERT_OK_AND_ASSIGN(const std::string log,
                       RunToEnd(WithDevice({}, "mrw"), 0));
  EXPECT_THAT(log, HasSubstr("capacity 65536, block size 512"));
  EXPECT_THAT(log, HasSubstr("begins with 'camel'"));
  EXPECT_THAT(log, HasSubstr("SUCCESS"));
  ASSERT_OK_AND_ASSIGN(const std::string content, ReadFile(disk_, 1 << 20));
  ASSERT_EQ(content.size(), size_t{64} << 10);
  EXPECT_NE(content.substr(content.size() - 512), std::string(512, '\0'));
}

TEST_F(BlockVolumeTest, AReadOnlyDeviceIsOnlyRead) {
  ASSERT_OK_AND_ASSIGN(const std::string before, ReadFile(disk_, 1 << 20));
  ASSERT_OK_AND_ASSIGN(std::string log,
                       RunToEnd(WithDevice({"--read-only"}, "mr"), 0));
  EXPECT_THAT(log, HasSubstr("SUCCESS"));
  // A guest that writes all the same is told so.
  ASSERT_OK_AND_ASSIGN(log, RunToEnd(WithDevice({}, "mr"), 3));
  EXPECT_THAT(log, HasSubstr("block: write at"));
  ASSERT_OK_AND_ASSIGN(const std::string after, ReadFile(disk_, 1 << 20));
  EXPECT_EQ(before, after);
}

TEST_F(BlockVolumeTest, AMountedFileServesAsWell) {
  auto config = node_->ContainerConfig(block_, {"--read-only"});
  cri::Mount* mount = config.add_mounts();
  mount->set_container_path("/storage");
  mount->set_host_path(disk_);
  mount->set_readonly(true);
  ASSERT_OK_AND_ASSIGN(const std::string log, RunToEnd(config, 0));
  EXPECT_THAT(log, HasSubstr("SUCCESS"));
}

}  // namespace
}  // namespace serai::testing
