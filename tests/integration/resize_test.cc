// SPDX-License-Identifier: Apache-2.0
// In-place resize: UpdateContainerResources, UpdatePodSandboxResources.
#include <signal.h>

#include <memory>
#include <string>

#include "lib/base/file.h"
#include "lib/host/cgroup.h"
#include "tests/integration/bad_input.h"

namespace serai::testing {
namespace {

using ::testing::HasSubstr;

using Runtime = cri::RuntimeService::Stub;

constexpr int64_t kMiB = 1 << 20;

class ResizeTest : public ::testing::Test {
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

  absl::Status Update(const std::string& container,
                      const cri::LinuxContainerResources& resources) {
    cri::UpdateContainerResourcesRequest request;
    request.set_container_id(container);
    *request.mutable_linux() = resources;
    return CallCri(node_->runtime(), &Runtime::UpdateContainerResources,
                   request)
        .status();
  }

  absl::StatusOr<host::Cgroup> CgroupOf(const std::string& container) {
    ASSIGN_OR_RETURN(const auto hierarchy, host::CgroupHierarchy::Detect());
    return host::Cgroup::Open(hierarchy,
                              node_->cgroup_parent() + "/" + container);
  }

  std::unique_ptr<TestNode> node_;
  std::string web_;
};

TEST_F(ResizeTest, ARunningGuestsLimitsChangeAndItRunsOn) {
  ASSERT_OK_AND_ASSIGN(const auto web, node_->Run("web", web_));
  ASSERT_OK(HttpGetRetried(web.ip, 80, "/"));
  cri::LinuxContainerResources resources;
  resources.set_cpu_quota(30000);
  resources.set_cpu_period(50000);
  resources.set_memory_limit_in_bytes(128 * kMiB);
  ASSERT_OK(Update(web.container, resources));
  ASSERT_OK_AND_ASSIGN(const host::Cgroup cgroup, CgroupOf(web.container));
  if (cgroup.is_v2()) {
    EXPECT_EQ(cgroup.Files("").Lines("cpu.max").at(0).at(0), "30000");
    EXPECT_EQ(cgroup.Files("").Lines("cpu.max").at(0).at(1), "50000");
  } else {
    EXPECT_EQ(cgroup.Files("cpu").Number("cpu.cfs_quota_us"), 30000u);
    EXPECT_EQ(cgroup.Files("cpu").Number("cpu.cfs_period_us"), 50000u);
  }
  // With the tender's part.
  ASSERT_OK_AND_ASSIGN(const host::CgroupUsage usage, cgroup.Usage());
  EXPECT_EQ(usage.memory_limit_bytes, uint64_t{160 * kMiB});
  ASSERT_OK_AND_ASSIGN(const auto status, node_->StatusOf(web.container));
  EXPECT_EQ(status.resources().linux().cpu_quota(), 30000);
  EXPECT_EQ(status.resources().linux().memory_limit_in_bytes(), 128 * kMiB);
  EXPECT_OK(HttpGet(web.ip, 80, "/"));
  // It stays so when the daemon is another.
  node_->Stop(SIGKILL);
  node_->Start();
  ASSERT_OK_AND_ASSIGN(const auto after, node_->StatusOf(web.container));
  EXPECT_EQ(after.resources().linux().cpu_period(), 50000);
}

TEST_F(ResizeTest, AGuestGivesBackNoMemory) {
  ASSERT_OK_AND_ASSIGN(const auto web, node_->Run("web", web_));
  cri::LinuxContainerResources resources;
  resources.set_memory_limit_in_bytes(16 * kMiB);
  resources.set_cpu_quota(30000);
  EXPECT_THAT(Update(web.container, resources),
              HasStatus(absl::StatusCode::kInvalidArgument,
                        "was started with 32Mi, so its limit can't become "
                        "16777216 bytes"));
  // All or nothing.
  ASSERT_OK_AND_ASSIGN(const auto status, node_->StatusOf(web.container));
  EXPECT_EQ(status.resources().linux().cpu_quota(), 0);
  EXPECT_EQ(status.resources().linux().memory_limit_in_bytes(), 32 * kMiB);
}

TEST_F(ResizeTest, WhatTheKernelRefusesChangesNothing) {
  ASSERT_OK_AND_ASSIGN(const auto web, node_->Run("web", web_));
  cri::LinuxContainerResources resources;
  resources.set_memory_limit_in_bytes(64 * kMiB);
  // Below the kernel's least, one millisecond.
  resources.set_cpu_quota(10);
  EXPECT_THAT(Update(web.container, resources).message(), HasSubstr("cpu"));
  ASSERT_OK_AND_ASSIGN(const auto status, node_->StatusOf(web.container));
  EXPECT_EQ(status.resources().linux().cpu_quota(), 0);
  ASSERT_OK_AND_ASSIGN(const host::Cgroup cgroup, CgroupOf(web.container));
  EXPECT_EQ(cgroup.Usage()->memory_limit_bytes, uint64_t{64 * kMiB});
}

TEST_F(ResizeTest, AContainerThatWasNotStartedGetsTheMemoryToo) {
  ASSERT_OK_AND_ASSIGN(const std::string pod, node_->RunPod("web"));
  ASSERT_OK_AND_ASSIGN(const std::string container,
                       node_->Create(pod, node_->ContainerConfig(web_, {})));
  cri::LinuxContainerResources resources;
  resources.set_memory_limit_in_bytes(48 * kMiB);
  resources.set_cpu_shares(512);
  ASSERT_OK(Update(container, resources));
  resources.set_memory_limit_in_bytes(4096);
  EXPECT_THAT(Update(container, resources),
              HasStatus(absl::StatusCode::kInvalidArgument,
                        "below what the unikernel needs"));
  ASSERT_OK(node_->StartContainer(container));
  ASSERT_OK_AND_ASSIGN(const host::Cgroup cgroup, CgroupOf(container));
  ASSERT_OK_AND_ASSIGN(const host::CgroupUsage usage, cgroup.Usage());
  EXPECT_EQ(usage.memory_limit_bytes, uint64_t{80 * kMiB});
  // The guest is as large: less is refused now.
  resources.set_memory_limit_in_bytes(47 * kMiB);
  EXPECT_THAT(
      Update(container, resources),
      HasStatus(absl::StatusCode::kInvalidArgument, "was started with 48Mi"));
  ASSERT_OK_AND_ASSIGN(const auto status, node_->StatusOf(container));
  EXPECT_EQ(status.resources().linux().cpu_shares(), 512);
}

TEST_F(ResizeTest, UnknownContainersAndPodsAreNotFound) {
  EXPECT_THAT(Update("nowhere", {}),
              HasStatus(absl::StatusCode::kNotFound, "nowhere"));
  cri::UpdatePodSandboxResourcesRequest request;
  request.set_pod_sandbox_id("nowhere");
  EXPECT_THAT(
      CallCri(node_->runtime(), &Runtime::UpdatePodSandboxResources, request),
      HasStatus(absl::StatusCode::kNotFound, "nowhere"));
}

TEST_F(ResizeTest, APodsResourcesAreWrittenDown) {
  ASSERT_OK_AND_ASSIGN(const std::string pod, node_->RunPod("web"));
  cri::UpdatePodSandboxResourcesRequest request;
  request.set_pod_sandbox_id(pod);
  request.mutable_overhead()->set_memory_limit_in_bytes(7 * kMiB);
  request.mutable_resources()->set_cpu_quota(12345);
  ASSERT_OK(
      CallCri(node_->runtime(), &Runtime::UpdatePodSandboxResources, request));
  cri::PodSandboxStatusRequest ask;
  ask.set_pod_sandbox_id(pod);
  ask.set_verbose(true);
  ASSERT_OK_AND_ASSIGN(
      const auto status,
      CallCri(node_->runtime(), &Runtime::PodSandboxStatus, ask));
  EXPECT_THAT(status.info().at("info"), HasSubstr("12345"));
}

}  // namespace
}  // namespace serai::testing
