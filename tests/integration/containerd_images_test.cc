// SPDX-License-Identifier: Apache-2.0
// Unikernels from images that only containerd has: Debian's containerd with its
// own content and snapshots, and a seraid in front of it.
#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include <memory>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/time/clock.h"
#include "lib/base/file.h"
#include "lib/base/subprocess.h"
#include "tests/cri/image/image_builder.h"
#include "tests/support/http_get.h"
#include "tests/support/require.h"
#include "tests/support/status_matchers.h"
#include "tests/support/test_containerd.h"
#include "tests/support/test_node.h"

namespace serai::testing {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;
using ::testing::StartsWith;

constexpr absl::Duration kPatience = absl::Seconds(60);

class ContainerdImagesTest : public ContainerdTest {
 protected:
  void SetUp() override {
    ContainerdTest::SetUp();
    if (IsSkipped() || HasFatalFailure()) return;
    NodeOptions options;
    options.chained = {};
    options.pods_cgroup = containerd_->cgroup();
    options.more_config = absl::StrCat(
        "[passthrough]\nsocket = \"", containerd_->socket(),
        "\"\nsnapshotter = \"", containerd_->snapshotter(), "\"\n");
    node_ = std::make_unique<TestNode>(options);
    node_->Start();
    const auto web = containerd_->ImportGuests("web", {"web.hvt", "web.spt"});
    ASSERT_OK(web);
    web_ = *web;
  }

  void TearDown() override {
    if (node_ == nullptr) return;
    // What a container had of containerd is gone with it.
    for (const auto& pod : node_->Pods()) EXPECT_OK(node_->RemovePod(pod.id()));
    ExpectNoViews();
    node_.reset();
  }

  // Of containerd's CRI, as people have it.
  absl::StatusOr<std::string> Ctr(std::vector<std::string> args) {
    SubprocessSpec spec;
    spec.program = "/usr/bin/ctr";
    spec.args = {"--address", containerd_->socket(), "--namespace", "k8s.io"};
    spec.args.insert(spec.args.end(), args.begin(), args.end());
    ASSIGN_OR_RETURN(const SubprocessResult result, RunSubprocess(spec));
    if (result.exit_code == 0) return result.output;
    return absl::InternalError(result.error_output);
  }

  std::vector<std::string> Views() {
    std::vector<std::string> views;
    const auto list =
        Ctr({"snapshot", "--snapshotter", containerd_->snapshotter(), "ls"});
    EXPECT_OK(list);
    for (const absl::string_view line : absl::StrSplit(*list, '\n')) {
      const std::vector<std::string> words =
          absl::StrSplit(line, ' ', absl::SkipEmpty());
      if (!words.empty() && absl::StartsWith(words[0], "serai-")) {
        views.push_back(words[0]);
      }
    }
    return views;
  }

  std::vector<std::string> Records() {
    return ListDir(JoinPath(node_->root(), "views"))
        .value_or(std::vector<std::string>());
  }

  void ExpectNoViews() {
    const absl::Time deadline = absl::Now() + kPatience;
    while ((!Views().empty() || !Records().empty()) && absl::Now() < deadline) {
      absl::SleepFor(absl::Milliseconds(100));
    }
    EXPECT_THAT(Views(), IsEmpty());
    EXPECT_THAT(Records(), IsEmpty());
  }

  // What kubelet is told an image's id is, and gives to CreateContainer.
  cri::Image ImageStatus(const std::string& name) {
    Call call;
    cri::ImageStatusRequest request;
    request.mutable_image()->set_image(name);
    cri::ImageStatusResponse response;
    EXPECT_OK(
        FromGrpc(node_->images().ImageStatus(call.get(), request, &response)));
    return response.image();
  }

  std::string Guest(const std::string& name) {
    return ReadFile(JoinPath(JoinPath(BuildDir(), "guests"), name), 64 << 20)
        .value_or("");
  }

  void ImportBuilt(const ImageBuilder& builder, const std::string& name) {
    const TempDir scratch;
    ASSERT_OK_AND_ASSIGN(const oci::Layout layout,
                         oci::Layout::Create(scratch / "layout"));
    ASSERT_OK(layout.AddManifest(builder.Build(layout).descriptor, name));
    ASSERT_OK_AND_ASSIGN(const oci::Index index, layout.ReadIndex());
    ASSERT_OK_AND_ASSIGN(const UniqueFd archive,
                         OpenFile(scratch / "image.tar", O_WRONLY | O_CREAT));
    ASSERT_OK(oci::WriteArchive(layout, index, archive.get()));
    ASSERT_OK(containerd_->Import(scratch / "image.tar"));
  }

  void ExpectPage(const std::string& image) {
    ASSERT_OK_AND_ASSIGN(const auto run, node_->Run("page", image));
    EXPECT_OK(HttpGetRetried(run.ip, 80, "/"));
    EXPECT_OK(node_->RemovePod(run.pod));
  }

  std::unique_ptr<TestNode> node_;
  std::string web_;
};

TEST_F(ContainerdImagesTest, RunsByTagAndByIdAndTellsTheSameIds) {
  const cri::Image image = ImageStatus(web_);
  ASSERT_THAT(image.id(), StartsWith("sha256:"));
  for (const std::string& name :
       {web_, image.id(), image.id().substr(7), image.id().substr(7, 12)}) {
    SCOPED_TRACE(name);
    ASSERT_OK_AND_ASSIGN(const auto run, node_->Run("web", name));
    EXPECT_OK(HttpGetRetried(run.ip, 80, "/"));
    ASSERT_OK_AND_ASSIGN(const auto status, node_->StatusOf(run.container));
    EXPECT_EQ(status.image_id(), image.id());
    EXPECT_EQ(status.image_ref(), image.repo_digests().empty()
                                      ? image.id()
                                      : image.repo_digests(0));
    EXPECT_THAT(Views(), ElementsAre(absl::StrCat("serai-", run.container)));
    EXPECT_OK(node_->RemovePod(run.pod));
    ExpectNoViews();
  }
}

TEST_F(ContainerdImagesTest, BothTargetsRun) {
  for (const char* target : {"hvt", "spt"}) {
    if (absl::string_view(target) == "hvt" && ::access("/dev/kvm", R_OK) != 0) {
      continue;
    }
    SCOPED_TRACE(target);
    const auto image = containerd_->ImportGuests(
        absl::StrCat("only-", target), {absl::StrCat("web.", target)});
    ASSERT_OK(image);
    ExpectPage(*image);
  }
}

TEST_F(ContainerdImagesTest, SeveralLayersAndUruncsWordsWillDo) {
  TarItem base;
  base.path = "etc/motd";
  base.content = "the lower layer";
  TarItem guest;
  guest.path = "unikernel/app";
  guest.content = Guest("web.spt");
  TarItem words;
  words.path = "urunc.json";
  // unikernel/app, in base64 as urunc has it.
  words.content = R"({"com.urunc.unikernel.binary":"L3VuaWtlcm5lbC9hcHA=",)"
                  R"("com.urunc.unikernel.unikernelType":"bWlyYWdl",)"
                  R"("com.urunc.unikernel.hypervisor":"c3B0"})";
  ImageBuilder builder;
  builder.AddLayer({base}, Compression::kGzip)
      .AddLayer({guest}, Compression::kGzip)
      .AddLayer({words});
  ASSERT_NO_FATAL_FAILURE(ImportBuilt(builder, "localhost/layers:latest"));
  ExpectPage("localhost/layers:latest");
  // Nothing of it is left mounted anywhere.
  EXPECT_THAT(ReadFile("/proc/self/mountinfo", 1 << 20).value_or(""),
              ::testing::Not(HasSubstr("/containers/")));
}

TEST_F(ContainerdImagesTest, AnImageRemovedInUseRunsOnAndGoesAfterwards) {
  ASSERT_OK_AND_ASSIGN(const auto run, node_->Run("web", web_));
  const std::string id = ImageStatus(web_).id();
  Call call;
  cri::RemoveImageRequest request;
  request.mutable_image()->set_image(web_);
  cri::RemoveImageResponse response;
  ASSERT_OK(
      FromGrpc(node_->images().RemoveImage(call.get(), request, &response)));
  EXPECT_EQ(ImageStatus(web_).id(), "");
  EXPECT_OK(HttpGetRetried(run.ip, 80, "/"));
  ASSERT_OK_AND_ASSIGN(const auto status, node_->StatusOf(run.container));
  EXPECT_EQ(status.image_id(), id);
  // Another container of it can't be made any more.
  EXPECT_OK(node_->StopContainer(run.container, 0));
  auto config = node_->ContainerConfig(web_, {});
  config.mutable_metadata()->set_attempt(1);
  EXPECT_THAT(
      node_->Create(run.pod, config),
      HasStatus(absl::StatusCode::kNotFound, "containerd has no image"));
}

TEST_F(ContainerdImagesTest, WhatIsNotUnpackedIsSaid) {
  ASSERT_OK_AND_ASSIGN(const std::string pod, node_->RunPod("pod"));
  EXPECT_THAT(
      node_->Create(pod, node_->ContainerConfig("localhost/none:1", {})),
      HasStatus(absl::StatusCode::kNotFound,
                "containerd has no image \"localhost/none:1\""));
  // Gone with all its names, and then there without being unpacked.
  const std::string id = ImageStatus(web_).id();
  ASSERT_OK(Ctr({"image", "rm", "--sync", web_, id}));
  ASSERT_OK(Ctr({"image", "import", "--no-unpack",
                 containerd_->directory() + "/web.tar"}));
  EXPECT_THAT(
      node_->Create(pod, node_->ContainerConfig(web_, {})),
      HasStatus(absl::StatusCode::kFailedPrecondition, "has not unpacked it"));
}

TEST_F(ContainerdImagesTest, WhereverSeraidDiesNothingIsLeft) {
  for (const char* step : {"container.image", "image.view-record", "image.view",
                           "container.bundle"}) {
    SCOPED_TRACE(step);
    ASSERT_OK_AND_ASSIGN(const std::string pod, node_->RunPod("pod"));
    const auto config = node_->ContainerConfig(web_, {});
    for (const char* how : {"", "crash:"}) {
      node_->InjectFault(absl::StrCat(how, step));
      EXPECT_FALSE(node_->Create(pod, config).ok());
      if (*how == 'c') {
        node_->Stop(SIGKILL);
        node_->InjectFault("");
        node_->Start();
      }
      node_->InjectFault("");
      EXPECT_THAT(node_->Containers(), IsEmpty());
    }
    EXPECT_OK(node_->RemovePod(pod));
  }
  ExpectNoViews();
}

TEST_F(ContainerdImagesTest,
       AContainerOutlivesBothDaemonsAndGoesWithoutEither) {
  ASSERT_OK_AND_ASSIGN(const auto run, node_->Run("web", web_));
  node_->Stop(SIGKILL);
  containerd_->Stop(SIGKILL);
  containerd_->Start();
  node_->Start();
  EXPECT_THAT(Views(), ElementsAre(absl::StrCat("serai-", run.container)));
  EXPECT_OK(HttpGet(run.ip, 80, "/"));
  containerd_->Stop(SIGTERM);
  EXPECT_OK(node_->StopContainer(run.container, 0));
  EXPECT_OK(node_->RemoveContainer(run.container));
  EXPECT_OK(node_->RemovePod(run.pod));
  EXPECT_THAT(Records(), SizeIs(1));
  containerd_->Start();
  ExpectNoViews();
}

}  // namespace
}  // namespace serai::testing
