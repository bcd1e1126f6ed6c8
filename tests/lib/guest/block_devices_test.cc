// SPDX-License-Identifier: Apache-2.0
#include "lib/guest/block_devices.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/base/file.h"
#include "lib/guest/disk_file.h"
#include "lib/guest/kubelet_volume.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temp_dir.h"

namespace serai::guest {
namespace {

using oci::GuestDevice;
using ::serai::testing::HasStatus;
using ::serai::testing::TempDir;

constexpr auto kInvalid = absl::StatusCode::kInvalidArgument;

class BlockDevicesTest : public ::testing::Test {
 protected:
  void SetUp() override { sources_.bundle = dir_ / "bundle"; }
  // A directory where kubelet puts the volumes of that plugin.
  std::string Volume(const std::string& plugin) {
    const std::string path =
        dir_ / ("pods/uid/volumes/kubernetes.io~" + plugin + "/name");
    EXPECT_OK(MakeDirs(path));
    sources_.volumes = {{"/mnt/data", path, false}};
    return path;
  }
  void Put(const std::string& path, size_t size = 1024) {
    ASSERT_OK(WriteFileAtomic(path, std::string(size, 'x')));
  }
  absl::StatusOr<GuestDevice> Find() {
    TarBudget budget;
    return FindBlockDevice("data", sources_, budget);
  }

  TempDir dir_;
  BlockSources sources_;
};

TEST_F(BlockDevicesTest, AConfigMapIsATarInTheBundleThatNobodyWrites) {
  for (const char* plugin :
       {"configmap", "secret", "downward-api", "projected"}) {
    Put(Volume(plugin) + "/key");
    ASSERT_OK_AND_ASSIGN(const GuestDevice device, Find());
    EXPECT_EQ(device.path, dir_ / "bundle/devices/data.tar");
    EXPECT_TRUE(device.read_only) << plugin;
    EXPECT_EQ(device.beneath, "");
    struct stat st = {};
    ASSERT_EQ(::stat(device.path.c_str(), &st), 0);
    EXPECT_EQ(st.st_size, 5 * 512);
    EXPECT_EQ(st.st_mode & 0777, 0600u);
  }
}

TEST_F(BlockDevicesTest, KubeletsLinkTellsAProjectedVolumeAnywhere) {
  ASSERT_OK(MakeDirs(dir_ / "v/..1"));
  ASSERT_EQ(::symlink("..1", (dir_ / "v/..data").c_str()), 0);
  sources_.volumes = {{"/data", dir_ / "v", false}};
  ASSERT_OK_AND_ASSIGN(const GuestDevice device, Find());
  EXPECT_EQ(device.path, dir_ / "bundle/devices/data.tar");
}

TEST_F(BlockDevicesTest, ALinkOfThatNameInAClaimIsThePodsOwn) {
  const std::string claim = Volume("csi") + "/mount";
  ASSERT_OK(MakeDirs(claim + "/..1"));
  ASSERT_EQ(::symlink("..1", (claim + "/..data").c_str()), 0);
  Put(claim + "/data.img");
  sources_.volumes = {{"/data", claim, false}};
  ASSERT_OK_AND_ASSIGN(const GuestDevice device, Find());
  EXPECT_EQ(device.path, claim + "/data.img");
}

TEST_F(BlockDevicesTest, AllTarsOfAContainerHaveOneBudget) {
  Put(Volume("configmap") + "/key");
  TarBudget budget{7 * 512};
  ASSERT_OK(FindBlockDevice("data", sources_, budget));
  EXPECT_EQ(budget.left, 2 * 512u);
  EXPECT_THAT(FindBlockDevice("data", sources_, budget),
              HasStatus(absl::StatusCode::kResourceExhausted, "too much"));
}

TEST_F(BlockDevicesTest, SlashesBehindAMountPathMeanNothing) {
  Put(Volume("configmap") + "/key");
  sources_.volumes[0].place = "/mnt/data//";
  EXPECT_OK(Find());
}

TEST_F(BlockDevicesTest, ADiskThatIsALinkToNothingIsThePodsFault) {
  const std::string volume = Volume("csi");
  ASSERT_EQ(::symlink("none", (volume + "/data.img").c_str()), 0);
  EXPECT_THAT(Find(), HasStatus(kInvalid, "leads nowhere"));
}

TEST_F(BlockDevicesTest, AnEmptyDirIsAnImageOfTheSizeThatThePodSays) {
  const std::string volume = Volume("empty-dir");
  sources_.empty_dir_size = 10'000;
  ASSERT_OK_AND_ASSIGN(const GuestDevice device, Find());
  EXPECT_EQ(device.path, volume + "/data.img");
  EXPECT_EQ(device.beneath, volume);
  EXPECT_FALSE(device.read_only);
  struct stat st = {};
  ASSERT_EQ(::stat(device.path.c_str(), &st), 0);
  EXPECT_EQ(st.st_size, 10'240);
  EXPECT_EQ(st.st_mode & 0777, 0600u);
  EXPECT_EQ(st.st_blocks, 0);
  // The next container finds it as it is.
  Put(device.path, 512);
  sources_.pod_annotations = {{"serai.dev/size.data", "1Gi"}};
  ASSERT_OK(Find());
  ASSERT_EQ(::stat(device.path.c_str(), &st), 0);
  EXPECT_EQ(st.st_size, 512);
  ASSERT_OK(RemovePath(device.path));
  ASSERT_OK(Find());
  ASSERT_EQ(::stat(device.path.c_str(), &st), 0);
  EXPECT_EQ(st.st_size, 1 << 30);
  EXPECT_EQ(ListDir(volume)->size(), 1u);
}

TEST_F(BlockDevicesTest, ASizeThatIsNoneIsRefused) {
  Volume("empty-dir");
  for (const char* size : {"", "0", "-1", "big", "9Ei"}) {
    sources_.pod_annotations = {{"serai.dev/size.data", size}};
    EXPECT_THAT(Find(), HasStatus(kInvalid, "serai.dev/size.data")) << size;
  }
}

TEST_F(BlockDevicesTest, AClaimIsItsImageByNameOrItsOnlyFile) {
  const std::string volume = Volume("csi");
  ASSERT_OK(MakeDirs(volume + "/lost+found"));
  EXPECT_THAT(Find(), HasStatus(kInvalid,
                                "is empty; put the guest's disk "
                                "there as a raw image called "
                                "data.img"));
  Put(volume + "/anything");
  ASSERT_OK_AND_ASSIGN(GuestDevice device, Find());
  EXPECT_EQ(device.path, volume + "/anything");
  EXPECT_EQ(device.beneath, volume);
  Put(volume + "/other");
  EXPECT_THAT(Find(), HasStatus(kInvalid, "has several files"));
  Put(volume + "/data.img");
  ASSERT_OK_AND_ASSIGN(device, Find());
  EXPECT_EQ(device.path, volume + "/data.img");
  Put(volume + "/data.img", 1000);
  EXPECT_THAT(Find(), HasStatus(kInvalid,
                                "has 1000 bytes, which is no "
                                "multiple of the block size, 512"));
}

TEST_F(BlockDevicesTest, ALinkInAClaimLeadsNowhereElse) {
  const std::string volume = Volume("csi");
  Put(dir_ / "outside");
  ASSERT_EQ(
      ::symlink((dir_ / "outside").c_str(), (volume + "/data.img").c_str()), 0);
  EXPECT_THAT(Find(), HasStatus(kInvalid, "data.img leads out"));
  ASSERT_OK(RemovePath(volume + "/data.img"));
  ASSERT_EQ(::symlink("/etc", (volume + "/etc").c_str()), 0);
  EXPECT_THAT(Find(), HasStatus(kInvalid, "\"etc\", which is not a regular"));
}

TEST_F(BlockDevicesTest, AFileOfTheImageStandsInForAVolume) {
  ASSERT_OK(MakeDirs(dir_ / "root"));
  Put(dir_ / "root/data.img");
  ASSERT_EQ(::symlink("/data.img", (dir_ / "root/link").c_str()), 0);
  const UniqueFd root(::open((dir_ / "root").c_str(), O_PATH | O_DIRECTORY));
  sources_.image_root = root.get();
  sources_.image_words = {{"dev.serai.block.data", "/link"}};
  ASSERT_OK_AND_ASSIGN(const GuestDevice device, Find());
  EXPECT_TRUE(device.in_image);
  EXPECT_TRUE(device.read_only);
  EXPECT_EQ(device.path, "/data.img");
  sources_.image_words = {{"dev.serai.block.data", "/../../etc/none"}};
  EXPECT_THAT(Find(), HasStatus(absl::StatusCode::kInvalidArgument,
                                "the image's file /../../etc/none"));
  sources_.pod_annotations = {{"serai.dev/block.data", "data.img"}};
  EXPECT_EQ(Find()->path, "/data.img");
  // A volume goes before it.
  const std::string volume = Volume("empty-dir");
  EXPECT_EQ(Find()->path, volume + "/data.img");
}

TEST_F(BlockDevicesTest, WhatIsMissingIsToldWithWhatTheImageWants) {
  sources_.image_words = {{"dev.serai.volume.data", "emptyDir 1Gi"}};
  EXPECT_THAT(Find(), HasStatus(kInvalid,
                                "a volume (the image wants: emptyDir 1Gi) "
                                "whose devicePath or mountPath ends in "
                                "\"/data\""));
}

TEST_F(BlockDevicesTest, AVolumesKindIsTakenFromKubeletsPathsOnly) {
  const auto kind = [](const std::string& path) { return KindOf(path, -1); };
  EXPECT_EQ(kind("/var/lib/kubelet/pods/u/volumes/kubernetes.io~empty-dir/n"),
            VolumeKind::kEmptyDir);
  EXPECT_EQ(kind("/var/lib/kubelet/pods/u/volumes/kubernetes.io~secret/n/"),
            VolumeKind::kProjected);
  for (const char* other : {"/", "", "/kubernetes.io~empty-dir/n",
                            "/pods/u/volumes/kubernetes.io~empty-dir/n/below",
                            "/pods/u/volumes/kubernetes.io~csi/n/mount",
                            "/pods/u/volume-subpaths/n/c/0"}) {
    EXPECT_EQ(kind(other), VolumeKind::kFileSystem) << other;
  }
}

}  // namespace
}  // namespace serai::guest
