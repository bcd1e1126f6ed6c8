// SPDX-License-Identifier: Apache-2.0
// Pause, snapshots and counters: what a running guest is asked for.

#include <signal.h>

#include <fstream>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "lib/base/file.h"
#include "tests/shim/pod_shim.h"
#include "tests/support/require.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temp_dir.h"

namespace serai::testing {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

constexpr absl::Duration kPatience = absl::Seconds(10);

class ControlTest : public ::testing::Test {
 protected:
  void SetUp() override { SERAI_NEED("root"); }

  // A running guest that prints a line now and then.
  void Run(const std::string& id, const std::string& guest = "count.spt",
           const std::string& lines = "--lines=200") {
    ASSERT_OK(
        shim_.Create(id, shim_.Spec(id, guest, {lines, "--pause-ms=20"})));
    ASSERT_OK(shim_.Start(id));
    ASSERT_TRUE(shim_.WaitForLog(id, "count: 3"));
  }

  template <typename Request>
  absl::Status Task(const char* method, const std::string& id) {
    Request request;
    request.set_id(id);
    return shim_.Call<wire::Empty>(method, request).status();
  }
  absl::Status Pause(const std::string& id) {
    return Task<task::PauseRequest>("Pause", id);
  }
  absl::Status Resume(const std::string& id) {
    return Task<task::ResumeRequest>("Resume", id);
  }
  absl::StatusOr<shim::v1::SnapshotResponse> Snapshot(const std::string& id,
                                                      const std::string& path) {
    shim::v1::SnapshotRequest request;
    request.set_id(id);
    request.set_path(path);
    return shim_.Call<shim::v1::SnapshotResponse>("Snapshot", request,
                                                  ttrpc::kControlService);
  }
  absl::StatusOr<shim::v1::DevicesResponse> Devices(const std::string& id) {
    shim::v1::DevicesRequest request;
    request.set_id(id);
    return shim_.Call<shim::v1::DevicesResponse>("Devices", request,
                                                 ttrpc::kControlService);
  }

  // The kernel's letter for the state of a task's process.
  char StateOf(const std::string& id) {
    std::ifstream stat(absl::StrCat("/proc/", shim_.State(id)->pid(), "/stat"));
    std::string pid;
    std::string name;
    char state = '?';
    stat >> pid >> name >> state;
    return state;
  }

  PodShim shim_;
};

TEST_F(ControlTest, PauseStopsAGuestAndResumeLetsItGoOn) {
  Run("a");
  ASSERT_OK(Pause("a"));
  EXPECT_EQ(shim_.State("a")->status(), task::TASK_PAUSED);
  EXPECT_EQ(StateOf("a"), 'T');
  absl::SleepFor(absl::Milliseconds(100));  // what it said before comes through
  const std::string before = shim_.LogText("a", "stdout");
  absl::SleepFor(absl::Milliseconds(200));
  EXPECT_EQ(shim_.LogText("a", "stdout"), before);
  ASSERT_OK(Resume("a"));
  EXPECT_EQ(shim_.State("a")->status(), task::TASK_RUNNING);
  const absl::Time deadline = absl::Now() + kPatience;
  while (shim_.LogText("a", "stdout") == before && absl::Now() < deadline) {
    absl::SleepFor(absl::Milliseconds(10));
  }
  EXPECT_NE(shim_.LogText("a", "stdout"), before);
}

TEST_F(ControlTest, PauseIsForWhatRunsAndResumeForWhatIsPaused) {
  const auto wrong = absl::StatusCode::kFailedPrecondition;
  ASSERT_OK(shim_.Create("a", shim_.Spec("a", "hello.spt")));
  EXPECT_THAT(Pause("a"), HasStatus(wrong, "does not run"));
  ASSERT_OK(shim_.Start("a"));
  ASSERT_OK(shim_.Wait("a").status());
  EXPECT_THAT(Pause("a"), HasStatus(wrong, "does not run"));
  EXPECT_THAT(Resume("a"), HasStatus(wrong, "does not run"));
  Run("b");
  EXPECT_THAT(Resume("b"), HasStatus(wrong, "is not paused"));
  ASSERT_OK(Pause("b"));
  EXPECT_THAT(Pause("b"), HasStatus(wrong, "is paused"));
  EXPECT_THAT(Pause("c"), HasStatus(absl::StatusCode::kNotFound, "task c"));
  // And is killed as it stands.
  ASSERT_OK(shim_.Kill("b", SIGKILL));
  EXPECT_EQ(*shim_.Wait("b"), 128u + SIGKILL);
}

// Who pauses a task resumes it: a signal would do so behind the shim's back.
TEST_F(ControlTest, ASignalDoesNotResume) {
  Run("a");
  ASSERT_OK(Pause("a"));
  ASSERT_OK(shim_.Kill("a", SIGCONT));
  absl::SleepFor(absl::Milliseconds(50));
  EXPECT_EQ(StateOf("a"), 'T');
  EXPECT_EQ(shim_.State("a")->status(), task::TASK_PAUSED);
}

// What can't be started ends, and holds the shim's other tasks up for a bounded
// time only.
TEST_F(ControlTest, AStoppedProcessDoesNotHoldUpTheShim) {
  ASSERT_OK(shim_.Create("a", shim_.Spec("a", "hello.spt")));
  ASSERT_EQ(::kill(static_cast<pid_t>(shim_.State("a")->pid()), SIGSTOP), 0);
  const absl::Time start = absl::Now();
  EXPECT_THAT(shim_.Start("a"),
              HasStatus(absl::StatusCode::kDeadlineExceeded, "frozen"));
  EXPECT_LT(absl::Now() - start, absl::Seconds(10));
  EXPECT_EQ(*shim_.Wait("a"), 127u);
  ASSERT_OK(shim_.Delete("a").status());
}

TEST_F(ControlTest, ARestoredGuestGoesOnWhereTheSnapshotWasTaken) {
  SERAI_NEED("kvm");
  Run("a", "count.hvt", "--lines=60");
  const TempDir directory;
  const std::string path = directory / "snapshot";
  const auto taken = Snapshot("a", path);
  ASSERT_OK(taken.status());
  EXPECT_GT(taken->bytes(), 0u);
  EXPECT_THAT(*ListDir(path), ElementsAre("machine", "memory.0"));
  // The guest goes on.
  EXPECT_EQ(*shim_.Wait("a"), 0u);
  EXPECT_THAT(shim_.LogText("a", "stdout"), HasSubstr("SUCCESS"));

  // As containerd does it, whose directory is gone before the start.
  ASSERT_OK(shim_.WriteBundle("b", shim_.Spec("b", "count.hvt")));
  ASSERT_OK(shim_.CreateFromBundle("b", path));
  ASSERT_OK(RemoveTree(path));
  ASSERT_OK(shim_.Start("b"));
  EXPECT_EQ(*shim_.Wait("b"), 0u);
  EXPECT_THAT(
      shim_.LogText("b", "stdout"),
      ::testing::AllOf(HasSubstr("SUCCESS"), Not(HasSubstr("count: 1\n"))));
}

TEST_F(ControlTest, APausedGuestIsPausedBehindItsSnapshot) {
  SERAI_NEED("kvm");
  Run("a", "count.hvt");
  ASSERT_OK(Pause("a"));
  const TempDir directory;
  ASSERT_OK(Snapshot("a", directory / "snapshot").status());
  EXPECT_EQ(shim_.State("a")->status(), task::TASK_PAUSED);
  absl::SleepFor(absl::Milliseconds(20));
  EXPECT_EQ(StateOf("a"), 'T');
}

TEST_F(ControlTest, ASnapshotThatFailsLeavesNothing) {
  SERAI_NEED("kvm");
  Run("a", "count.hvt");
  const TempDir directory;
  EXPECT_THAT(Snapshot("a", "relative").status(),
              HasStatus(absl::StatusCode::kInvalidArgument, "absolute"));
  EXPECT_THAT(Snapshot("a", directory / "no/where").status(),
              HasStatus(absl::StatusCode::kNotFound, "no/where"));
  ASSERT_OK(WriteFileAtomic(directory / "file", "x"));
  EXPECT_THAT(Snapshot("a", directory.path()).status(),
              HasStatus(absl::StatusCode::kFailedPrecondition, "not empty"));
  EXPECT_THAT(*ListDir(directory.path()), ElementsAre("file"));
  Run("b");
  EXPECT_THAT(Snapshot("b", directory / "spt").status(),
              HasStatus(absl::StatusCode::kUnimplemented, "spt"));
  EXPECT_THAT(*ListDir(directory.path()), ElementsAre("file"));
}

TEST_F(ControlTest, CheckpointCanEndTheTask) {
  SERAI_NEED("kvm");
  Run("a", "count.hvt");
  const TempDir directory;
  task::CheckpointOptions options;
  options.set_exit(true);
  task::CheckpointTaskRequest request;
  request.set_id("a");
  request.set_path(directory.path());
  request.mutable_options()->set_value(options.SerializeAsString());
  ASSERT_OK(shim_.Call<wire::Empty>("Checkpoint", request).status());
  EXPECT_EQ(*shim_.Wait("a"), 128u + SIGKILL);
  EXPECT_THAT(*ListDir(directory.path()), ElementsAre("machine", "memory.0"));
}

TEST_F(ControlTest, WhatIsNoSnapshotIsNotRestored) {
  const auto wrong = absl::StatusCode::kInvalidArgument;
  SERAI_NEED("kvm");
  const TempDir directory;
  ASSERT_OK(shim_.WriteBundle("a", shim_.Spec("a", "count.hvt")));
  EXPECT_THAT(shim_.CreateFromBundle("a", directory.path()),
              HasStatus(wrong, "file machine"));
  ASSERT_OK(WriteFileAtomic(directory / "machine", "SERAISNP"));
  EXPECT_THAT(shim_.CreateFromBundle("a", directory.path()),
              HasStatus(wrong, "is no snapshot's"));
  ASSERT_OK(shim_.WriteBundle("b", shim_.Spec("b", "count.spt")));
  EXPECT_THAT(shim_.CreateFromBundle("b", directory.path()),
              HasStatus(absl::StatusCode::kUnimplemented, "spt"));
}

TEST_F(ControlTest, AGuestWithoutDevicesHasNoCounters) {
  Run("a");
  const auto devices = Devices("a");
  ASSERT_OK(devices.status());
  EXPECT_THAT(devices->devices(), IsEmpty());
}

TEST_F(ControlTest, CountsWhatABlockDeviceOfAnHvtGuestDid) {
  SERAI_NEED("kvm");
  const TempDir directory;
  ASSERT_OK(WriteFileAtomic(directory / "disk", std::string(1 << 20, '\0')));
  oci::RuntimeSpec spec =
      shim_.Spec("a", "blockrate.hvt", {"--blocks=1000000000"});
  oci::GuestDevice device;
  device.name = "storage";
  device.type = oci::GuestDevice::Type::kBlock;
  device.path = directory / "disk";
  spec.devices = {device};
  ASSERT_OK(shim_.Create("a", spec));
  EXPECT_THAT(Devices("a").status(),
              HasStatus(absl::StatusCode::kFailedPrecondition, "not run"));
  ASSERT_OK(shim_.Start("a"));
  uint64_t reads = 0;
  const absl::Time deadline = absl::Now() + kPatience;
  while (reads == 0 && absl::Now() < deadline) {
    const auto devices = Devices("a");
    ASSERT_OK(devices.status());
    ASSERT_EQ(devices->devices_size(), 1);
    EXPECT_EQ(devices->devices(0).name(), "storage");
    EXPECT_EQ(devices->devices(0).type(), "block");
    EXPECT_EQ(devices->devices(0).sent(), 0u);
    reads = devices->devices(0).received();
    EXPECT_EQ(devices->devices(0).received_bytes(), reads * 512);
  }
  EXPECT_GT(reads, 0u);
}

}  // namespace
}  // namespace serai::testing
