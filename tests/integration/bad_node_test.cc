// SPDX-License-Identifier: Apache-2.0
// A machine that lacks something: KVM, or room on its disk.
#include <fcntl.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "absl/cleanup/cleanup.h"
#include "lib/base/file.h"
#include "tests/integration/bad_input.h"

namespace serai::testing {
namespace {

using ::testing::HasSubstr;

constexpr auto kNoRoom = absl::StatusCode::kResourceExhausted;

class NoKvmTest : public BadInputTest {
 protected:
  void SetUp() override {
    ASSERT_NO_FATAL_FAILURE(BadInputTest::SetUp());
    if (IsSkipped()) return;
    ASSERT_NO_FATAL_FAILURE(PutOtherDevicesOnDev());
    ASSERT_NO_FATAL_FAILURE(StartNode());
  }
  void TearDown() override {
    node_.reset();
    if (!hidden_) return;
    EXPECT_EQ(::umount2("/dev", MNT_DETACH), 0);
  }

 private:
  // A /dev with what programs need, and no KVM.
  void PutOtherDevicesOnDev() {
    const TempDir scratch;
    const std::string dev = scratch / "dev";
    ASSERT_OK(MakeDirs(dev));
    ASSERT_EQ(::mount("dev", dev.c_str(), "tmpfs", 0, "size=64k"), 0);
    ASSERT_OK(MakeDirs(dev + "/net", 0755));
    for (const char* name : {"null", "zero", "random", "urandom", "net/tun"}) {
      const std::string to = JoinPath(dev, name);
      ASSERT_OK(WriteFileAtomic(to, ""));
      ASSERT_EQ(::mount(JoinPath("/dev", name).c_str(), to.c_str(), nullptr,
                        MS_BIND, nullptr),
                0)
          << name;
    }
    ASSERT_EQ(::mount(dev.c_str(), "/dev", nullptr, MS_MOVE, nullptr), 0);
    hidden_ = true;
  }

  bool hidden_ = false;
};

TEST_F(NoKvmTest, AnImageWithBothTargetsRunsAsSpt) {
  ASSERT_OK_AND_ASSIGN(const std::string image,
                       node_->LoadGuests("web", {"web.hvt", "web.spt"}));
  ASSERT_OK_AND_ASSIGN(const auto web, node_->Run("web", image));
  ASSERT_OK_AND_ASSIGN(const std::string page, HttpGetRetried(web.ip, 80, "/"));
  EXPECT_THAT(page, HasSubstr("a Solo5 unikernel for spt"));
}

TEST_F(NoKvmTest, AnHvtImageSaysWhyNot) {
  ASSERT_OK_AND_ASSIGN(const std::string image,
                       node_->LoadGuests("web", {"web.hvt"}));
  ASSERT_OK_AND_ASSIGN(const std::string pod, node_->RunPod("pod"));
  Mark();
  const auto created = node_->Create(pod, node_->ContainerConfig(image, {}));
  constexpr auto kNotHere = absl::StatusCode::kFailedPrecondition;
  EXPECT_THAT(created, HasStatus(kNotHere, "hvt, which cannot run here"));
  EXPECT_THAT(created, HasStatus(kNotHere, "/dev/kvm: No such file"));
  EXPECT_THAT(created, HasStatus(kNotHere, "an spt build of it would run"));
  ExpectNothingNew();
}

// A node whose root is a disk of 4 MiB.
class FullDiskTest : public BadInputTest {
 protected:
  void SetUp() override {
    ASSERT_NO_FATAL_FAILURE(BadInputTest::SetUp());
    if (IsSkipped()) return;
    node_ = std::make_unique<TestNode>();
    ASSERT_OK(MakeDirs(node_->root()));
    ASSERT_EQ(::mount("disk", node_->root().c_str(), "tmpfs", 0, "size=4m"), 0);
    mounted_ = true;
    ASSERT_NO_FATAL_FAILURE(node_->Start());
    ASSERT_NO_FATAL_FAILURE(WarmUp());
  }
  void TearDown() override {
    if (!mounted_) return;
    (void)::unlink(Ballast().c_str());
    for (const cri::PodSandbox& pod : node_->Pods()) {
      EXPECT_OK(node_->RemovePod(pod.id()));
    }
    // The node's end starts seraid once more, on an empty root.
    node_->Stop(SIGTERM);
    EXPECT_EQ(::umount2(node_->root().c_str(), 0), 0);
  }

  std::string Ballast() const { return node_->root() + "/ballast"; }
  // Takes what room there is, to the last byte.
  void FillDisk() {
    ASSERT_OK_AND_ASSIGN(const UniqueFd fd,
                         OpenFile(Ballast(), O_WRONLY | O_CREAT | O_APPEND));
    const std::string page(4096, 'b');
    while (::write(fd.get(), page.data(), page.size()) > 0) {
    }
    EXPECT_EQ(errno, ENOSPC);
  }

  bool mounted_ = false;
};

TEST_F(FullDiskTest, AnImageThatDoesNotFitLeavesNothing) {
  ASSERT_OK_AND_ASSIGN(const std::string web,
                       node_->LoadGuests("web", {"web.spt"}));
  Mark();
  // The archive itself, and one whose layer is much larger than the archive.
  ImageBuilder large;
  large.AddLayer({{"data", std::string(5 << 20, 'd')}});
  EXPECT_THAT(Load("large", large), HasStatus(kNoRoom, "No space left"));
  ExpectNothingNew();
  ImageBuilder swelling;
  swelling.AddLayer({{"data", std::string(5 << 20, 'd')}}, Compression::kGzip);
  EXPECT_THAT(Load("swelling", swelling), HasStatus(kNoRoom, "No space left"));
  ExpectNothingNew();

  ASSERT_OK_AND_ASSIGN(const auto running, node_->Run("web", web));
  EXPECT_OK(HttpGetRetried(running.ip, 80, "/"));
  EXPECT_OK(node_->RemovePod(running.pod));
  ExpectNothingNew();
}

TEST_F(FullDiskTest, WithNoRoomAtAllPodsAreRefusedAndCanBeRemoved) {
  ASSERT_OK_AND_ASSIGN(const std::string web,
                       node_->LoadGuests("web", {"web.spt"}));
  ASSERT_OK_AND_ASSIGN(const auto running, node_->Run("running", web));
  ASSERT_OK_AND_ASSIGN(const std::string waiting, node_->RunPod("waiting"));
  ASSERT_OK(HttpGetRetried(running.ip, 80, "/"));
  ASSERT_NO_FATAL_FAILURE(FillDisk());
  Mark();
  EXPECT_THAT(node_->RunPod("new"), HasStatus(kNoRoom, "No space left"));
  EXPECT_THAT(node_->Create(waiting, node_->ContainerConfig(web, {})),
              HasStatus(kNoRoom, "No space left"));
  EXPECT_THAT(node_->LoadGuests("hello", {"hello.spt"}),
              HasStatus(kNoRoom, "No space left"));
  ExpectNothingNew();

  // What runs is not touched, and its end is told truly.
  EXPECT_OK(HttpGet(running.ip, 80, "/"));
  (void)HttpGet(running.ip, 80, "/exit?code=4");
  ASSERT_OK_AND_ASSIGN(const auto ended, node_->WaitExited(running.container));
  EXPECT_EQ(ended.exit_code(), 4);
  EXPECT_OK(node_->StopPod(running.pod));
  EXPECT_OK(node_->RemovePod(running.pod));
  EXPECT_OK(node_->RemovePod(waiting));
  EXPECT_TRUE(node_->Pods().empty());

  // A daemon that comes back to a full disk comes up, and an image's removal,
  // which is what makes room, succeeds.
  ASSERT_NO_FATAL_FAILURE(FillDisk());
  node_->Stop(SIGKILL);
  ASSERT_NO_FATAL_FAILURE(node_->Start());
  ASSERT_NO_FATAL_FAILURE(FillDisk());
  cri::RemoveImageRequest remove;
  remove.mutable_image()->set_image(web);
  EXPECT_OK(
      CallCri(node_->images(), &cri::ImageService::Stub::RemoveImage, remove));
  ASSERT_EQ(::unlink(Ballast().c_str()), 0);
  ASSERT_OK_AND_ASSIGN(const std::string again,
                       node_->LoadGuests("web", {"web.spt"}));
  ASSERT_OK_AND_ASSIGN(const auto new_pod, node_->Run("new", again));
  EXPECT_OK(HttpGetRetried(new_pod.ip, 80, "/"));
}

}  // namespace
}  // namespace serai::testing
