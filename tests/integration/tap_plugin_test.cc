// SPDX-License-Identifier: Apache-2.0
// Pods of seraid's on a network of serai-tap's, in both its forms.
#include <signal.h>

#include "absl/strings/match.h"
#include "absl/strings/str_replace.h"
#include "lib/base/file.h"
#include "lib/base/subprocess.h"
#include "tests/support/enter_own_machine.h"
#include "tests/support/require.h"
#include "tests/support/status_matchers.h"
#include "tests/support/test_node.h"

namespace serai::testing {
namespace {

using ::testing::StartsWith;

constexpr char kBridge[] = "srttapbr";
constexpr char kIpam[] =
    R"("ipam":{"type":"host-local","dataDir":"@DIR@/ipam",
        "ranges":[[{"subnet":"10.64.7.0/24"}]],
        "routes":[{"dst":"0.0.0.0/0"}]})";

std::string Sh(const std::string& script) {
  SubprocessSpec spec;
  spec.program = "/bin/sh";
  spec.args = {"-ec", script};
  spec.env = {"PATH=/usr/sbin:/usr/bin:/sbin:/bin"};
  const auto result = RunSubprocess(spec);
  EXPECT_OK(result);
  EXPECT_EQ(result->exit_code, 0) << script << ": " << result->error_output;
  return result->output;
}

class TapNetworkTest : public ::testing::TestWithParam<bool> {
 protected:
  void SetUp() override {
    SERAI_NEED("root");
    SERAI_NEED("net");
    // Whose bridge has one name.
    ASSERT_OK(EnterOwnMachine());
    const std::string plugin = JoinPath(BuildDir(), "bin/serai-tap");
    Sh("ln -s " + plugin + " " + (plugins_ / "serai-tap"));
    NodeOptions options;
    options.plugin_dir = plugins_.path();
    options.metrics_address = "127.0.0.1:0";
    const std::string bridge =
        absl::StrCat(R"("bridge":")", kBridge, R"(","isGateway":true,)", kIpam);
    options.conflist = absl::StrReplaceAll(
        absl::StrCat(
            R"({"cniVersion":"1.0.0","name":"taps","plugins":[)",
            Direct() ? absl::StrCat(R"({"type":"serai-tap",)", bridge, "}")
                     : absl::StrCat(R"({"type":"bridge",)", bridge,
                                    R"(},{"type":"serai-tap"})"),
            R"(,{"type":"portmap","capabilities":{"portMappings":true}}]})"),
        {{"@DIR@", plugins_.path()}});
    node_ = std::make_unique<TestNode>(options);
    node_->Start();
    ASSERT_OK_AND_ASSIGN(web_, node_->LoadGuests("web", {"web.spt"}));
  }

  void TearDown() override {
    node_.reset();
    if (!IsSkipped()) Sh(absl::StrCat("ip link delete ", kBridge));
  }

  static bool Direct() { return GetParam(); }
  // The node's links that a pod has.
  static std::string Links() {
    return Sh(absl::StrCat("ip -o link show master ", kBridge));
  }
  static void ExpectAnswers(const std::string& ip) {
    const auto answer = HttpGetRetried(ip, 80, "/");
    ASSERT_OK(answer);
    EXPECT_THAT(*answer, StartsWith("HTTP/1.1 200 OK"));
  }

  TempDir plugins_;
  std::unique_ptr<TestNode> node_;
  std::string web_;
};

INSTANTIATE_TEST_SUITE_P(Forms, TapNetworkTest, ::testing::Bool(),
                         [](const auto& test) {
                           return test.param ? "OnABridge" : "Chained";
                         });

TEST_P(TapNetworkTest, AGuestAnswersUntilItsPodGoes) {
  ASSERT_OK_AND_ASSIGN(const auto first, node_->Run("first", web_));
  ASSERT_OK_AND_ASSIGN(const auto second, node_->Run("second", web_));
  ExpectAnswers(first.ip);
  ExpectAnswers(second.ip);
  EXPECT_EQ(absl::StrContains(Links(), ": tap"), Direct());
  ASSERT_OK(node_->StopPod(first.pod));
  ExpectAnswers(second.ip);
  ASSERT_OK(node_->RemovePod(first.pod));
  ASSERT_OK(node_->RemovePod(second.pod));
  EXPECT_EQ(Links(), "");
  EXPECT_EQ(Sh("ls " + (plugins_ / "ipam/taps") + " | grep -c 10.64 || true"),
            "0\n");
}

TEST_P(TapNetworkTest, ItsTrafficIsCounted) {
  ASSERT_OK_AND_ASSIGN(const auto run, node_->Run("web", web_));
  ExpectAnswers(run.ip);
  cri::PodSandboxStatsRequest request;
  request.set_pod_sandbox_id(run.pod);
  cri::PodSandboxStatsResponse response;
  Call call;
  ASSERT_OK(FromGrpc(
      node_->runtime().PodSandboxStats(call.get(), request, &response)));
  const auto& eth0 = response.stats().linux().network().default_interface();
  EXPECT_EQ(eth0.name(), "eth0");
  EXPECT_GT(eth0.rx_bytes().value(), 100U);
  EXPECT_GT(eth0.tx_bytes().value(), 100U);
}

TEST_P(TapNetworkTest, AContainerCanTakeTheTapOfTheLastOne) {
  ASSERT_OK_AND_ASSIGN(const auto run, node_->Run("web", web_));
  ExpectAnswers(run.ip);
  ASSERT_OK(node_->StopContainer(run.container, 0));
  ASSERT_OK_AND_ASSIGN(const auto again, node_->Create(run.pod, [&] {
    auto config = node_->ContainerConfig(web_, {});
    config.mutable_metadata()->set_attempt(1);
    return config;
  }()));
  ASSERT_OK(node_->StartContainer(again));
  ExpectAnswers(run.ip);
}

TEST_P(TapNetworkTest, AGuestOutlivesItsDaemonAndTheNextOneTakesThePodDown) {
  ASSERT_OK_AND_ASSIGN(const auto run, node_->Run("web", web_));
  node_->Stop(SIGKILL);
  node_->Start();
  ExpectAnswers(run.ip);
  ASSERT_OK(node_->RemovePod(run.pod));
  EXPECT_EQ(Links(), "");
}

TEST_P(TapNetworkTest, AFailedStartLeavesNoTap) {
  for (const char* step : {"pod.cni", "pod.tap"}) {
    node_->InjectFault(step);
    EXPECT_FALSE(node_->RunPod("web").ok()) << step;
    node_->InjectFault("");
    EXPECT_EQ(Sh("ip -o link show type bridge | grep -c srttapbr"), "1\n");
    EXPECT_EQ(Links(), "");
  }
  ASSERT_OK_AND_ASSIGN(const auto run, node_->Run("web", web_));
  ExpectAnswers(run.ip);
}

}  // namespace
}  // namespace serai::testing
