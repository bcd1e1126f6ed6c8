// SPDX-License-Identifier: Apache-2.0
// seraid dies, its records are damaged, the machine restarts:
// what it finds afterwards is what is there, and nothing is left that it does
// not know of.
#include <signal.h>
#include <sys/mount.h>

#include <map>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "lib/base/file.h"
#include "tests/support/own_machine.h"
#include "tests/support/status_matchers.h"

namespace serai::testing {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

class CrashTest : public OwnMachineTest {
 protected:
  // After seraid died by itself, or by our hand.
  void Restart() {
    node_->Stop(SIGKILL);
    node_->InjectFault("");
    node_->Start();
  }

  std::string RecordOf(const char* kind, const std::string& id) const {
    return absl::StrCat(node_->root(), "/", kind, "/", id, ".json");
  }

  // As a reboot leaves it: nothing runs, the state directory is empty. Control
  // groups stay; taking them away is the kernel's part.
  void Reboot(const std::vector<TestNode::Running>& runs) {
    node_->Stop(SIGKILL);
    for (const TestNode::Running& run : runs) {
      const pid_t shim = ShimOf(run);
      if (shim > 0) ::kill(shim, SIGKILL);
    }
    const std::string netns_dir = JoinPath(node_->state(), "netns");
    const auto names = ListDir(netns_dir);
    ASSERT_OK(names);
    for (const std::string& name : *names) {
      ASSERT_EQ(::umount2(JoinPath(netns_dir, name).c_str(), MNT_DETACH), 0);
    }
    ASSERT_OK(RemoveTree(node_->state()));
    node_->Start();
  }

  void ExpectState(const TestNode::Running& run, cri::PodSandboxState pod,
                   cri::ContainerState container) {
    const auto pod_status = node_->PodStatusOf(run.pod);
    ASSERT_OK(pod_status);
    EXPECT_EQ(pod_status->state(), pod);
    const auto status = node_->StatusOf(run.container);
    ASSERT_OK(status);
    EXPECT_EQ(status->state(), container) << status->message();
  }
};

TEST_F(CrashTest, AStartThatEndedMeanwhileIsReported) {
  TestNode::Running run;
  ASSERT_OK_AND_ASSIGN(run.pod, node_->RunPod("pod"));
  ASSERT_OK_AND_ASSIGN(
      run.container,
      node_->Create(run.pod, node_->ContainerConfig(Exit(0), {"--status=4"})));
  node_->InjectFault("crash:container.start");
  EXPECT_THAT(node_->StartContainer(run.container),
              HasStatus(absl::StatusCode::kUnavailable, ""));
  Restart();
  ASSERT_OK_AND_ASSIGN(const auto status, node_->WaitExited(run.container));
  EXPECT_EQ(status.exit_code(), 4);
}

TEST_F(CrashTest, TenPodsAreFoundAsTheyAre) {
  WarmUp();
  const LeakWatch watch(*node_);
  std::vector<TestNode::Running> runs;
  for (int i = 0; i < 10; ++i) {
    ASSERT_OK_AND_ASSIGN(auto run, node_->Run(absl::StrCat("pod", i), Web(i)));
    ASSERT_OK(HttpGetRetried(run.ip, 80, "/"));
    runs.push_back(std::move(run));
  }
  node_->Stop(SIGKILL);
  // Ended by themselves, by a signal, and with their shim.
  std::map<size_t, int32_t> exits = {{1, 11}, {4, 14}, {6, 137}, {8, 255}};
  (void)HttpGet(runs[1].ip, 80, "/exit?code=11");
  (void)HttpGet(runs[4].ip, 80, "/exit?code=14");
  ASSERT_EQ(::kill(TenderOf(runs[6]), SIGKILL), 0);
  ASSERT_EQ(::kill(ShimOf(runs[8]), SIGKILL), 0);
  node_->Start();

  EXPECT_THAT(node_->Pods(), SizeIs(10));
  for (size_t i = 0; i < runs.size(); ++i) {
    SCOPED_TRACE(i);
    if (exits.count(i) == 0) {
      ExpectState(runs[i], cri::SANDBOX_READY, cri::CONTAINER_RUNNING);
      EXPECT_OK(HttpGet(runs[i].ip, 80, "/"));
      continue;
    }
    const auto status = node_->WaitExited(runs[i].container);
    ASSERT_OK(status);
    EXPECT_EQ(status->exit_code(), exits[i]) << status->message();
    EXPECT_GT(status->finished_at(), status->started_at());
  }
  // They go on being watched.
  (void)HttpGet(runs[0].ip, 80, "/exit?code=10");
  ASSERT_OK_AND_ASSIGN(const auto status, node_->WaitExited(runs[0].container));
  EXPECT_EQ(status.exit_code(), 10);
  for (const TestNode::Running& run : runs) {
    EXPECT_OK(node_->RemovePod(run.pod));
  }
  EXPECT_THAT(watch.Leaks(), IsEmpty());
}

TEST_F(CrashTest, UnreadableRecordsArePutAsideAndWhatTheyToldOfEnds) {
  WarmUp();
  const LeakWatch watch(*node_);
  ASSERT_OK_AND_ASSIGN(const auto cut, node_->Run("cut", Web(0)));
  ASSERT_OK_AND_ASSIGN(const auto garbled, node_->Run("garbled", Web(1)));
  ASSERT_OK_AND_ASSIGN(const auto sound, node_->Run("sound", Web(0)));
  for (const auto& run : {cut, garbled, sound}) {
    ASSERT_OK(HttpGetRetried(run.ip, 80, "/"));
  }
  node_->Stop(SIGKILL);
  const std::string of_pod = RecordOf("pods", cut.pod);
  const std::string of_container = RecordOf("containers", garbled.container);
  const std::string foreign = RecordOf("pods", "notes");
  ASSERT_OK_AND_ASSIGN(const std::string json, ReadFile(of_pod, 1 << 20));
  ASSERT_OK(WriteFileAtomic(of_pod, json.substr(0, json.size() / 2)));
  ASSERT_OK(WriteFileAtomic(of_container, std::string("\0\xff{[", 4)));
  ASSERT_OK(WriteFileAtomic(foreign, "{}"));
  node_->Start();

  EXPECT_TRUE(PathExists(of_pod + ".unreadable"));
  EXPECT_TRUE(PathExists(of_container + ".unreadable"));
  EXPECT_TRUE(PathExists(foreign + ".unreadable"));
  EXPECT_THAT(node_->Pods(), SizeIs(2));
  EXPECT_THAT(node_->Containers(), SizeIs(1));
  ExpectState(sound, cri::SANDBOX_READY, cri::CONTAINER_RUNNING);
  EXPECT_OK(HttpGet(sound.ip, 80, "/"));
  // As kubelet will: it knows of neither any more.
  TestNode::Running again = garbled;
  ASSERT_OK_AND_ASSIGN(
      again.container,
      node_->Create(garbled.pod, node_->ContainerConfig(Web(1), {})));
  ASSERT_OK(node_->StartContainer(again.container));
  EXPECT_OK(HttpGetRetried(garbled.ip, 80, "/"));
  ASSERT_OK_AND_ASSIGN(const auto anew, node_->Run("cut", Web(0)));
  EXPECT_OK(HttpGetRetried(anew.ip, 80, "/"));

  for (const auto& run : {again, sound, anew}) {
    EXPECT_OK(node_->RemovePod(run.pod));
  }
  for (const std::string& path : {of_pod, of_container, foreign}) {
    EXPECT_OK(RemovePath(path + ".unreadable"));
  }
  EXPECT_THAT(watch.Leaks(), IsEmpty());
}

TEST_F(CrashTest, AfterARebootPodsAreNotReadyAndCanBeRemoved) {
  WarmUp();
  const LeakWatch watch(*node_);
  ASSERT_OK_AND_ASSIGN(const auto web, node_->Run("web", Web(0)));
  ASSERT_OK_AND_ASSIGN(const auto done,
                       node_->Run("done", Exit(1), {"--status=6"}));
  ASSERT_OK(node_->WaitExited(done.container));
  TestNode::Running created;
  ASSERT_OK_AND_ASSIGN(created.pod, node_->RunPod("created"));
  ASSERT_OK_AND_ASSIGN(
      created.container,
      node_->Create(created.pod, node_->ContainerConfig(Web(1), {})));
  Reboot({web, done, created});

  ExpectState(web, cri::SANDBOX_NOTREADY, cri::CONTAINER_EXITED);
  ExpectState(done, cri::SANDBOX_NOTREADY, cri::CONTAINER_EXITED);
  ASSERT_OK_AND_ASSIGN(const auto status, node_->StatusOf(done.container));
  EXPECT_EQ(status.exit_code(), 6);
  ExpectState(created, cri::SANDBOX_NOTREADY, cri::CONTAINER_EXITED);
  EXPECT_THAT(node_->StartContainer(created.container),
              HasStatus(absl::StatusCode::kFailedPrecondition, "has ended"));

  // kubelet's next attempt stands beside the old one.
  auto config = node_->PodConfig("web");
  config.mutable_metadata()->set_attempt(1);
  ASSERT_OK_AND_ASSIGN(const std::string next, node_->RunPod(config));
  ASSERT_OK_AND_ASSIGN(const std::string container,
                       node_->Create(next, node_->ContainerConfig(Web(0), {})));
  ASSERT_OK(node_->StartContainer(container));
  ASSERT_OK_AND_ASSIGN(const auto pod, node_->PodStatusOf(next));
  ASSERT_OK_AND_ASSIGN(const std::string page,
                       HttpGetRetried(pod.network().ip(), 80, "/"));
  EXPECT_THAT(page, HasSubstr("200 OK"));
  for (const std::string& id : {web.pod, done.pod, created.pod, next}) {
    EXPECT_OK(node_->StopPod(id));
    EXPECT_OK(node_->RemovePod(id));
  }
  EXPECT_THAT(watch.Leaks(), IsEmpty());
}

}  // namespace
}  // namespace serai::testing
