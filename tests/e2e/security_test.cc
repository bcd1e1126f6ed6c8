// SPDX-License-Identifier: Apache-2.0
// The fields of a security context that kubelet always sends, and those that a
// unikernel cannot have.
#include "tests/e2e/e2e_test.h"

namespace serai::testing {
namespace {

using ::testing::HasSubstr;
using Runtime = cri::RuntimeService::Stub;

class SecurityTest : public E2eTest {};
SERAI_EVERY_MODE(SecurityTest);

TEST_P(SecurityTest, ARestrictedPodRuns) {
  cri::PodSandboxConfig pod_config = node_->PodConfig("restricted");
  auto* const pod_context =
      pod_config.mutable_linux()->mutable_security_context();
  pod_context->mutable_run_as_user()->set_value(65534);
  pod_context->mutable_namespace_options()->set_pid(cri::CONTAINER);
  pod_context->mutable_seccomp()->set_profile_type(
      cri::SecurityProfile::RuntimeDefault);
  ASSERT_OK_AND_ASSIGN(const std::string pod,
                       node_->RunPod(pod_config, handler()));
  cri::ContainerConfig config = Script("c", "echo restricted; sleep 1000");
  auto* const context = config.mutable_linux()->mutable_security_context();
  context->mutable_capabilities()->add_drop_capabilities("ALL");
  context->mutable_namespace_options()->set_pid(cri::CONTAINER);
  context->mutable_run_as_user()->set_value(65534);
  context->mutable_run_as_group()->set_value(65534);
  context->add_supplemental_groups(65534);
  context->set_readonly_rootfs(true);
  context->set_no_new_privs(true);
  context->add_masked_paths("/proc/kcore");
  context->add_readonly_paths("/proc/sys");
  context->mutable_seccomp()->set_profile_type(
      cri::SecurityProfile::RuntimeDefault);
  ASSERT_OK_AND_ASSIGN(const std::string container, node_->Create(pod, config));
  ASSERT_OK(node_->StartContainer(container));
  EXPECT_THAT(LogWith(container, "restricted"), HasSubstr("F restricted"));
  EXPECT_EQ(StateOf(container), cri::CONTAINER_RUNNING);
}

TEST_P(SecurityTest, AProgramIsExecutedInAnOrdinaryContainerOnly) {
  ASSERT_OK_AND_ASSIGN(const auto run, RunScript("exec", "sleep 1000"));
  cri::ExecSyncRequest request;
  request.set_container_id(run.container);
  for (const char* word : {"/bin/sh", "-c", "echo executed; exit 4"}) {
    request.add_cmd(word);
  }
  request.set_timeout(20);
  const auto answer = Ask(runtime(), &Runtime::ExecSync, request);
  if (!ordinary()) {
    EXPECT_THAT(answer.status(),
                HasStatus(absl::StatusCode::kUnimplemented, "no processes"));
    return;
  }
  ASSERT_OK(answer);
  EXPECT_EQ(answer->stdout(), "executed\n");
  EXPECT_EQ(answer->exit_code(), 4);
}

}  // namespace
}  // namespace serai::testing
