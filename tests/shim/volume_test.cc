// SPDX-License-Identifier: Apache-2.0
// Volumes in bundles as containerd makes them.
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <string>

#include "lib/base/file.h"
#include "tests/shim/container_bundle.h"
#include "tests/shim/pod_shim.h"
#include "tests/support/status_matchers.h"

namespace serai::shim {
namespace {

using ::serai::testing::ContainerBundle;
using ::serai::testing::HasStatus;
using ::serai::testing::PodShim;
using ::testing::HasSubstr;

class ShimVolumeTest : public ::testing::Test {
 protected:
  // A directory where kubelet puts the volumes of that plugin.
  std::string Volume(absl::string_view plugin) {
    const std::string path =
        shim_ / absl::StrCat("pods/uid/volumes/kubernetes.io~", plugin, "/v");
    EXPECT_OK(MakeDirs(path));
    return path;
  }
  absl::Status Create(const std::string& id, const std::string& guest,
                      const std::string& place, const std::string& source,
                      const std::vector<std::string>& args = {}) {
    ContainerBundle bundle;
    bundle.args = {"/" + guest};
    bundle.args.insert(bundle.args.end(), args.begin(), args.end());
    bundle.annotations = annotations_;
    bundle.mounts = {{{"destination", place},
                      {"type", "bind"},
                      {"source", source},
                      {"options", {"rbind", "rprivate", "rw"}}}};
    RETURN_IF_ERROR(
        testing::WriteContainerBundle(shim_.BundlePath(id), bundle, {guest}));
    return shim_.CreateFromBundle(id);
  }
  // What the guest wrote, when it has ended.
  std::string Run(const std::string& id) {
    EXPECT_OK(shim_.Start(id));
    EXPECT_OK(shim_.Wait(id));
    return shim_.LogText(id, "stdout");
  }

  PodShim shim_;
  std::map<std::string, std::string> annotations_;
};

TEST_F(ShimVolumeTest, AConfigMapIsReadAsATarThatGoesWithTheTask) {
  const std::string volume = Volume("configmap");
  ASSERT_OK(MakeDirs(volume + "/..1"));
  ASSERT_EQ(::symlink("..1", (volume + "/..data").c_str()), 0);
  ASSERT_OK(WriteFileAtomic(volume + "/..data/key", "value", 0644));
  ASSERT_OK(Create("a", "tarfs.spt", "/config", volume));
  const std::string tar = shim_.BundlePath("a") + "/devices/config.tar";
  struct stat st = {};
  ASSERT_EQ(::stat(tar.c_str(), &st), 0);
  EXPECT_EQ(st.st_mode & 0777, 0600u);
  const std::string log = Run("a");
  EXPECT_THAT(log, HasSubstr("tarfs: key holds 'value'"));
  EXPECT_THAT(log, HasSubstr("SUCCESS"));
  EXPECT_OK(shim_.Delete("a"));
  EXPECT_FALSE(PathExists(shim_.BundlePath("a") + "/devices"));
}

TEST_F(ShimVolumeTest, AnEmptyDirIsADiskThatOutlivesItsTask) {
  const std::string volume = Volume("empty-dir");
  annotations_["serai.dev/size.storage"] = "64Ki";
  ASSERT_OK(Create("a", "block.spt", "/storage", volume));
  EXPECT_THAT(Run("a"), HasSubstr("capacity 65536"));
  EXPECT_OK(shim_.Delete("a"));
  {
    const UniqueFd image(::open((volume + "/storage.img").c_str(), O_RDWR));
    ASSERT_EQ(::pwrite(image.get(), "stays", 5, 0), 5);
  }
  ASSERT_OK(Create("b", "block.spt", "/storage", volume));
  const std::string log = Run("b");
  EXPECT_THAT(log, HasSubstr("begins with 'stays'"));
  EXPECT_THAT(log, HasSubstr("SUCCESS"));
}

// From its creation on, for a second task waits for nothing.
TEST_F(ShimVolumeTest, ADiskThatIsWrittenIsOneTasksAlone) {
  const std::string volume = Volume("csi");
  ASSERT_OK(WriteFileAtomic(volume + "/storage.img", std::string(4096, '\0')));
  ASSERT_OK(Create("a", "block.spt", "/storage", volume));
  EXPECT_THAT(Create("b", "block.spt", "/storage", volume),
              HasStatus(absl::StatusCode::kFailedPrecondition,
                        "storage.img is in use"));
  EXPECT_OK(shim_.Delete("a"));
  ASSERT_OK(Create("c", "block.spt", "/storage", volume));
  EXPECT_THAT(Run("c"), HasSubstr("SUCCESS"));
}

TEST_F(ShimVolumeTest, AFileOfTheImageIsTheDiskThatThePodNames) {
  annotations_["serai.dev/block.storage"] = "/disk";
  ASSERT_OK(MakeDirs(shim_.BundlePath("a") + "/rootfs"));
  ASSERT_OK(WriteFileAtomic(shim_.BundlePath("a") + "/rootfs/disk",
                            "image" + std::string(507, '\0')));
  ASSERT_OK(
      Create("a", "block.spt", "/etc/other", "/etc/hosts", {"--read-only"}));
  const std::string log = Run("a");
  EXPECT_THAT(log, HasSubstr("begins with 'image'"));
  EXPECT_THAT(log, HasSubstr("SUCCESS"));
}

// seraid has found a file there; by now it is something else.
TEST_F(ShimVolumeTest, ADiskIsCheckedAgainWhenItIsOpened) {
  const std::string volume = Volume("csi");
  oci::GuestDevice device;
  device.name = "storage";
  device.type = oci::GuestDevice::Type::kBlock;
  device.path = volume + "/disk";
  device.beneath = volume;
  oci::RuntimeSpec spec = shim_.Spec("a", "block.spt");
  spec.devices = {device};
  constexpr auto kInvalid = absl::StatusCode::kInvalidArgument;
  ASSERT_OK(WriteFileAtomic(shim_ / "outside", std::string(4096, '\0')));
  ASSERT_EQ(::symlink((shim_ / "outside").c_str(), device.path.c_str()), 0);
  EXPECT_THAT(shim_.Create("a", spec),
              HasStatus(kInvalid, "block device storage: disk leads out"));
  ASSERT_OK(RemovePath(device.path));
  ASSERT_EQ(::mkfifo(device.path.c_str(), 0600), 0);
  EXPECT_THAT(shim_.Create("a", spec),
              HasStatus(kInvalid, "disk is not a regular file"));
  ASSERT_OK(RemovePath(device.path));
  ASSERT_OK(WriteFileAtomic(device.path, std::string(100, '\0')));
  EXPECT_THAT(shim_.Create("a", spec), HasStatus(kInvalid, "no multiple"));
}

TEST_F(ShimVolumeTest, WhatIsRefusedLeavesNothing) {
  const std::string volume = Volume("secret");
  ASSERT_OK(WriteFileAtomic(volume + "/" + std::string(101, 'n'), "x"));
  EXPECT_THAT(Create("a", "tarfs.spt", "/config", volume),
              HasStatus(absl::StatusCode::kInvalidArgument,
                        "is no name for a tar entry"));
  EXPECT_FALSE(PathExists(shim_.BundlePath("a") + "/devices"));
  EXPECT_FALSE(shim_.State("a").ok());
}

}  // namespace
}  // namespace serai::shim
