// SPDX-License-Identifier: Apache-2.0
// Volumes as disks of guests. The names of these tests are the matrix in
// docs/storage.md (scripts/matrix.sh).
#include <fcntl.h>
#include <linux/loop.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/cleanup/cleanup.h"
#include "lib/base/file.h"
#include "lib/oci/layout.h"
#include "lib/oci/pack.h"
#include "tests/support/require.h"
#include "tests/support/status_matchers.h"
#include "tests/support/test_node.h"

namespace serai::testing {
namespace {

using ::testing::HasSubstr;

constexpr auto kInvalid = absl::StatusCode::kInvalidArgument;

// A block device whose data is a file.
class LoopDevice {
 public:
  static absl::StatusOr<std::unique_ptr<LoopDevice>> Attach(
      const std::string& file) {
    ASSIGN_OR_RETURN(const UniqueFd control,
                     OpenFile("/dev/loop-control", O_RDWR));
    ASSIGN_OR_RETURN(const UniqueFd backing, OpenFile(file, O_RDWR));
    // Others may have taken the one that was free.
    for (int attempt = 1;; ++attempt) {
      auto device = AttachFree(control.get(), backing.get());
      if (device.ok() || attempt == 20) return device;
    }
  }
  static absl::StatusOr<std::unique_ptr<LoopDevice>> AttachFree(int control,
                                                                int backing) {
    const int number = ::ioctl(control, LOOP_CTL_GET_FREE);
    if (number < 0) return ErrnoStatus(errno, "a free loop device");
    std::unique_ptr<LoopDevice> device(new LoopDevice);
    device->path_ = absl::StrCat("/dev/loop", number);
    ASSIGN_OR_RETURN(device->fd_, OpenFile(device->path_, O_RDWR));
    if (::ioctl(device->fd_.get(), LOOP_SET_FD, backing) != 0) {
      return ErrnoStatus(errno, device->path_);
    }
    device->attached_ = true;
    return device;
  }
  ~LoopDevice() {
    if (attached_) ::ioctl(fd_.get(), LOOP_CLR_FD, 0);
  }
  LoopDevice(const LoopDevice&) = delete;
  LoopDevice& operator=(const LoopDevice&) = delete;

  const std::string& path() const { return path_; }

 private:
  LoopDevice() = default;

  std::string path_;
  UniqueFd fd_;
  bool attached_ = false;
};

class VolumeTest : public ::testing::Test {
 protected:
  void SetUp() override {
    SERAI_NEED("root");
    SERAI_NEED("net");
    NodeOptions options;
    options.chained = {};
    node_ = std::make_unique<TestNode>(options);
    node_->Start();
    ASSERT_OK_AND_ASSIGN(block_, node_->LoadGuests("block", {"block.spt"}));
    ASSERT_OK_AND_ASSIGN(tarfs_, node_->LoadGuests("tarfs", {"tarfs.spt"}));
  }

  // Makes a volume's directory where kubelet does.
  std::string Volume(absl::string_view plugin, absl::string_view name = "v") {
    const std::string path =
        absl::StrCat(node_->directory(), "/kubelet/pods/uid/volumes/",
                     "kubernetes.io~", plugin, "/", name);
    EXPECT_OK(MakeDirs(path, 0755));
    return path;
  }
  // The files of one, as kubelet's atomic writer puts them there.
  std::string Projected(
      absl::string_view plugin,
      const std::vector<std::pair<std::string, std::string>>& files) {
    const std::string path = Volume(plugin);
    EXPECT_OK(RemoveTree(path));
    EXPECT_OK(MakeDirs(path + "/..2026_11_30", 0755));
    EXPECT_EQ(::symlink("..2026_11_30", (path + "/..data").c_str()), 0);
    for (const auto& [name, text] : files) {
      EXPECT_OK(WriteFileAtomic(path + "/..data/" + name, text, 0644));
      EXPECT_EQ(
          ::symlink(("..data/" + name).c_str(), (path + "/" + name).c_str()),
          0);
    }
    return path;
  }
  static void PutDisk(const std::string& path, size_t size = 8192) {
    std::string bytes(size, '\0');
    bytes.replace(0, 5, "begin");
    ASSERT_OK(WriteFileAtomic(path, bytes));
  }

  cri::ContainerConfig Config(const std::string& image,
                              const std::string& place, const std::string& path,
                              bool read_only = false,
                              const std::vector<std::string>& args = {}) {
    auto config = node_->ContainerConfig(image, args);
    Mount(config, place, path, read_only);
    return config;
  }
  static void Mount(cri::ContainerConfig& config, const std::string& place,
                    const std::string& path, bool read_only) {
    cri::Mount& mount = *config.add_mounts();
    mount.set_container_path(place);
    mount.set_host_path(path);
    mount.set_readonly(read_only);
  }

  absl::StatusOr<std::string> Load(const std::string& name,
                                   const std::string& guest,
                                   const oci::PackOptions& options) {
    const TempDir scratch;
    ASSIGN_OR_RETURN(const oci::Layout layout,
                     oci::Layout::Create(scratch / "layout"));
    ASSIGN_OR_RETURN(
        const oci::Descriptor manifest,
        oci::Pack({BuildDir() + "/guests/" + guest}, options, layout));
    RETURN_IF_ERROR(layout.AddManifest(
        manifest, absl::StrCat("localhost/", name, ":latest")));
    return node_->LoadLayout(layout);
  }

  // The next attempt of the pod's container, run to its end.
  absl::StatusOr<cri::ContainerStatus> RunIn(const std::string& pod,
                                             cri::ContainerConfig config) {
    config.mutable_metadata()->set_attempt(attempt_);
    config.set_log_path(absl::StrCat("c/", attempt_++, ".log"));
    ASSIGN_OR_RETURN(const std::string id, node_->Create(pod, config));
    RETURN_IF_ERROR(node_->StartContainer(id));
    return node_->WaitExited(id);
  }
  // In a pod of its own.
  absl::StatusOr<cri::ContainerStatus> Run(const cri::ContainerConfig& config) {
    ASSIGN_OR_RETURN(const std::string pod,
                     node_->RunPod(absl::StrCat("pod", attempt_)));
    return RunIn(pod, config);
  }
  static std::string Log(const cri::ContainerStatus& status) {
    return ReadFile(status.log_path(), 1 << 20).value_or("no log");
  }
  // Runs it, and gives its log, or what was said instead of running it.
  std::string RunAndRead(const cri::ContainerConfig& config) {
    const auto status = Run(config);
    return status.ok() ? Log(*status) : std::string(status.status().message());
  }
  void ExpectTar(const std::string& plugin) {
    const std::string log = RunAndRead(
        Config(tarfs_, "/etc/app/config",
               Projected(plugin, {{"zone", "last"}, {"a.toml", "x = 1"}})));
    EXPECT_THAT(log, HasSubstr("tarfs: a.toml type 0 mode 0000644 size 5"));
    EXPECT_THAT(log, HasSubstr("a.toml holds 'x = 1'"));
    EXPECT_THAT(log, HasSubstr("zone holds 'last'"));
    EXPECT_THAT(log, HasSubstr("tarfs: 2 entries"));
    EXPECT_THAT(log, HasSubstr("SUCCESS"));
  }
  // CreateContainer says so, and nothing of it stays.
  void ExpectRefused(const cri::ContainerConfig& config, absl::StatusCode code,
                     const std::string& why) {
    ASSERT_OK_AND_ASSIGN(const std::string pod,
                         node_->RunPod(absl::StrCat("pod", attempt_++)));
    EXPECT_THAT(node_->Create(pod, config), HasStatus(code, why));
    EXPECT_TRUE(node_->Containers().empty());
    const auto bundles = ListDir(node_->state() + "/containers");
    EXPECT_TRUE(!bundles.ok() || bundles->empty());
  }

  std::unique_ptr<TestNode> node_;
  std::string block_;  // writes the disk "storage"
  std::string tarfs_;  // reads the tar "config"
  uint32_t attempt_ = 0;
};

TEST_F(VolumeTest, AConfigMapIsReadAsATar) { ExpectTar("configmap"); }
TEST_F(VolumeTest, ASecretIsReadAsATar) { ExpectTar("secret"); }
TEST_F(VolumeTest, TheDownwardApiIsReadAsATar) { ExpectTar("downward-api"); }
TEST_F(VolumeTest, AProjectedVolumeIsReadAsATar) { ExpectTar("projected"); }

TEST_F(VolumeTest, AChangedConfigMapIsSeenAtTheContainersNextStart) {
  ASSERT_OK_AND_ASSIGN(const std::string pod, node_->RunPod("pod"));
  const auto config =
      Config(tarfs_, "/config", Projected("configmap", {{"key", "before"}}));
  ASSERT_OK_AND_ASSIGN(auto status, RunIn(pod, config));
  EXPECT_THAT(Log(status), HasSubstr("key holds 'before'"));
  Projected("configmap", {{"key", "after"}});
  ASSERT_OK_AND_ASSIGN(status, RunIn(pod, config));
  EXPECT_THAT(Log(status), HasSubstr("key holds 'after'"));
}

TEST_F(VolumeTest, ATarIsRootsAloneAndGoesWithItsContainer) {
  ASSERT_OK_AND_ASSIGN(const std::string pod, node_->RunPod("pod"));
  ASSERT_OK_AND_ASSIGN(
      const std::string id,
      node_->Create(pod, Config(tarfs_, "/config",
                                Projected("secret", {{"key", "secret"}}))));
  const std::string bundle = node_->state() + "/containers/" + id;
  struct stat st = {};
  ASSERT_EQ(::stat((bundle + "/devices/config.tar").c_str(), &st), 0);
  EXPECT_EQ(st.st_mode & 07777, 0600u);
  EXPECT_EQ(st.st_size % 512, 0);
  ASSERT_OK(node_->RemoveContainer(id));
  EXPECT_FALSE(PathExists(bundle));
}

TEST_F(VolumeTest, AnEmptyDirIsADisk) {
  const std::string log =
      RunAndRead(Config(block_, "/var/storage", Volume("empty-dir")));
  EXPECT_THAT(log, HasSubstr("block: capacity 1073741824, block size 512"));
  EXPECT_THAT(log, HasSubstr("SUCCESS"));
}

TEST_F(VolumeTest, AnEmptyDirHasTheSizeThatThePodSaysAndTakesWhatIsWritten) {
  auto pod_config = node_->PodConfig("pod");
  (*pod_config.mutable_annotations())["serai.dev/size.storage"] = "1Mi";
  ASSERT_OK_AND_ASSIGN(const std::string pod, node_->RunPod(pod_config));
  const std::string volume = Volume("empty-dir");
  ASSERT_OK_AND_ASSIGN(const auto status,
                       RunIn(pod, Config(block_, "/storage", volume)));
  EXPECT_THAT(Log(status), HasSubstr("capacity 1048576"));
  struct stat st = {};
  ASSERT_EQ(::stat((volume + "/storage.img").c_str(), &st), 0);
  EXPECT_EQ(st.st_size, 1 << 20);
  EXPECT_LT(st.st_blocks, 100);
}

TEST_F(VolumeTest, AnEmptyDirIsKeptOverARestartOfTheContainer) {
  ASSERT_OK_AND_ASSIGN(const std::string pod, node_->RunPod("pod"));
  const std::string volume = Volume("empty-dir");
  const auto config = Config(block_, "/storage", volume);
  ASSERT_OK(RunIn(pod, config));
  const UniqueFd image(::open((volume + "/storage.img").c_str(), O_RDWR));
  ASSERT_EQ(::pwrite(image.get(), "stays", 5, 0), 5);
  ASSERT_OK_AND_ASSIGN(const auto status, RunIn(pod, config));
  EXPECT_THAT(Log(status), HasSubstr("begins with 'stays'"));
}

TEST_F(VolumeTest, AnEmptyDirInMemoryIsAsLargeAsItsFileSystem) {
  const std::string volume = Volume("empty-dir");
  ASSERT_EQ(::mount("tmpfs", volume.c_str(), "tmpfs", 0, "size=4m"), 0);
  const absl::Cleanup unmount = [&] { ::umount2(volume.c_str(), MNT_DETACH); };
  const std::string log = RunAndRead(Config(block_, "/storage", volume));
  EXPECT_THAT(log, HasSubstr(absl::StrCat("capacity ", (4 << 20) - 65536)));
  EXPECT_THAT(log, HasSubstr("SUCCESS"));
}

TEST_F(VolumeTest, AClaimWithARawImageOfTheDevicesNameIsADisk) {
  const std::string volume = Volume("csi");
  PutDisk(volume + "/storage.img");
  PutDisk(volume + "/other.img");
  const std::string log = RunAndRead(Config(block_, "/storage", volume));
  EXPECT_THAT(log, HasSubstr("block: capacity 8192"));
  EXPECT_THAT(log, HasSubstr("begins with 'begin'"));
  EXPECT_THAT(log, HasSubstr("SUCCESS"));
}

TEST_F(VolumeTest, AHostPathWithOneRawImageIsADisk) {
  const std::string directory = node_->directory() + "/host";
  ASSERT_OK(MakeDirs(directory + "/lost+found"));
  PutDisk(directory + "/anything");
  const std::string log = RunAndRead(Config(block_, "/storage", directory));
  EXPECT_THAT(log, HasSubstr("begins with 'begin'"));
  EXPECT_THAT(log, HasSubstr("SUCCESS"));
}

TEST_F(VolumeTest, AHostPathOfARawImageIsADisk) {
  PutDisk(node_->directory() + "/disk");
  EXPECT_THAT(
      RunAndRead(Config(block_, "/storage", node_->directory() + "/disk")),
      HasSubstr("SUCCESS"));
}

TEST_F(VolumeTest, AReadOnlyClaimCanBeReadAndAWriteIsAnErrorToTheGuest) {
  const std::string volume = Volume("csi");
  PutDisk(volume + "/storage.img");
  ASSERT_OK_AND_ASSIGN(auto status,
                       Run(Config(block_, "/storage", volume, true)));
  EXPECT_THAT(Log(status), HasSubstr("begins with 'begin'"));
  EXPECT_THAT(Log(status), HasSubstr("block: write at 7680: "));
  EXPECT_EQ(status.exit_code(), 3);
  ASSERT_OK_AND_ASSIGN(
      status, Run(Config(block_, "/storage", volume, true, {"--read-only"})));
  EXPECT_EQ(status.exit_code(), 0);
}

TEST_F(VolumeTest, ADiskThatIsWrittenIsOneGuestsAlone) {
  ASSERT_OK_AND_ASSIGN(const std::string image,
                       node_->LoadGuests("writer", {"blockrate.spt"}));
  const std::string volume = Volume("csi");
  PutDisk(volume + "/storage.img", 1 << 20);
  const auto writer = Config(image, "/storage", volume, false,
                             {"--how=write", "--blocks=1000000000000"});
  ASSERT_OK_AND_ASSIGN(const std::string pod, node_->RunPod("first"));
  ASSERT_OK_AND_ASSIGN(const std::string first, node_->Create(pod, writer));
  ASSERT_OK(node_->StartContainer(first));
  const std::string second = RunAndRead(Config(block_, "/storage", volume));
  EXPECT_THAT(second, HasSubstr("block device storage: "));
  EXPECT_THAT(second, HasSubstr("storage.img is in use: a disk that is written "
                                "is one guest's alone"));
  EXPECT_THAT(RunAndRead(Config(block_, "/storage", volume, true)),
              HasSubstr("is in use: another guest writes it"));
  // Had at once when the first is gone.
  ASSERT_OK(node_->StopContainer(first, 0));
  EXPECT_THAT(RunAndRead(Config(block_, "/storage", volume)),
              HasSubstr("SUCCESS"));
}

TEST_F(VolumeTest, ADiskThatNobodyWritesIsReadByMany) {
  ASSERT_OK_AND_ASSIGN(const std::string reader,
                       node_->LoadGuests("reader", {"blockrate.spt"}));
  const std::string volume = Volume("csi");
  PutDisk(volume + "/storage.img");
  ASSERT_OK_AND_ASSIGN(const std::string pod, node_->RunPod("first"));
  ASSERT_OK_AND_ASSIGN(
      const std::string held,
      node_->Create(pod, Config(reader, "/storage", volume, true,
                                {"--blocks=1000000000000"})));
  ASSERT_OK(node_->StartContainer(held));
  ASSERT_OK_AND_ASSIGN(const auto status, Run(Config(block_, "/storage", volume,
                                                     true, {"--read-only"})));
  EXPECT_EQ(status.exit_code(), 0);
  EXPECT_THAT(RunAndRead(Config(block_, "/storage", volume)),
              HasSubstr("is in use"));
  EXPECT_EQ(node_->StatusOf(held)->state(), cri::CONTAINER_RUNNING);
  EXPECT_OK(node_->StopContainer(held, 0));
}

TEST_F(VolumeTest, ABlockVolumeIsTheDeviceAndOneGuestsAlone) {
  SERAI_NEED("loop");
  const std::string file = node_->directory() + "/disk";
  PutDisk(file, 1 << 20);
  const auto loop = LoopDevice::Attach(file);
  ASSERT_OK(loop);
  auto config = node_->ContainerConfig(block_, {});
  cri::Device& device = *config.add_devices();
  device.set_container_path("/dev/storage");
  device.set_host_path((*loop)->path());
  device.set_permissions("mrw");
  ASSERT_OK_AND_ASSIGN(auto status, Run(config));
  EXPECT_THAT(Log(status), HasSubstr("block: capacity 1048576"));
  EXPECT_THAT(Log(status), HasSubstr("SUCCESS"));
  {
    // As a mount, or another guest, holds it.
    const UniqueFd held(::open((*loop)->path().c_str(), O_RDWR | O_EXCL));
    ASSERT_TRUE(held.valid());
    EXPECT_THAT(RunAndRead(config),
                HasSubstr(absl::StrCat((*loop)->path(), " is in use")));
  }
  config.mutable_devices(0)->set_permissions("r");
  ASSERT_OK_AND_ASSIGN(status, Run(config));
  EXPECT_EQ(status.exit_code(), 3) << Log(status);
}

TEST_F(VolumeTest, AFileOfTheImageIsADiskToRead) {
  PutDisk(node_->directory() + "/disk");
  oci::PackOptions options;
  options.blocks = {{"storage", node_->directory() + "/disk"}};
  ASSERT_OK_AND_ASSIGN(const std::string image,
                       Load("with-disk", "block.spt", options));
  ASSERT_OK_AND_ASSIGN(auto status,
                       Run(node_->ContainerConfig(image, {"--read-only"})));
  EXPECT_THAT(Log(status), HasSubstr("begins with 'begin'"));
  EXPECT_THAT(Log(status), HasSubstr("SUCCESS"));
  ASSERT_OK_AND_ASSIGN(status, Run(node_->ContainerConfig(image, {})));
  EXPECT_EQ(status.exit_code(), 3) << Log(status);
  // A volume of the name goes before it.
  EXPECT_THAT(RunAndRead(Config(image, "/storage", Volume("empty-dir"))),
              HasSubstr("capacity 1073741824"));
}

TEST_F(VolumeTest, AnImageVolumeIsReadAsATar) {
  auto config = node_->ContainerConfig(tarfs_, {"--names"});
  cri::Mount& mount = *config.add_mounts();
  mount.set_container_path("/config");
  mount.mutable_image()->set_image(block_);
  ASSERT_OK_AND_ASSIGN(const std::string pod, node_->RunPod("pod"));
  ASSERT_OK_AND_ASSIGN(const auto status, RunIn(pod, config));
  EXPECT_THAT(Log(status), HasSubstr("tarfs: app.spt type 0 mode 0000755"));
  EXPECT_THAT(Log(status), HasSubstr("tarfs: 1 entries"));
  const std::string files = node_->root() + "/volumes/" + status.id();
  EXPECT_TRUE(PathExists(files + "/config.tar"));
  ASSERT_OK(node_->RemoveContainer(status.id()));
  EXPECT_FALSE(PathExists(files));

  mount.mutable_image()->set_image("localhost/none:latest");
  ExpectRefused(config, kInvalid, "localhost/none:latest");
  EXPECT_TRUE(ListDir(node_->root() + "/volumes")->empty());
  config.mutable_mounts(0)->mutable_image()->set_image(block_);
  config.mutable_mounts(0)->set_image_sub_path("none");
  ExpectRefused(config, kInvalid, "none");
}

TEST_F(VolumeTest, APodIsToldWhatVolumeTheImageWants) {
  oci::PackOptions options;
  options.volumes = {{"config", "configMap"}};
  ASSERT_OK_AND_ASSIGN(const std::string image,
                       Load("hint", "tarfs.spt", options));
  ExpectRefused(node_->ContainerConfig(image, {}), kInvalid,
                "(the image wants: configMap)");
}

TEST_F(VolumeTest, APodWithoutTheVolumeIsToldWhich) {
  ExpectRefused(node_->ContainerConfig(tarfs_, {}), kInvalid,
                "device \"config\" has nothing to attach: give the container a "
                "volume whose devicePath or mountPath ends in \"/config\"");
}

TEST_F(VolumeTest, ASecretOfFiveGigabytesIsRefused) {
  const std::string volume = Projected("secret", {{"huge", ""}});
  ASSERT_EQ(::truncate((volume + "/..data/huge").c_str(), 5'000'000'000), 0);
  ExpectRefused(Config(tarfs_, "/config", volume),
                absl::StatusCode::kResourceExhausted,
                "huge: of 5000000000 bytes is too much");
}

TEST_F(VolumeTest, ANameThatNoTarCanHaveIsRefused) {
  ExpectRefused(Config(tarfs_, "/config",
                       Projected("configmap", {{std::string(101, 'n'), "x"}})),
                kInvalid, "is no name for a tar entry");
}

TEST_F(VolumeTest, ALinkThatLeadsOutOfAVolumeIsRefused) {
  const std::string projected = Projected("configmap", {});
  ASSERT_EQ(::symlink("/etc/shadow", (projected + "/..data/link").c_str()), 0);
  ExpectRefused(Config(tarfs_, "/config", projected), kInvalid,
                "link leads out of its directory");
  const std::string claim = Volume("csi");
  PutDisk(node_->directory() + "/outside");
  ASSERT_EQ(
      ::symlink("../../../../../../outside", (claim + "/storage.img").c_str()),
      0);
  ExpectRefused(Config(block_, "/storage", claim), kInvalid,
                "storage.img leads out of its directory");
}

TEST_F(VolumeTest, AClaimWithSeveralFilesIsRefused) {
  const std::string volume = Volume("csi");
  PutDisk(volume + "/one");
  PutDisk(volume + "/two");
  ExpectRefused(Config(block_, "/storage", volume), kInvalid,
                "put the guest's disk there as a raw image called storage.img");
}

TEST_F(VolumeTest, ADiskThatIsNoWholeNumberOfSectorsIsRefused) {
  const std::string volume = Volume("csi");
  PutDisk(volume + "/storage.img", 1000);
  ExpectRefused(Config(block_, "/storage", volume), kInvalid,
                "storage.img: has 1000 bytes, which is no multiple of the "
                "block size, 512");
}

TEST_F(VolumeTest, WhatKubeletMountsEverywhereIsNoDevice) {
  auto config = Config(tarfs_, "/config", Projected("configmap", {{"k", "v"}}));
  ASSERT_OK(WriteFileAtomic(node_->directory() + "/hosts", "127.0.0.1 x\n"));
  for (const char* place : {"/etc/hosts", "/etc/hostname", "/etc/resolv.conf",
                            "/dev/termination-log"}) {
    Mount(config, place, node_->directory() + "/hosts", false);
  }
  Mount(config, "/var/run/secrets/kubernetes.io/serviceaccount",
        Projected("projected", {{"token", "secret"}}), true);
  EXPECT_THAT(RunAndRead(config), HasSubstr("k holds 'v'"));
}

}  // namespace
}  // namespace serai::testing
