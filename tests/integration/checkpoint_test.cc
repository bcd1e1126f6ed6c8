// SPDX-License-Identifier: Apache-2.0
// CheckpointContainer, CheckpointPod and RestorePod: a web server that counts
// goes on counting where its checkpoint was taken.
#include <signal.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "lib/base/file.h"
#include "lib/base/subprocess.h"
#include "tests/integration/bad_input.h"
#include "tests/support/fault_points.h"

namespace serai::testing {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::UnorderedElementsAre;

using Runtime = cri::RuntimeService::Stub;
constexpr auto kRefused = absl::StatusCode::kFailedPrecondition;
constexpr auto kInvalid = absl::StatusCode::kInvalidArgument;

class CheckpointTest : public BadInputTest {
 protected:
  void SetUp() override {
    SERAI_NEED("kvm");
    ASSERT_NO_FATAL_FAILURE(BadInputTest::SetUp());
    if (IsSkipped()) return;
    NodeOptions options;
    options.more_config = "[handlers.unikernel]\n[handlers.other]\n";
    ASSERT_NO_FATAL_FAILURE(StartNode(options));
    ASSERT_OK_AND_ASSIGN(image_, node_->LoadGuests("web", {"web.hvt"}));
  }

  absl::Status CheckpointContainer(const std::string& container,
                                   const std::string& location) {
    cri::CheckpointContainerRequest request;
    request.set_container_id(container);
    request.set_location(location);
    return CallCri(node_->runtime(), &Runtime::CheckpointContainer, request)
        .status();
  }

  absl::Status CheckpointPod(const TestNode::Running& run,
                             const std::string& directory) {
    cri::CheckpointPodRequest request;
    request.set_pod_sandbox_id(run.pod);
    request.add_container_ids(run.container);
    request.set_output_path(directory);
    return CallCri(node_->runtime(), &Runtime::CheckpointPod, request).status();
  }

  absl::StatusOr<TestNode::Running> RestorePod(
      const std::string& directory, const std::string& name,
      const cri::ContainerConfig& config,
      const std::string& handler = "unikernel") {
    cri::RestorePodRequest request;
    request.set_checkpoint_path(directory);
    request.set_runtime_handler(handler);
    *request.mutable_config() = node_->PodConfig(name);
    // kubelet makes the log's directory.
    RETURN_IF_ERROR(MakeDirs(request.config().log_directory() + "/c"));
    *request.add_container_configs() = config;
    ASSIGN_OR_RETURN(const auto response,
                     CallCri(node_->runtime(), &Runtime::RestorePod, request));
    TestNode::Running run;
    run.pod = response.pod_sandbox_id();
    run.container = response.restored_containers(0).container_id();
    EXPECT_EQ(response.restored_containers(0).name(), config.metadata().name());
    return run;
  }

  // The guest's answer to one more request.
  static int Count(const std::string& ip) {
    const auto answer = HttpGetRetried(ip, 80, "/count");
    EXPECT_OK(answer);
    int number = -1;
    const std::string body =
        answer.ok() ? answer->substr(answer->find("\r\n\r\n") + 4) : "";
    EXPECT_TRUE(absl::SimpleAtoi(body, &number)) << body;
    return number;
  }

  std::string NewDirectory(const std::string& name) {
    const std::string path = dir_ / name;
    EXPECT_OK(MakeDirs(path));
    return path;
  }

  const TempDir dir_;
  std::string image_;
};

TEST_F(CheckpointTest, ARestoredGuestCountsOn) {
  ASSERT_OK_AND_ASSIGN(const auto first, node_->Run("first", image_));
  for (int i = 1; i <= 5; ++i) EXPECT_EQ(Count(first.ip), i);
  const std::string directory = NewDirectory("checkpoint");
  ASSERT_OK(CheckpointPod(first, directory));
  // It goes on itself.
  EXPECT_EQ(Count(first.ip), 6);
  const auto config = node_->ContainerConfig(image_, {});
  // Its address is in use as long as it lives.
  EXPECT_THAT(RestorePod(directory, "second", config),
              HasStatus(absl::StatusCode::kUnknown, "guest's addresses"));
  ASSERT_OK(node_->RemovePod(first.pod));

  ASSERT_OK_AND_ASSIGN(const auto second,
                       RestorePod(directory, "second", config));
  ASSERT_OK_AND_ASSIGN(const auto created, node_->StatusOf(second.container));
  EXPECT_EQ(created.state(), cri::CONTAINER_CREATED);
  ASSERT_OK_AND_ASSIGN(const auto pod, node_->PodStatusOf(second.pod));
  EXPECT_EQ(pod.network().ip(), first.ip);
  // Who has not heard the answer asks again.
  ASSERT_OK_AND_ASSIGN(const auto again,
                       RestorePod(directory, "second", config));
  EXPECT_EQ(again.pod, second.pod);
  EXPECT_EQ(again.container, second.container);
  ASSERT_OK(node_->StartContainer(second.container));
  EXPECT_EQ(Count(first.ip), 6);
  EXPECT_EQ(Count(first.ip), 7);
  ASSERT_OK_AND_ASSIGN(const auto log, LogOf(second.container));
  EXPECT_THAT(log, HasSubstr("/count"));
  ASSERT_OK(node_->RemovePod(second.pod));
  EXPECT_THAT(RestorePod(directory, "second", config),
              HasStatus(kRefused, "same random numbers"));

  // One memory image, one guest.
  EXPECT_THAT(RestorePod(directory, "third", config),
              HasStatus(kRefused, "same random numbers"));
  EXPECT_EQ(node_->Pods().size(), 0u);
}

// One memory image, one guest: also where the pod of the first stays.
TEST_F(CheckpointTest, AGuestThatHasEndedIsNotRestoredOnceMore) {
  ASSERT_OK_AND_ASSIGN(const auto first, node_->Run("first", image_));
  EXPECT_EQ(Count(first.ip), 1);
  const std::string directory = NewDirectory("checkpoint");
  ASSERT_OK(CheckpointPod(first, directory));
  ASSERT_OK(node_->RemovePod(first.pod));
  auto config = node_->ContainerConfig(image_, {});
  ASSERT_OK_AND_ASSIGN(const auto second,
                       RestorePod(directory, "second", config));
  ASSERT_OK(node_->StartContainer(second.container));
  EXPECT_EQ(Count(first.ip), 2);
  ASSERT_OK(node_->StopContainer(second.container, 0));
  config.mutable_metadata()->set_attempt(1);
  const auto refused = HasStatus(kRefused, "same random numbers");
  EXPECT_THAT(RestorePod(directory, "second", config), refused);
  ASSERT_OK(node_->RemoveContainer(second.container));
  EXPECT_THAT(RestorePod(directory, "second", config), refused);
}

TEST_F(CheckpointTest, ACheckpointWhoseGuestWasNotStartedIsNotUsedUp) {
  ASSERT_OK_AND_ASSIGN(const auto first, node_->Run("first", image_));
  EXPECT_EQ(Count(first.ip), 1);
  const std::string directory = NewDirectory("checkpoint");
  ASSERT_OK(CheckpointPod(first, directory));
  ASSERT_OK(node_->RemovePod(first.pod));
  const auto config = node_->ContainerConfig(image_, {});
  for (const FaultStep& step : kFaultSteps) {
    if (step.call != FaultCall::kRestorePod) continue;
    SCOPED_TRACE(step.name);
    node_->InjectFault(step.name);
    EXPECT_THAT(RestorePod(directory, "second", config),
                HasStatus(absl::StatusCode::kInternal, "injected"));
    EXPECT_EQ(node_->Pods().size(), 0u);
    node_->InjectFault(absl::StrCat("crash:", step.name));
    EXPECT_THAT(RestorePod(directory, "second", config),
                HasStatus(absl::StatusCode::kUnavailable, ""));
    node_->Stop(SIGKILL);
    node_->InjectFault("");
    node_->Start();
    ASSERT_OK_AND_ASSIGN(const auto again,
                         RestorePod(directory, "second", config));
    EXPECT_EQ(node_->Pods().size(), 1u);
    EXPECT_EQ(node_->Containers().size(), 1u);
    // It is that pod's, as long as it is there.
    EXPECT_THAT(RestorePod(directory, "third", config),
                HasStatus(kRefused, "restored already, as pod second"));
    ASSERT_OK(node_->RemovePod(again.pod));
  }
  ASSERT_OK_AND_ASSIGN(const auto third,
                       RestorePod(directory, "third", config));
  ASSERT_OK(node_->StartContainer(third.container));
  EXPECT_EQ(Count(first.ip), 2);
}

TEST_F(CheckpointTest, WhatAKilledSeraidLeftBehindIsNotInTheWay) {
  ASSERT_OK_AND_ASSIGN(const auto run, node_->Run("web", image_));
  EXPECT_EQ(Count(run.ip), 1);
  const std::string out = NewDirectory("out");
  const std::string scratch =
      absl::StrCat(out, "/web.tar.", std::string(64, 'a'), ".snapshot");
  ASSERT_OK(MakeDirs(scratch));
  ASSERT_OK(WriteFileAtomic(scratch + "/memory.0", "of a guest"));
  ASSERT_OK(WriteFileAtomic(out + "/web.tar.part", "half of it"));
  ASSERT_OK(CheckpointContainer(run.container, out + "/web.tar"));
  EXPECT_THAT(ListDir(out).value(), ::testing::ElementsAre("web.tar"));

  const std::string directory = NewDirectory("checkpoint");
  ASSERT_OK(MakeDirs(directory + "/container.0"));
  ASSERT_OK(WriteFileAtomic(directory + "/container.0/memory.0", "of a guest"));
  ASSERT_OK(WriteFileAtomic(directory + "/pod.json.tmp.abcdef", "{"));
  ASSERT_OK(CheckpointPod(run, directory));
  EXPECT_THAT(ListDir(directory).value(),
              ::testing::ElementsAre("container.0", "pod.json"));
  // What is whole stays.
  EXPECT_THAT(CheckpointPod(run, directory), HasStatus(kRefused, "not empty"));
  EXPECT_EQ(Count(run.ip), 2);
}

TEST_F(CheckpointTest, WhatDoesNotFitIsRefusedAndLeavesNothing) {
  ASSERT_OK_AND_ASSIGN(const auto first, node_->Run("first", image_));
  EXPECT_EQ(Count(first.ip), 1);
  const std::string directory = NewDirectory("checkpoint");
  ASSERT_OK(CheckpointPod(first, directory));
  ASSERT_OK(node_->RemovePod(first.pod));
  ASSERT_OK_AND_ASSIGN(const std::string other,
                       node_->LoadGuests("other", {"hello.hvt"}));
  Mark();
  auto config = node_->ContainerConfig(image_, {"--name=other"});
  EXPECT_THAT(RestorePod(directory, "p", config),
              HasStatus(kInvalid, "can't go on with"));
  config = node_->ContainerConfig(image_, {});
  config.mutable_metadata()->set_name("other");
  EXPECT_THAT(RestorePod(directory, "p", config),
              HasStatus(kInvalid, "exactly that one"));
  config = node_->ContainerConfig(image_, {});
  config.mutable_linux()->mutable_resources()->set_memory_limit_in_bytes(64
                                                                         << 20);
  EXPECT_THAT(RestorePod(directory, "p", config),
              HasStatus(kInvalid, "memory limit"));
  EXPECT_THAT(RestorePod(NewDirectory("empty"), "p", config),
              HasStatus(absl::StatusCode::kNotFound, "pod.json"));
  ASSERT_EQ(::mkfifo((NewDirectory("pipe") + "/pod.json").c_str(), 0600), 0);
  EXPECT_THAT(RestorePod(dir_ / "pipe", "p", config),
              HasStatus(absl::StatusCode::kDataLoss, "not a regular file"));
  config = node_->ContainerConfig(image_, {});
  EXPECT_THAT(RestorePod(directory, "p", config, "other"),
              HasStatus(kInvalid, "that of the checkpoint \"unikernel\""));
  EXPECT_THAT(RestorePod(directory, "p", node_->ContainerConfig(other, {})),
              HasStatus(kInvalid, "that of the checkpoint"));
  ExpectNothingNew();
  // None of these has used it up.
  ASSERT_OK_AND_ASSIGN(
      const auto again,
      RestorePod(directory, "p", node_->ContainerConfig(image_, {})));
  ASSERT_OK(node_->StartContainer(again.container));
  EXPECT_EQ(Count(first.ip), 2);
}

TEST_F(CheckpointTest, AContainersCheckpointIsAnArchive) {
  ASSERT_OK_AND_ASSIGN(const auto run, node_->Run("web", image_));
  EXPECT_EQ(Count(run.ip), 1);
  const std::string directory = NewDirectory("out");
  const std::string location = directory + "/web.tar";
  ASSERT_OK(CheckpointContainer(run.container, location));
  EXPECT_EQ(Count(run.ip), 2);
  EXPECT_THAT(ListDir(directory).value(), ::testing::ElementsAre("web.tar"));
  SubprocessSpec tar;
  tar.program = "/bin/tar";
  tar.args = {"-tf", location};
  ASSERT_OK_AND_ASSIGN(const SubprocessResult listed, RunSubprocess(tar));
  EXPECT_EQ(listed.exit_code, 0) << listed.error_output;
  const std::vector<std::string> files =
      absl::StrSplit(listed.output, '\n', absl::SkipEmpty());
  EXPECT_THAT(files, UnorderedElementsAre("machine", "memory.0"));

  EXPECT_THAT(CheckpointContainer(run.container, location),
              HasStatus(absl::StatusCode::kAlreadyExists, "exists already"));
  EXPECT_THAT(CheckpointContainer(run.container, "web.tar"),
              HasStatus(kInvalid, "no absolute path"));
  EXPECT_FALSE(CheckpointContainer(run.container, dir_ / "no/such/x.tar").ok());
  ASSERT_OK(node_->StopContainer(run.container, 0));
  EXPECT_THAT(CheckpointContainer(run.container, directory + "/b.tar"),
              HasStatus(kRefused, "not running"));
  EXPECT_THAT(ListDir(directory).value(), ::testing::ElementsAre("web.tar"));
}

TEST_F(CheckpointTest, AFullDiskLeavesNothingAndTheGuestGoesOn) {
  ASSERT_OK_AND_ASSIGN(const auto run, node_->Run("web", image_));
  EXPECT_EQ(Count(run.ip), 1);
  const std::string disk = NewDirectory("disk");
  ASSERT_EQ(::mount("tmpfs", disk.c_str(), "tmpfs", 0, "size=16k"), 0);
  EXPECT_THAT(
      std::string(
          CheckpointContainer(run.container, disk + "/web.tar").message()),
      HasSubstr("No space left"));
  EXPECT_THAT(ListDir(disk).value(), IsEmpty());
  EXPECT_THAT(std::string(CheckpointPod(run, disk).message()),
              HasSubstr("No space left"));
  EXPECT_THAT(ListDir(disk).value(), IsEmpty());
  EXPECT_EQ(Count(run.ip), 2);
  EXPECT_EQ(::umount(disk.c_str()), 0);
}

TEST_F(CheckpointTest, OnlyWhatRunsUnderHvtHasACheckpoint) {
  ASSERT_OK_AND_ASSIGN(const std::string spt,
                       node_->LoadGuests("spt", {"web.spt"}));
  ASSERT_OK_AND_ASSIGN(const auto run, node_->Run("web", spt));
  const std::string directory = NewDirectory("out");
  EXPECT_THAT(std::string(CheckpointPod(run, directory).message()),
              HasSubstr("spt"));
  EXPECT_THAT(ListDir(directory).value(), IsEmpty());
  EXPECT_THAT(
      std::string(
          CheckpointContainer(run.container, directory + "/x").message()),
      HasSubstr("spt"));
  EXPECT_THAT(ListDir(directory).value(), IsEmpty());
  ASSERT_OK(WriteFileAtomic(directory + "/mine", ""));
  EXPECT_THAT(CheckpointPod(run, directory),
              HasStatus(kRefused, "not empty: it has mine"));
  TestNode::Running wrong = run;
  wrong.container = "0123";
  EXPECT_THAT(CheckpointPod(wrong, NewDirectory("other")),
              HasStatus(kInvalid, "container_ids"));
}

}  // namespace
}  // namespace serai::testing
