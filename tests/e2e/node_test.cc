// SPDX-License-Identifier: Apache-2.0
// The node: what runs it, whether it is ready, how it is configured.
#include <map>

#include "tests/e2e/e2e_test.h"

namespace serai::testing {
namespace {

using ::testing::Contains;
using ::testing::IsEmpty;
using ::testing::Not;
using Runtime = cri::RuntimeService::Stub;

class NodeTest : public E2eTest {};
SERAI_EVERY_MODE(NodeTest);

TEST_P(NodeTest, SaysWhatItIs) {
  ASSERT_OK_AND_ASSIGN(const auto version, Ask(runtime(), &Runtime::Version,
                                               cri::VersionRequest()));
  EXPECT_EQ(version.version(), "0.1.0");
  EXPECT_EQ(version.runtime_api_version(), "v1");
  EXPECT_THAT(version.runtime_name(), Not(IsEmpty()));
  EXPECT_THAT(version.runtime_version(), Not(IsEmpty()));
}

TEST_P(NodeTest, IsReadyAndNamesItsHandler) {
  cri::StatusRequest request;
  request.set_verbose(true);
  ASSERT_OK_AND_ASSIGN(const auto status,
                       Ask(runtime(), &Runtime::Status, request));
  std::map<std::string, bool> conditions;
  for (const auto& condition : status.status().conditions()) {
    conditions[condition.type()] = condition.status();
  }
  EXPECT_TRUE(conditions["RuntimeReady"]) << status.ShortDebugString();
  EXPECT_TRUE(conditions["NetworkReady"]) << status.ShortDebugString();
  std::vector<std::string> handlers;
  for (const auto& entry : status.runtime_handlers()) {
    handlers.push_back(entry.name());
    if (entry.name() != "unikernel") continue;
    EXPECT_FALSE(entry.features().user_namespaces());
    EXPECT_FALSE(entry.features().recursive_read_only_mounts());
  }
  EXPECT_THAT(handlers, Contains("unikernel"));
  EXPECT_FALSE(status.info().empty());
}

TEST_P(NodeTest, TellsItsCgroupDriverAndTakesThePodsCidr) {
  ASSERT_OK_AND_ASSIGN(
      const auto config,
      Ask(runtime(), &Runtime::RuntimeConfig, cri::RuntimeConfigRequest()));
  EXPECT_EQ(config.linux().cgroup_driver(), cri::CGROUPFS);
  cri::UpdateRuntimeConfigRequest update;
  update.mutable_runtime_config()->mutable_network_config()->set_pod_cidr(
      "10.99.0.0/16");
  EXPECT_OK(Ask(runtime(), &Runtime::UpdateRuntimeConfig, update));
}

}  // namespace
}  // namespace serai::testing
