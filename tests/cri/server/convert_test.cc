// SPDX-License-Identifier: Apache-2.0
#include "cri/server/convert.h"

#include "tests/support/status_matchers.h"

namespace serai::cri {
namespace {

PodRecord ReadyPod() {
  PodRecord record;
  record.set_id("abcdef");
  record.set_committed(true);
  record.set_created_at_ns(7);
  record.mutable_config()->mutable_metadata()->set_name("web");
  (*record.mutable_config()->mutable_labels())["app"] = "web";
  (*record.mutable_config()->mutable_annotations())["note"] = "as given";
  record.mutable_config()
      ->mutable_linux()
      ->mutable_security_context()
      ->mutable_namespace_options()
      ->set_pid(v1::CONTAINER);
  for (const char* address : {"10.0.0.7", "fd00::7"}) {
    record.mutable_network()->add_addresses()->set_address(address);
  }
  return record;
}

TEST(ConvertTest, APodsStatusEchoesWhatItWasGiven) {
  const Pod pod("/nonexistent", ReadyPod());
  const v1::PodSandboxStatus status = ToPodSandboxStatus(pod);
  EXPECT_EQ(status.state(), v1::SANDBOX_READY);
  EXPECT_EQ(status.created_at(), 7);
  EXPECT_EQ(status.network().ip(), "10.0.0.7");
  ASSERT_EQ(status.network().additional_ips_size(), 1);
  EXPECT_EQ(status.network().additional_ips(0).ip(), "fd00::7");
  EXPECT_EQ(status.annotations().at("note"), "as given");
  EXPECT_EQ(status.linux().namespaces().options().pid(), v1::CONTAINER);
}

TEST(ConvertTest, APodIsReadyWhileItIsWholeAndItsNamespaceIsThere) {
  PodRecord record = ReadyPod();
  record.set_stopped(true);
  EXPECT_EQ(ToPodSandbox(Pod("/n", record)).state(), v1::SANDBOX_NOTREADY);
  record = ReadyPod();
  record.set_committed(false);
  EXPECT_EQ(ToPodSandbox(Pod("/n", record)).state(), v1::SANDBOX_NOTREADY);
  Pod rebooted("/n", ReadyPod());
  rebooted.alive = false;
  EXPECT_EQ(ToPodSandbox(rebooted).state(), v1::SANDBOX_NOTREADY);
}

TEST(ConvertTest, AContainerShowsTheImageAsItsAuthorWroteIt) {
  ContainerRecord record;
  record.mutable_config()->mutable_image()->set_image("sha256:1");
  record.mutable_config()->mutable_image()->set_user_specified_image("web:1");
  record.set_image_id("sha256:1");
  const v1::ContainerStatus status = ToContainerStatus(record);
  EXPECT_EQ(status.image().image(), "web:1");
  EXPECT_EQ(status.image_id(), "sha256:1");
}

TEST(ConvertTest, FiltersLookAtIdStateAndLabels) {
  const Pod pod("/nonexistent", ReadyPod());
  const v1::PodSandbox item = ToPodSandbox(pod);
  v1::PodSandboxFilter filter;
  EXPECT_TRUE(Passes(item, filter));
  filter.set_id("abc");
  filter.mutable_state()->set_state(v1::SANDBOX_READY);
  (*filter.mutable_label_selector())["app"] = "web";
  EXPECT_TRUE(Passes(item, filter));
  (*filter.mutable_label_selector())["app"] = "db";
  EXPECT_FALSE(Passes(item, filter));
  filter.clear_label_selector();
  filter.mutable_state()->set_state(v1::SANDBOX_NOTREADY);
  EXPECT_FALSE(Passes(item, filter));
  filter.clear_state();
  filter.set_id("b");
  EXPECT_FALSE(Passes(item, filter));
}

TEST(ConvertTest, AnImagesUserIsANumberOrAName) {
  Image image;
  image.config.user = "1000:1000";
  EXPECT_EQ(ToImage(image).uid().value(), 1000);
  image.config.user = "mirage";
  EXPECT_FALSE(ToImage(image).has_uid());
  EXPECT_EQ(ToImage(image).username(), "mirage");
}

TEST(ConvertTest, StatsTellWhatIsLeftOfTheLimit) {
  host::CgroupUsage usage;
  usage.cpu_ns = 5;
  usage.working_set_bytes = 100;
  usage.memory_limit_bytes = 150;
  const v1::ContainerStats stats =
      ToContainerStats(ContainerRecord(), usage, 9);
  EXPECT_EQ(stats.cpu().timestamp(), 9);
  EXPECT_EQ(stats.cpu().usage_core_nano_seconds().value(), 5u);
  EXPECT_EQ(stats.memory().available_bytes().value(), 50u);
  usage.memory_limit_bytes.reset();
  EXPECT_FALSE(ToContainerStats(ContainerRecord(), usage, 9)
                   .memory()
                   .has_available_bytes());
}

}  // namespace
}  // namespace serai::cri
