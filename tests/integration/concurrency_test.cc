// SPDX-License-Identifier: Apache-2.0
// Several calls about one pod at the same time, and calls beside a slow one.
#include <sys/stat.h>

#include <atomic>
#include <functional>
#include <thread>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "lib/base/file.h"
#include "tests/support/own_machine.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temp_dir.h"

namespace serai::testing {
namespace {

using ::testing::AnyOf;
using ::testing::IsEmpty;
using ::testing::SizeIs;

void AtTheSameTime(const std::vector<std::function<void()>>& works) {
  std::vector<std::thread> threads;
  for (const auto& work : works) threads.emplace_back(work);
  for (std::thread& thread : threads) thread.join();
}

using ConcurrencyTest = OwnMachineTest;

TEST_F(ConcurrencyTest, StopAndRemoveOfOnePodFromManyThreads) {
  WarmUp();
  const LeakWatch watch(*node_);
  for (int round = 0; round < 5; ++round) {
    ASSERT_OK_AND_ASSIGN(const auto run, node_->Run("pod", Web(round)));
    const auto stop = [&] { EXPECT_OK(node_->StopPod(run.pod)); };
    const auto remove = [&] { EXPECT_OK(node_->RemovePod(run.pod)); };
    const auto stop_container = [&] {
      EXPECT_OK(node_->StopContainer(run.container, 1));
    };
    const auto remove_container = [&] {
      EXPECT_OK(node_->RemoveContainer(run.container));
    };
    AtTheSameTime({stop, remove_container, stop_container, remove, stop,
                   remove_container, stop_container, remove});
    EXPECT_THAT(node_->Pods(), IsEmpty());
    EXPECT_THAT(node_->Containers(), IsEmpty());
  }
  EXPECT_THAT(watch.Leaks(), IsEmpty());
}

TEST_F(ConcurrencyTest, RemovalWhileTheContainerStarts) {
  WarmUp();
  const LeakWatch watch(*node_);
  for (int round = 0; round < 12; ++round) {
    SCOPED_TRACE(round);
    ASSERT_OK_AND_ASSIGN(const std::string pod, node_->RunPod("pod"));
    ASSERT_OK_AND_ASSIGN(
        const std::string container,
        node_->Create(pod, node_->ContainerConfig(Web(round), {})));
    const auto start = [&] {
      EXPECT_THAT(node_->StartContainer(container).code(),
                  AnyOf(absl::StatusCode::kOk, absl::StatusCode::kNotFound,
                        absl::StatusCode::kFailedPrecondition));
    };
    // Before the start, and at several moments of it.
    const auto remove = [&] {
      absl::SleepFor(absl::Milliseconds(round / 2 * 5));
      EXPECT_OK(round % 2 == 0 ? node_->RemovePod(pod)
                               : node_->RemoveContainer(container));
    };
    AtTheSameTime({remove, start});
    EXPECT_THAT(node_->Containers(), IsEmpty());
    EXPECT_OK(node_->RemovePod(pod));
    EXPECT_THAT(node_->Pods(), IsEmpty());
  }
  EXPECT_THAT(watch.Leaks(), IsEmpty());
}

TEST_F(ConcurrencyTest, OnePodOfANameIsMade) {
  std::atomic<int> made = 0;
  const auto run = [&] {
    const auto pod = node_->RunPod("pod");
    if (pod.ok()) {
      ++made;
    } else {
      EXPECT_THAT(pod, HasStatus(absl::StatusCode::kAlreadyExists, ""));
    }
  };
  AtTheSameTime({run, run, run, run});
  EXPECT_EQ(made, 1);
  EXPECT_THAT(node_->Pods(), SizeIs(1));
}

// A node whose network plugin makes and unmakes nothing before it may.
class SlowPluginTest : public OwnMachineTest {
 protected:
  NodeOptions Options() override {
    const std::string script = absl::StrCat(
        "#!/bin/sh\n", "case $CNI_COMMAND in ADD|DEL)\n", "  touch ",
        dir_ / "waiting", "\n", "  while [ ! -e ", dir_ / "go",
        " ]; do sleep 0.05; done;;\n", "esac\n", "exec /usr/lib/cni/bridge\n");
    EXPECT_OK(WriteFileAtomic(dir_ / "slow", script, 0755));
    NodeOptions options;
    options.plugin_dir = dir_.path();
    options.conflist = absl::StrCat(
        R"({"cniVersion":"1.0.0","name":"slow","plugins":[{"type":"slow",)",
        R"("bridge":"slow0","isGateway":true,"ipam":{"type":"host-local",)",
        R"("dataDir":")", dir_ / "ipam",
        R"(","ranges":[[{"subnet":"10.201.7.0/24"}]]}}]})");
    return options;
  }

  // The node needs the plugin to the end.
  void TearDown() override {
    Go();
    node_.reset();
  }

  void Go() { EXPECT_OK(WriteFileAtomic(dir_ / "go", "")); }
  void Halt() {
    EXPECT_OK(RemovePath(dir_ / "go"));
    EXPECT_OK(RemovePath(dir_ / "waiting"));
  }
  void AwaitPlugin() {
    const absl::Time deadline = absl::Now() + absl::Seconds(20);
    while (!PathExists(dir_ / "waiting") && absl::Now() < deadline) {
      absl::SleepFor(absl::Milliseconds(5));
    }
    EXPECT_TRUE(PathExists(dir_ / "waiting"));
  }

  // None of these waits for what another pod, or this one, is doing.
  void LookAround(const TestNode::Running& run) {
    grpc::ClientContext version;
    cri::VersionResponse version_response;
    EXPECT_TRUE(node_->runtime().Version(&version, {}, &version_response).ok());
    grpc::ClientContext status;
    cri::StatusResponse status_response;
    EXPECT_TRUE(node_->runtime().Status(&status, {}, &status_response).ok());
    grpc::ClientContext stats;
    cri::ListContainerStatsResponse stats_response;
    EXPECT_TRUE(
        node_->runtime().ListContainerStats(&stats, {}, &stats_response).ok());
    EXPECT_OK(node_->PodStatusOf(run.pod));
    EXPECT_OK(node_->StatusOf(run.container));
    EXPECT_THAT(node_->Pods(), SizeIs(1));
    EXPECT_THAT(node_->Containers(), SizeIs(1));
    // The plugin was in the midst of it all the time.
    EXPECT_FALSE(PathExists(dir_ / "go"));
  }

 private:
  const TempDir dir_;
};

TEST_F(SlowPluginTest, StatusAndListsDoNotWait) {
  Go();
  ASSERT_OK_AND_ASSIGN(const auto run, node_->Run("quick", Web(0)));
  Halt();
  std::thread adding([&] { EXPECT_OK(node_->RunPod("slow")); });
  AwaitPlugin();
  LookAround(run);
  // Nor does another pod's container.
  EXPECT_OK(node_->StopContainer(run.container, 1));
  Go();
  adding.join();
  for (const cri::PodSandbox& pod : node_->Pods()) {
    if (pod.id() != run.pod) EXPECT_OK(node_->RemovePod(pod.id()));
  }

  Halt();
  std::thread deleting([&] { EXPECT_OK(node_->StopPod(run.pod)); });
  AwaitPlugin();
  LookAround(run);
  Go();
  deleting.join();
}

}  // namespace
}  // namespace serai::testing
