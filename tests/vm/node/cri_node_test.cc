// SPDX-License-Identifier: Apache-2.0
// In the node: pods of the handler "unikernel" as kubelet runs them where
// systemd manages cgroups. For cases/cri.sh, which has started containerd and
// brought the image.

#include <string>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "lib/base/file.h"
#include "tests/support/cri_client.h"
#include "tests/support/http_get.h"
#include "tests/support/status_matchers.h"

namespace serai::testing {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

constexpr char kSocket[] = "/run/containerd/containerd.sock";
constexpr char kImage[] = "localhost/web:latest";
constexpr char kLogs[] = "/run/cri-logs";
constexpr char kSlice[] =
    "/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-podcase.slice";
constexpr int64_t kGuestMemory = 32 << 20;  // as ContainerConfig() has it

class Kubelet : public CriClient {
 public:
  Kubelet() {
    SetLogDirectory(kLogs);
    SetCgroupParent(kSlice);
  }
  ~Kubelet() {
    if (connected()) RemoveAllPods();
  }

  absl::Status Start() { return Connect(kSocket).status(); }
};

class CriNodeTest : public ::testing::TestWithParam<const char*> {
 protected:
  void SetUp() override { ASSERT_OK(kubelet_.Start()); }

  absl::StatusOr<CriClient::Running> RunWeb(const std::string& name) {
    ASSIGN_OR_RETURN(const std::string pod, kubelet_.RunPod(name));
    cri::ContainerConfig config = kubelet_.ContainerConfig(kImage, {});
    config.add_command(absl::StrCat("/app.", GetParam()));
    ASSIGN_OR_RETURN(const std::string container, kubelet_.Create(pod, config));
    RETURN_IF_ERROR(kubelet_.StartContainer(container));
    ASSIGN_OR_RETURN(const cri::PodSandboxStatus status,
                     kubelet_.PodStatusOf(pod));
    return CriClient::Running{pod, container, status.network().ip()};
  }

  Kubelet kubelet_;
};

std::string ScopeOf(const std::string& id) {
  return absl::StrCat("/sys/fs/cgroup", kSlice, "/cri-containerd-", id,
                      ".scope");
}

std::string Content(const std::string& path) {
  return ReadFile(path, 1 << 20).value_or("");
}

INSTANTIATE_TEST_SUITE_P(, CriNodeTest, ::testing::Values("hvt", "spt"),
                         [](const auto& target) {
                           return std::string(target.param);
                         });

TEST_P(CriNodeTest, APodIsInScopesOfSystemd) {
  const std::string name = absl::StrCat("web-", GetParam());
  ASSERT_OK_AND_ASSIGN(const CriClient::Running web, RunWeb(name));
  ASSERT_OK_AND_ASSIGN(const std::string page, HttpGetRetried(web.ip, 80, "/"));
  EXPECT_THAT(page, HasSubstr("200 OK"));

  const std::string scope = ScopeOf(web.container);
  EXPECT_THAT(Content(scope + "/cgroup.procs"), Not(""));
  const std::string limit = Content(scope + "/memory.max");
  int64_t bytes = 0;
  EXPECT_TRUE(absl::SimpleAtoi(limit, &bytes)) << limit;
  EXPECT_GE(bytes, kGuestMemory);
  // The shim stands in for the pod's sandbox.
  EXPECT_THAT(Content(ScopeOf(web.pod) + "/cgroup.procs"), Not(""));

  EXPECT_THAT(Content(absl::StrCat(kLogs, "/", name, "/c/0.log")),
              HasSubstr(" stdout F web: listening on"));
  ASSERT_OK_AND_ASSIGN(const cri::ContainerStats stats,
                       kubelet_.StatsOf(web.container));
  EXPECT_GT(stats.cpu().usage_core_nano_seconds().value(), 0U);
  EXPECT_GT(stats.memory().working_set_bytes().value(), 0U);

  EXPECT_OK(kubelet_.StopContainer(web.container, 2));
  EXPECT_OK(kubelet_.StopPod(web.pod));
  EXPECT_OK(kubelet_.RemovePod(web.pod));
  EXPECT_FALSE(PathExists(scope));
  EXPECT_FALSE(PathExists(ScopeOf(web.pod)));
}

}  // namespace
}  // namespace serai::testing
