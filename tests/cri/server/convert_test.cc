// SPDX-License-Identifier: Apache-2.0
#include "cri/server/convert.h"

#include "tests/support/status_matchers.h"
#include "tests/support/temp_dir.h"

namespace serai::cri {
namespace {

using ::serai::testing::TempDir;

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

TEST(ConvertTest, AnEventHasTheStateOfItsPodAndItsContainers) {
  TempDir dir;
  Store store(dir.path());
  PodRecord pod = ReadyPod();
  store.Add(std::make_shared<Pod>(store.PodPath("abcdef"), pod));
  ContainerRecord record;
  record.set_id("c1");
  record.set_pod_id("abcdef");
  record.set_started_at_ns(5);
  store.Add(std::make_shared<Container>(store.ContainerPath("c1"), record));
  record.set_id("c2");
  record.set_pod_id("another");
  store.Add(std::make_shared<Container>(store.ContainerPath("c2"), record));
  const v1::ContainerEventResponse event =
      ToEvent(store, {v1::CONTAINER_STARTED_EVENT, "c1", "abcdef", 9});
  EXPECT_EQ(event.container_id(), "c1");
  EXPECT_EQ(event.container_event_type(), v1::CONTAINER_STARTED_EVENT);
  EXPECT_EQ(event.created_at(), 9);
  EXPECT_EQ(event.pod_sandbox_status().id(), "abcdef");
  ASSERT_EQ(event.containers_statuses_size(), 1);
  EXPECT_EQ(event.containers_statuses(0).id(), "c1");
  EXPECT_EQ(event.containers_statuses(0).state(), v1::CONTAINER_RUNNING);
  // Of what is gone there is no state.
  EXPECT_FALSE(ToEvent(store, {v1::CONTAINER_DELETED_EVENT, "x", "x", 9})
                   .has_pod_sandbox_status());
}

}  // namespace
}  // namespace serai::cri
