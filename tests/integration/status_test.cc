// SPDX-License-Identifier: Apache-2.0
// What the status calls tell: the node's readiness as its network comes and
// goes, and, asked for more, what a person needs who looks for a fault.
#include <signal.h>
#include <unistd.h>

#include <cstdio>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>

#include "absl/time/clock.h"
#include "lib/base/file.h"
#include "tests/integration/bad_input.h"

namespace serai::testing {
namespace {

using ::testing::HasSubstr;

using nlohmann::json;
using Runtime = cri::RuntimeService::Stub;

class StatusTest : public ::testing::Test {
 protected:
  void SetUp() override {
    SERAI_NEED("root");
    SERAI_NEED("net");
    NodeOptions options;
    options.chained = {};
    node_ = std::make_unique<TestNode>(options);
    node_->Start();
  }

  cri::StatusResponse NodeStatus(bool verbose = false) {
    cri::StatusRequest request;
    request.set_verbose(verbose);
    const auto response = CallCri(node_->runtime(), &Runtime::Status, request);
    EXPECT_OK(response);
    return response.value_or(cri::StatusResponse());
  }

  cri::RuntimeCondition Condition(const std::string& type) {
    const cri::StatusResponse status = NodeStatus();
    for (const auto& condition : status.status().conditions()) {
      if (condition.type() == type) return condition;
    }
    ADD_FAILURE() << "no condition " << type;
    return {};
  }

  static json Parsed(const std::string& text) {
    json value = json::parse(text, nullptr, false);
    EXPECT_FALSE(value.is_discarded()) << text;
    return value;
  }

  std::string Conflist() const {
    return node_->directory() + "/net.d/10-test.conflist";
  }

  std::unique_ptr<TestNode> node_;
};

TEST_F(StatusTest, TheNetworkIsReadyAsLongAsItsConfigurationIsGood) {
  EXPECT_TRUE(Condition("RuntimeReady").status());
  EXPECT_TRUE(Condition("NetworkReady").status());
  ASSERT_OK_AND_ASSIGN(const std::string good, ReadFile(Conflist(), 1 << 20));

  ASSERT_EQ(::unlink(Conflist().c_str()), 0);
  EXPECT_FALSE(Condition("NetworkReady").status());
  EXPECT_THAT(Condition("NetworkReady").message(), HasSubstr("net.d"));

  ASSERT_OK(WriteFileAtomic(Conflist(), good));
  EXPECT_TRUE(Condition("NetworkReady").status());

  ASSERT_OK(WriteFileAtomic(Conflist(), "{"));
  EXPECT_FALSE(Condition("NetworkReady").status());
  EXPECT_EQ(Condition("NetworkReady").reason(), "NetworkPluginNotReady");

  // Names come in order, and the first counts.
  ASSERT_OK(
      WriteFileAtomic(node_->directory() + "/net.d/05-test.conflist", good));
  EXPECT_TRUE(Condition("NetworkReady").status());
  EXPECT_TRUE(Condition("RuntimeReady").status());
}

TEST_F(StatusTest, TheRuntimeIsReadyAsLongAsItsProgramsAreThere) {
  const std::string program = node_->directory() + "/unpack";
  ASSERT_OK(MakeDirs(node_->directory() + "/config.toml.d"));
  ASSERT_OK(WriteFileAtomic(
      node_->directory() + "/config.toml.d/50-test.toml",
      absl::StrCat("version = 1\n[programs]\nunpacker = \"", program, "\"\n")));
  node_->Stop(SIGTERM);
  node_->Start();
  EXPECT_FALSE(Condition("RuntimeReady").status());
  EXPECT_EQ(Condition("RuntimeReady").reason(), "ProgramMissing");
  EXPECT_THAT(Condition("RuntimeReady").message(), HasSubstr(program));
  ASSERT_OK(WriteFileAtomic(program, "", 0755));
  EXPECT_TRUE(Condition("RuntimeReady").status());
}

TEST_F(StatusTest, HandlersAndFeaturesAreTold) {
  const cri::StatusResponse status = NodeStatus();
  ASSERT_EQ(status.runtime_handlers_size(), 1);
  EXPECT_EQ(status.runtime_handlers(0).name(), "unikernel");
  EXPECT_TRUE(status.runtime_handlers(0).has_features());
  EXPECT_FALSE(status.runtime_handlers(0).features().user_namespaces());
  EXPECT_TRUE(status.has_features());
  EXPECT_FALSE(status.features().supplemental_groups_policy());
  EXPECT_TRUE(status.info().empty());
}

TEST_F(StatusTest, AVerboseStatusOfTheNodeIsJson) {
  ASSERT_OK(node_->RunPod("web"));
  const cri::StatusResponse status = NodeStatus(true);
  const json serai = Parsed(status.info().at("serai"));
  EXPECT_EQ(serai.at("pods"), 1);
  EXPECT_EQ(serai.at("podsReady"), 1);
  EXPECT_EQ(serai.at("containers"), 0);
  EXPECT_TRUE(serai.contains("version"));
  EXPECT_TRUE(serai.contains("hvt"));
  const json config = Parsed(status.info().at("config"));
  EXPECT_EQ(config.at("root"), node_->root());
  const json cni = Parsed(status.info().at("cni"));
  EXPECT_EQ(cni.at("file"), Conflist());
  EXPECT_EQ(cni.at("plugins"), json::array({"bridge"}));
}

TEST_F(StatusTest, APodsAndAContainersInfoSayWhereToLook) {
  ASSERT_OK_AND_ASSIGN(const std::string image,
                       node_->LoadGuests("web", {"web.spt"}));
  ASSERT_OK_AND_ASSIGN(const auto web, node_->Run("web", image, {"--port=80"}));
  cri::PodSandboxStatusRequest ask;
  ask.set_pod_sandbox_id(web.pod);
  ask.set_verbose(true);
  ASSERT_OK_AND_ASSIGN(
      const auto pod,
      CallCri(node_->runtime(), &Runtime::PodSandboxStatus, ask));
  const json sandbox = Parsed(pod.info().at("info"));
  const json eth0 = sandbox.at("interfaces").at(0);
  EXPECT_EQ(eth0.at("tap"), "serai0");
  EXPECT_EQ(eth0.at("addresses").at(0).at("address"), web.ip);
  EXPECT_TRUE(PathExists(sandbox.at("netns")));
  EXPECT_EQ(::kill(sandbox.at("pid").get<pid_t>(), 0), 0);
  EXPECT_EQ(sandbox.at("containers"), json::array({web.container}));
  EXPECT_EQ(sandbox.at("config").at("metadata").at("name"), "web");
  // For an evented kubelet, asked for or not.
  ASSERT_EQ(pod.containers_statuses_size(), 1);
  EXPECT_EQ(pod.containers_statuses(0).id(), web.container);
  EXPECT_NEAR(static_cast<double>(pod.timestamp()),
              static_cast<double>(absl::GetCurrentTimeNanos()), 60e9);

  cri::ContainerStatusRequest request;
  request.set_container_id(web.container);
  request.set_verbose(true);
  ASSERT_OK_AND_ASSIGN(
      const auto container,
      CallCri(node_->runtime(), &Runtime::ContainerStatus, request));
  const json info = Parsed(container.info().at("info"));
  EXPECT_EQ(info.at("sandboxID"), web.pod);
  EXPECT_EQ(::kill(info.at("pid").get<pid_t>(), 0), 0);
  EXPECT_NE(info.at("pid"), sandbox.at("pid"));
  EXPECT_EQ(info.at("target"), "spt");
  EXPECT_EQ(info.at("guestMemory"), 32 << 20);
  EXPECT_THAT(info.at("args").dump(), HasSubstr("--port=80"));
  EXPECT_EQ(info.at("devices").at(0).at("name"), "service");
  EXPECT_TRUE(info.at("devices").at(0).contains("receivedBytes"));
  EXPECT_TRUE(info.at("runtimeSpec").at("linux").contains("cgroupsPath"));
  EXPECT_EQ(container.status().stop_signal(), cri::SIGNAL_SIGTERM);

  ASSERT_OK(node_->StopContainer(web.container, 0));
  ASSERT_OK_AND_ASSIGN(
      const auto ended,
      CallCri(node_->runtime(), &Runtime::ContainerStatus, request));
  EXPECT_FALSE(Parsed(ended.info().at("info")).contains("pid"));
}

TEST_F(StatusTest, AContainersUserIsTheOneThatWasAskedFor) {
  ASSERT_OK_AND_ASSIGN(const std::string image,
                       node_->LoadGuests("web", {"web.spt"}));
  ASSERT_OK_AND_ASSIGN(const std::string pod, node_->RunPod("web"));
  auto config = node_->ContainerConfig(image, {});
  auto& security = *config.mutable_linux()->mutable_security_context();
  security.mutable_run_as_user()->set_value(1000);
  security.mutable_run_as_group()->set_value(2000);
  security.add_supplemental_groups(3000);
  ASSERT_OK_AND_ASSIGN(const std::string container, node_->Create(pod, config));
  ASSERT_OK_AND_ASSIGN(const auto status, node_->StatusOf(container));
  EXPECT_EQ(status.user().linux().uid(), 1000);
  EXPECT_EQ(status.user().linux().gid(), 2000);
  EXPECT_EQ(status.user().linux().supplemental_groups(0), 3000);
}

}  // namespace
}  // namespace serai::testing
