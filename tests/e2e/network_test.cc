// SPDX-License-Identifier: Apache-2.0
// A pod's network from outside: its address, its host ports, whose it is.
#include "tests/e2e/e2e_test.h"

namespace serai::testing {
namespace {

using ::testing::HasSubstr;

constexpr int kHostPort = 12080;  // in the test's own network

class NetworkTest : public E2eTest {};
SERAI_EVERY_MODE(NetworkTest);

TEST_P(NetworkTest, APodAnswersAtItsAddress) {
  ASSERT_OK_AND_ASSIGN(const std::string web, Web());
  ASSERT_OK_AND_ASSIGN(const auto run, node_->Run("web", web, {}, handler()));
  ASSERT_OK_AND_ASSIGN(const std::string page, HttpGetRetried(run.ip, 80, "/"));
  EXPECT_THAT(page, HasSubstr("200 OK"));
}

TEST_P(NetworkTest, AHostPortLeadsToThePodWhileItRuns) {
  if (ordinary()) {
    GTEST_SKIP() << "the plugins behind a host port are containerd's to call";
  }
  ASSERT_OK_AND_ASSIGN(const std::string web, Web());
  cri::PodSandboxConfig config = node_->PodConfig("web");
  cri::PortMapping* const port = config.add_port_mappings();
  port->set_protocol(cri::TCP);
  port->set_container_port(80);
  port->set_host_port(kHostPort);
  // One without a host port asks for nothing.
  config.add_port_mappings()->set_container_port(81);
  ASSERT_OK_AND_ASSIGN(const std::string pod, node_->RunPod(config, handler()));
  ASSERT_OK_AND_ASSIGN(const std::string container,
                       node_->Create(pod, node_->ContainerConfig(web, {})));
  ASSERT_OK(node_->StartContainer(container));
  ASSERT_OK_AND_ASSIGN(const std::string page,
                       HttpGetRetried("127.0.0.1", kHostPort, "/"));
  EXPECT_THAT(page, HasSubstr("200 OK"));
  ASSERT_OK(node_->RemovePod(pod));
  EXPECT_FALSE(HttpGet("127.0.0.1", kHostPort, "/").ok());
}

TEST_P(NetworkTest, TheNodesNetworkIsForOrdinaryPodsOnly) {
  cri::PodSandboxConfig config = node_->PodConfig("host");
  config.clear_hostname();  // it has the node's
  config.mutable_linux()
      ->mutable_security_context()
      ->mutable_namespace_options()
      ->set_network(cri::NODE);
  const auto pod = node_->RunPod(config, handler());
  if (!ordinary()) {
    EXPECT_THAT(pod.status(),
                HasStatus(absl::StatusCode::kInvalidArgument, "hostNetwork"));
    return;
  }
  ASSERT_OK(pod);
  ASSERT_OK_AND_ASSIGN(const auto status, node_->PodStatusOf(*pod));
  EXPECT_EQ(status.linux().namespaces().options().network(), cri::NODE);
  EXPECT_EQ(status.network().ip(), "");
}

}  // namespace
}  // namespace serai::testing
