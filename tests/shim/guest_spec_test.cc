// SPDX-License-Identifier: Apache-2.0
// What the shim makes of the specifications that containerd writes.
#include "shim/guest_spec.h"

#include <fcntl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <string>
#include <utility>
#include <vector>

#include "lib/base/file.h"
#include "shim/ask_child.h"
#include "tests/support/require.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temp_dir.h"
#include "tests/support/unikernel_file.h"

namespace serai::shim {
namespace {

using ::serai::testing::HasStatus;
using ::serai::testing::TempDir;
using ::serai::testing::UnikernelFile;
using solo5::DeviceType;
using ::testing::ElementsAre;

constexpr auto kInvalid = absl::StatusCode::kInvalidArgument;
constexpr auto kPrecondition = absl::StatusCode::kFailedPrecondition;
constexpr int64_t kMiB = 1 << 20;

class GuestSpecTest : public ::testing::Test {
 protected:
  void SetUp() override {
    ASSERT_OK(MakeDirs(dir_ / "root"));
    spec_.complete = false;
    spec_.root_path = "rootfs";
    spec_.args = {"/app.spt", "--user"};
    Write("app.spt", {});
  }
  void Write(const std::string& path,
             const std::vector<std::pair<std::string, DeviceType>>& devices) {
    UnikernelFile file;
    file.target = solo5::Target::kSpt;
    file.devices = devices;
    ASSERT_OK(WriteFileAtomic(JoinPath(dir_ / "root", path), file.Bytes()));
  }
  absl::StatusOr<CompletedSpec> Complete() {
    ASSIGN_OR_RETURN(const UniqueFd root,
                     OpenFile(dir_ / "root", O_PATH | O_DIRECTORY));
    return CompleteSpec(spec_, {root.get(), dir_ / "bundle", "/nonexistent"});
  }

  TempDir dir_;
  oci::RuntimeSpec spec_;
};

TEST_F(GuestSpecTest, IsWhatSeraidWouldHaveWritten) {
  spec_.resources.memory_limit = 100 * kMiB + 5;
  spec_.resources.cpu_shares = 7;
  spec_.cgroups_path = "/a/b";
  spec_.oom_score_adj = 3;
  spec_.annotations = {{"x", "y"}};
  ASSERT_OK_AND_ASSIGN(const CompletedSpec completed, Complete());
  oci::RuntimeSpec wanted = spec_;
  wanted.complete = true;
  wanted.unikernel = "/app.spt";
  wanted.guest_memory = 100 * kMiB;
  wanted.resources.memory_limit = 132 * kMiB;
  EXPECT_EQ(completed.spec, wanted);
  EXPECT_TRUE(completed.taps.empty());
}

TEST_F(GuestSpecTest, MemoryIsTheLimitOrWhatThePodSays) {
  ASSERT_OK_AND_ASSIGN(const CompletedSpec by_default, Complete());
  EXPECT_EQ(by_default.spec.guest_memory, 64 * kMiB);
  EXPECT_EQ(by_default.spec.resources.memory_limit, 96 * kMiB);
  spec_.annotations["serai.dev/memory"] = "20Mi";
  ASSERT_OK_AND_ASSIGN(const CompletedSpec by_pod, Complete());
  EXPECT_EQ(by_pod.spec.guest_memory, 20 * kMiB);
  EXPECT_EQ(by_pod.spec.resources.memory_limit, 52 * kMiB);
  spec_.resources.memory_limit = 10 * kMiB;
  EXPECT_THAT(Complete(), HasStatus(kInvalid, "above the container's memory"));
  for (const char* bad : {"", "x", "-1", "0", "1"}) {
    spec_.annotations["serai.dev/memory"] = bad;
    EXPECT_THAT(Complete(), HasStatus(kInvalid, "serai.dev/memory")) << bad;
  }
  spec_.annotations.clear();
  spec_.resources.memory_limit = 1000;
  EXPECT_THAT(Complete(), HasStatus(kInvalid, "the memory limit of 1000"));
}

TEST_F(GuestSpecTest, AFirstWordThatIsNoProgramIsTheGuests) {
  ASSERT_OK(WriteFileAtomic(dir_ / "root/sh", "#!"));
  const std::pair<std::vector<std::string>, std::vector<std::string>> cases[] =
      {{{"/app.spt", "a b"}, {"a b"}},
       {{"app.spt", "x"}, {"x"}},
       {{"./app.spt"}, {}},
       {{"--x", "y"}, {"--x", "y"}},
       {{"/sh", "x"}, {"x"}},
       {{}, {}}};
  for (const auto& [args, told] : cases) {
    spec_.args = args;
    ASSERT_OK_AND_ASSIGN(const CompletedSpec completed, Complete());
    std::vector<std::string> wanted = {"/app.spt"};
    wanted.insert(wanted.end(), told.begin(), told.end());
    EXPECT_EQ(completed.spec.args, wanted);
  }
}

TEST_F(GuestSpecTest, AProgramThatIsNotThereIsNotReplacedByAnother) {
  spec_.args = {"/bin/app"};
  EXPECT_THAT(Complete(),
              HasStatus(kInvalid, "the container's entrypoint /bin/app: "));
  spec_.annotations = {{"serai.dev/unikernel", "/app.spt"}};
  EXPECT_OK(Complete());
}

TEST_F(GuestSpecTest, AnnotationsNameTheUnikernel) {
  Write("other", {});
  for (const char* key :
       {"serai.dev/unikernel", "com.urunc.unikernel.binary"}) {
    spec_.annotations = {{key, "/other"}};
    ASSERT_OK_AND_ASSIGN(const CompletedSpec completed, Complete());
    EXPECT_EQ(completed.spec.unikernel, "/other") << key;
    EXPECT_THAT(completed.spec.args, ElementsAre("/other", "--user"));
  }
  spec_.annotations.clear();
  spec_.unikernel = "/other";
  ASSERT_OK_AND_ASSIGN(const CompletedSpec completed, Complete());
  EXPECT_EQ(completed.spec.unikernel, "/other");
  spec_.unikernel = "/none";
  EXPECT_THAT(Complete(),
              HasStatus(kInvalid, "the container's label dev.serai.unikernel"));
}

TEST_F(GuestSpecTest, ARootWithoutUnikernelSaysWhatWasLookedFor) {
  ASSERT_OK(RemovePath(dir_ / "root/app.spt"));
  ASSERT_OK(WriteFileAtomic(dir_ / "root/sh", "#!"));
  spec_.args = {"sh"};
  EXPECT_THAT(Complete(), HasStatus(kInvalid, "none of its 1 files"));
}

TEST_F(GuestSpecTest, VolumesAreTheBlockDevices) {
  Write("app.spt", {{"storage", DeviceType::kBlock}});
  EXPECT_THAT(Complete(), HasStatus(kInvalid, "ends in \"/storage\""));
  ASSERT_OK(WriteFileAtomic(dir_ / "disk", std::string(4096, 'x')));
  spec_.mounts = {{"/etc/hosts", "/etc/hosts", false},
                  {"/v/storage", dir_ / "disk", true}};
  ASSERT_OK_AND_ASSIGN(const CompletedSpec completed, Complete());
  ASSERT_EQ(completed.spec.devices.size(), 1U);
  EXPECT_EQ(completed.spec.devices[0].path, dir_ / "disk");
  EXPECT_TRUE(completed.spec.devices[0].read_only);
  // A device of the node that is not there.
  spec_.block_devices = {{"/dev/storage", 4095, 1048575, false}};
  EXPECT_THAT(Complete(), HasStatus(kInvalid, "/dev/block/4095:1048575"));
}

TEST_F(GuestSpecTest, AConfigMapBecomesATarInTheBundle) {
  Write("app.spt", {{"config", DeviceType::kBlock}});
  const std::string volume =
      dir_ / "pods/u/volumes/kubernetes.io~configmap/config";
  ASSERT_OK(MakeDirs(volume));
  ASSERT_OK(WriteFileAtomic(volume + "/key", "value"));
  spec_.mounts = {{"/mnt/config", volume, true}};
  ASSERT_OK_AND_ASSIGN(const CompletedSpec completed, Complete());
  ASSERT_EQ(completed.spec.devices.size(), 1U);
  EXPECT_EQ(completed.spec.devices[0].path, dir_ / "bundle/devices/config.tar");
  EXPECT_TRUE(PathExists(completed.spec.devices[0].path));
  EXPECT_OK(RemoveImages(dir_ / "bundle"));
  EXPECT_FALSE(PathExists(dir_ / "bundle/devices"));
}

TEST_F(GuestSpecTest, WhatWasMadeOfVolumesGoesWhenAnotherDeviceIsMissing) {
  Write("app.spt",
        {{"config", DeviceType::kBlock}, {"data", DeviceType::kBlock}});
  const std::string volume =
      dir_ / "pods/u/volumes/kubernetes.io~secret/config";
  ASSERT_OK(MakeDirs(volume));
  spec_.mounts = {{"/mnt/config", volume, true}};
  EXPECT_THAT(Complete(), HasStatus(kInvalid, "ends in \"/data\""));
  EXPECT_FALSE(PathExists(dir_ / "bundle/devices"));
}

TEST_F(GuestSpecTest, AnEmptyDirsSizeIsThePodsAnnotation) {
  Write("app.spt", {{"data", DeviceType::kBlock}});
  const std::string volume = dir_ / "pods/u/volumes/kubernetes.io~empty-dir/d";
  ASSERT_OK(MakeDirs(volume));
  spec_.mounts = {{"/data", volume, false}};
  spec_.annotations = {{"serai.dev/size.data", "64Ki"}};
  ASSERT_OK_AND_ASSIGN(const CompletedSpec completed, Complete());
  ASSERT_EQ(completed.spec.devices.size(), 1U);
  EXPECT_EQ(completed.spec.devices[0].beneath, volume);
  struct stat st = {};
  ASSERT_EQ(::stat((volume + "/data.img").c_str(), &st), 0);
  EXPECT_EQ(st.st_size, 64 << 10);
}

TEST_F(GuestSpecTest, AGuestWithoutANetworkToHaveIsToldWhy) {
  Write("app.spt", {{"service", DeviceType::kNet}});
  EXPECT_THAT(Complete(), HasStatus(kPrecondition, "in the host's network"));
  spec_.new_network_namespace = true;
  EXPECT_THAT(Complete(), HasStatus(kPrecondition, "without an interface"));
  spec_.new_network_namespace = false;
  spec_.network_namespace = dir_ / "none";
  EXPECT_THAT(Complete(), HasStatus(kPrecondition, dir_ / "none"));
  spec_.network_namespace = dir_ / "disk";
  ASSERT_OK(WriteFileAtomic(dir_ / "disk", "x"));
  EXPECT_THAT(Complete(), HasStatus(kPrecondition, "network namespace"));
}

TEST_F(GuestSpecTest, ArgumentsThatAGuestCanNotTakeAreRefused) {
  spec_.args.emplace_back(9000, 'x');
  EXPECT_THAT(Complete(), HasStatus(kInvalid, "arguments"));
  spec_.args.pop_back();
  spec_.annotations["serai.dev/network-args"] = "maybe";
  EXPECT_THAT(Complete(), HasStatus(kInvalid, "network-args"));
}

// As the shim has it of containerd's snapshots.
TEST_F(GuestSpecTest, TheRootMayBeOfAMountThatIsDetached) {
  SERAI_NEED("root");
  ASSERT_EQ(::mount("none", (dir_ / "root").c_str(), "tmpfs", 0, nullptr), 0);
  Write("app.spt", {});
  ASSERT_EQ(::symlink("/app.spt", (dir_ / "root/link").c_str()), 0);
  const UniqueFd root(
      ::open((dir_ / "root").c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  ASSERT_EQ(::umount2((dir_ / "root").c_str(), MNT_DETACH), 0);
  ASSERT_TRUE(root.valid());
  for (const char* path : {"/app.spt", "/link", "/../../app.spt", "--x"}) {
    spec_.args = {path};
    ASSERT_OK_AND_ASSIGN(
        const CompletedSpec completed,
        CompleteSpec(spec_, {root.get(), dir_ / "bundle", "/nonexistent"}));
    EXPECT_EQ(completed.spec.unikernel, "/app.spt") << path;
  }
}

TEST(AskChildTest, AChildThatDiesOrTarriesIsAnErrorAndReaped) {
  EXPECT_THAT(AskChild([]() -> absl::StatusOr<std::string> { ::_exit(3); },
                       absl::Seconds(5)),
              HasStatus(absl::StatusCode::kInternal, "died"));
  EXPECT_THAT(AskChild(
                  []() -> absl::StatusOr<std::string> {
                    ::pause();
                    return "";
                  },
                  absl::Milliseconds(20)),
              HasStatus(absl::StatusCode::kDeadlineExceeded, "too long"));
  EXPECT_THAT(AskChild(
                  []() -> absl::StatusOr<std::string> {
                    return absl::NotFoundError("it is gone");
                  },
                  absl::Seconds(5)),
              HasStatus(absl::StatusCode::kNotFound, "it is gone"));
  const auto answer = AskChild(
      []() -> absl::StatusOr<std::string> { return std::string(300'000, 'x'); },
      absl::Seconds(5));
  EXPECT_EQ(answer.value_or("").size(), 300'000U);
  EXPECT_EQ(::waitpid(-1, nullptr, WNOHANG), -1);
  EXPECT_EQ(errno, ECHILD);
}

}  // namespace
}  // namespace serai::shim
