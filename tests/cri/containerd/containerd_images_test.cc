// SPDX-License-Identifier: Apache-2.0
#include <fcntl.h>
#include <sys/stat.h>

#include <set>

#include "absl/strings/match.h"
#include "absl/strings/strip.h"
#include "absl/time/clock.h"
#include "cri/containerd/images.h"
#include "cri/containerd/view_root.h"
#include "cri/image/root.h"
#include "lib/base/file.h"
#include "tests/cri/image/image_builder.h"
#include "tests/support/require.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temp_dir.h"

namespace serai::cri {
namespace {

using testing::BuiltImage;
using ::testing::ElementsAre;
using testing::HasStatus;
using testing::ImageBuilder;
using ::testing::IsEmpty;

// A containerd in memory, whose blobs are a layout's.
class FakeContainerd : public ContainerdClient {
 public:
  explicit FakeContainerd(const oci::Layout& layout) : layout_(layout) {}

  absl::StatusOr<ImageName> GetName(const std::string& name) override {
    const absl::MutexLock lock(&mutex);
    RETURN_IF_ERROR(failure);
    for (const ImageName& each : names) {
      if (each.name == name) return each;
    }
    return absl::NotFoundError("no such image");
  }
  // Understands the two filters that there are.
  absl::StatusOr<std::vector<ImageName>> ListNames(
      const std::string& filter) override {
    const absl::MutexLock lock(&mutex);
    absl::string_view value = filter;
    const bool by_name = absl::ConsumePrefix(&value, "name~=\"^");
    if (!by_name) {
      EXPECT_TRUE(absl::ConsumePrefix(&value, "target.digest==\""));
    }
    EXPECT_TRUE(absl::ConsumeSuffix(&value, "\""));
    std::vector<ImageName> found;
    for (const ImageName& each : names) {
      if (by_name ? absl::StartsWith(each.name, value)
                  : each.target.ToString() == value) {
        found.push_back(each);
      }
    }
    return found;
  }
  absl::StatusOr<std::string> ReadBlob(const oci::Digest& digest) override {
    return layout_.ReadBlob(digest);
  }
  absl::StatusOr<std::vector<ViewMount>> MakeView(
      const std::string& snapshotter, const std::string& key,
      const std::string& parent,
      const std::map<std::string, std::string>& labels) override {
    const absl::MutexLock lock(&mutex);
    EXPECT_TRUE(labels.count("containerd.io/gc.root") == 1);
    last_parent = parent;
    if (snapshotter != "overlayfs") return absl::NotFoundError("no parent");
    views.insert(key);
    // As when the answer is lost on its way.
    if (!view_answer.ok()) return view_answer;
    return mounts;
  }
  absl::Status RemoveSnapshot(const std::string&,
                              const std::string& key) override {
    const absl::MutexLock lock(&mutex);
    RETURN_IF_ERROR(failure);
    return views.erase(key) == 1 ? absl::OkStatus()
                                 : absl::NotFoundError("no such snapshot");
  }

  absl::Mutex mutex;
  absl::Status failure;
  absl::Status view_answer;
  std::vector<ImageName> names;
  std::vector<ViewMount> mounts = {
      {"bind", "/snapshots/1/fs", "", {"ro", "rbind"}}};
  std::set<std::string> views;
  std::string last_parent;

 private:
  const oci::Layout& layout_;
};

class ContainerdImagesTest : public ::testing::Test {
 protected:
  void SetUp() override { Restart("overlayfs"); }

  void Restart(const std::string& snapshotter) {
    std::vector<ImageName> names;
    std::set<std::string> views;
    if (fake_ != nullptr) {
      const absl::MutexLock lock(&fake_->mutex);
      names = fake_->names;
      views = fake_->views;
    }
    images_.reset();
    auto fake = std::make_unique<FakeContainerd>(layout_);
    fake_ = fake.get();
    fake_->names = names;
    fake_->views = views;
    images_ = std::make_unique<ContainerdImages>(std::move(fake), snapshotter,
                                                 dir_ / "views");
  }

  BuiltImage Add(const std::string& name, const std::string& content) {
    const BuiltImage image = ImageBuilder()
                                 .AddLayer({{"a", content}})
                                 .AddLayer({{"b", content}})
                                 .Build(layout_);
    const oci::Digest target = image.descriptor.digest;
    fake_->names.push_back({name, target});
    fake_->names.push_back({image.manifest.config.digest.ToString(), target});
    return image;
  }

  std::vector<std::string> Records() {
    return ListDir(dir_ / "views").value_or(std::vector<std::string>());
  }
  // Whether all views and their records go in a while.
  void ExpectNothingLeft() {
    const absl::Time deadline = absl::Now() + absl::Seconds(30);
    while (!Records().empty() && absl::Now() < deadline) {
      absl::SleepFor(absl::Milliseconds(10));
    }
    EXPECT_THAT(Records(), IsEmpty());
    const absl::MutexLock lock(&fake_->mutex);
    EXPECT_THAT(fake_->views, IsEmpty());
  }
  void Fail(const absl::Status& status) {
    const absl::MutexLock lock(&fake_->mutex);
    fake_->failure = status;
  }

  const testing::TempDir dir_;
  const oci::Layout layout_ = *oci::Layout::Create(dir_ / "layout");
  FakeContainerd* fake_ = nullptr;
  std::unique_ptr<ContainerdImages> images_;
};

TEST_F(ContainerdImagesTest, FindsAnImageByEveryNameAndReadsIt) {
  const BuiltImage web = Add("docker.io/library/web:latest", "x");
  fake_->names.push_back(
      {absl::StrCat("docker.io/library/web@", web.descriptor.digest.ToString()),
       web.descriptor.digest});
  const std::string id = web.manifest.config.digest.ToString();
  for (const std::string& name :
       {std::string("web"), std::string("docker.io/library/web:latest"),
        absl::StrCat("web@", web.descriptor.digest.ToString()), id,
        id.substr(7), id.substr(7, 12), id.substr(0, 15)}) {
    SCOPED_TRACE(name);
    ASSERT_OK_AND_ASSIGN(const Image image, images_->Acquire(name, "holder"));
    EXPECT_EQ(image.id, id);
    EXPECT_THAT(image.repo_tags, ElementsAre("docker.io/library/web:latest"));
    EXPECT_THAT(image.repo_digests,
                ElementsAre(absl::StrCat("docker.io/library/web@",
                                         web.descriptor.digest.ToString())));
    EXPECT_EQ(image.rootfs, "/snapshots/1/fs");
    EXPECT_THAT(image.layers, IsEmpty());
    EXPECT_OK(images_->Release("holder"));
    ExpectNothingLeft();
  }
  EXPECT_EQ(fake_->last_parent,
            oci::DigestOf(absl::StrCat(web.config.diff_ids[0].ToString(), " ",
                                       web.config.diff_ids[1].ToString()))
                .ToString());
}

TEST_F(ContainerdImagesTest, WhatIsNotThereIsSaid) {
  Add("docker.io/library/web:latest", "x");
  EXPECT_THAT(images_->Acquire("other", "h"),
              HasStatus(absl::StatusCode::kNotFound,
                        "containerd has no image \"docker.io/library/other"));
  EXPECT_THAT(images_->Acquire(std::string(64, 'a'), "h"),
              HasStatus(absl::StatusCode::kNotFound, "has no image"));
  EXPECT_THAT(images_->Acquire("No Name", "h"),
              HasStatus(absl::StatusCode::kInvalidArgument, ""));
  Restart("native");
  EXPECT_THAT(images_->Acquire("web", "h"),
              HasStatus(absl::StatusCode::kFailedPrecondition,
                        "its snapshotter \"native\" has not unpacked it"));
  EXPECT_THAT(Records(), IsEmpty());
}

TEST_F(ContainerdImagesTest, AMissingBlobIsTheImagesTroubleAndNotItsAbsence) {
  const BuiltImage web = Add("docker.io/library/web:latest", "x");
  ASSERT_OK(layout_.RemoveBlob(web.manifest.config.digest));
  EXPECT_THAT(images_->Acquire("web", "h"),
              HasStatus(absl::StatusCode::kFailedPrecondition, "pulled again"));
}

TEST_F(ContainerdImagesTest, AReleaseWhileContainerdIsDownIsDoneLater) {
  Add("docker.io/library/web:latest", "x");
  ASSERT_OK(images_->Acquire("web", "holder"));
  Fail(absl::UnavailableError("down"));
  EXPECT_OK(images_->Release("holder"));
  EXPECT_THAT(images_->Acquire("web", "other"),
              HasStatus(absl::StatusCode::kUnavailable, "down"));
  EXPECT_THAT(Records(), ElementsAre("holder.json"));
  Fail(absl::OkStatus());
  ExpectNothingLeft();
}

TEST_F(ContainerdImagesTest, ARestartKeepsWhatIsHeldAndRemovesTheRest) {
  Add("docker.io/library/web:latest", "x");
  ASSERT_OK(images_->Acquire("web", "kept"));
  ASSERT_OK(images_->Acquire("web", "lost"));
  ASSERT_OK(WriteFileAtomic(dir_ / "views/gone.json.tmp.1", "{"));
  Restart("overlayfs");
  images_->Restore({{"kept", "sha256:any"}});
  const absl::Time deadline = absl::Now() + absl::Seconds(30);
  while (Records().size() > 1 && absl::Now() < deadline) {
    absl::SleepFor(absl::Milliseconds(10));
  }
  EXPECT_THAT(Records(), ElementsAre("kept.json"));
  {
    const absl::MutexLock lock(&fake_->mutex);
    EXPECT_THAT(fake_->views, ElementsAre("serai-kept"));
  }
  EXPECT_OK(images_->Release("kept"));
  ExpectNothingLeft();
}

TEST_F(ContainerdImagesTest, AViewWhoseAnswerIsLostIsRemoved) {
  Add("docker.io/library/web:latest", "x");
  fake_->view_answer = absl::DeadlineExceededError("late");
  EXPECT_THAT(images_->Acquire("web", "h"),
              HasStatus(absl::StatusCode::kDeadlineExceeded, "late"));
  ExpectNothingLeft();
}

// Of before the machine's clock was set right.
TEST_F(ContainerdImagesTest, ARecordOfTheFutureIsNotKeptUntilThen) {
  Add("docker.io/library/web:latest", "x");
  ASSERT_OK(images_->Acquire("web", "holder"));
  {
    const absl::MutexLock lock(&fake_->mutex);
    fake_->views.clear();
  }
  const std::string path = dir_ / "views/holder.json";
  ASSERT_OK_AND_ASSIGN(std::string record, ReadFile(path, 1 << 16));
  const size_t created = record.find("created");
  ASSERT_NE(created, std::string::npos) << record;
  record[record.find_first_of("0123456789", created)] = '8';
  ASSERT_OK(WriteFileAtomic(path, record));
  EXPECT_OK(images_->Release("holder"));
  ExpectNothingLeft();
}

TEST_F(ContainerdImagesTest, MountsThatWillNotDoLeaveNoView) {
  Add("docker.io/library/web:latest", "x");
  fake_->mounts = {{"ext4", "/dev/sda1", "", {}}};
  EXPECT_THAT(images_->Acquire("web", "h"),
              HasStatus(absl::StatusCode::kFailedPrecondition,
                        "a mount of type \"ext4\""));
  ExpectNothingLeft();
}

TEST(ViewDirectoriesTest, ABindIsADirectoryAndAnOverlaySeveral) {
  EXPECT_THAT(*ViewDirectories({{"bind", "/a/fs", "", {"rbind", "ro"}}}),
              ElementsAre("/a/fs"));
  EXPECT_THAT(
      *ViewDirectories(
          {{"overlay", "overlay", "", {"index=off", "lowerdir=/a/2:/a/1"}}}),
      ElementsAre("/a/2", "/a/1"));
}

TEST(ViewDirectoriesTest, AnythingElseIsRefused) {
  const auto refused = [](std::vector<ViewMount> mounts) {
    return absl::IsFailedPrecondition(ViewDirectories(mounts).status());
  };
  EXPECT_TRUE(refused({}));
  EXPECT_TRUE(refused({{"bind", "/a", "", {}}, {"bind", "/b", "", {}}}));
  EXPECT_TRUE(refused({{"bind", "/a", "/etc", {}}}));
  for (const char* source :
       {"", "a", "/", "/a/../b", "/a//b", "/a/", "/a/.", "/a:b", "/a,b"}) {
    EXPECT_TRUE(refused({{"bind", source, "", {}}})) << source;
  }
  EXPECT_TRUE(refused({{"bind", std::string("/a\0b", 4), "", {}}}));
  EXPECT_TRUE(refused({{"overlay", "overlay", "", {}}}));
  for (const char* option :
       {"upperdir=/a", "workdir=/a", "userxattr", "lowerdir=", "suid",
        "lowerdir=/a:b", "lowerdir=/a,upperdir=/b", "lowerdir=/a::/b"}) {
    EXPECT_TRUE(refused({{"overlay", "overlay", "", {option}}})) << option;
  }
  std::string many = "lowerdir=/a";
  for (int i = 0; i < 500; ++i) absl::StrAppend(&many, ":/snapshots/", i);
  EXPECT_TRUE(refused({{"overlay", "overlay", "", {many}}}));
}

TEST(OpenRootTest, LayersAreOneTreeThatIsMountedNowhere) {
  SERAI_NEED("root");
  const testing::TempDir dir;
  for (const char* layer : {"1", "2"}) {
    ASSERT_OK(MakeDirs(dir / layer, 0755));
    ASSERT_OK(WriteFileAtomic(dir / (std::string(layer) + "/both"), layer));
    ASSERT_OK(WriteFileAtomic(dir / (std::string(layer) + "/" + layer), layer));
  }
  Image image;
  image.layers = {dir / "2", dir / "1"};
  const auto root = OpenRoot(image);
  if (!root.ok() && absl::StrContains(root.status().message(), "No such dev")) {
    GTEST_SKIP() << root.status();
  }
  ASSERT_OK(root);
  struct stat st = {};
  EXPECT_EQ(::fstatat(root->get(), "1", &st, 0), 0);
  EXPECT_EQ(::fstatat(root->get(), "2", &st, 0), 0);
  const UniqueFd both(::openat(root->get(), "both", O_RDONLY | O_CLOEXEC));
  ASSERT_TRUE(both.valid());
  EXPECT_EQ(*ReadAll(both.get(), 16), "2");
  EXPECT_LT(::openat(root->get(), "new", O_WRONLY | O_CREAT | O_CLOEXEC, 0600),
            0);
  ASSERT_OK_AND_ASSIGN(const std::string mounts,
                       ReadFile("/proc/self/mountinfo", 1 << 20));
  EXPECT_FALSE(absl::StrContains(mounts, dir.path()));
  image.layers = {dir / "none", dir / "1"};
  EXPECT_THAT(OpenRoot(image),
              HasStatus(absl::StatusCode::kFailedPrecondition, "none"));
}

}  // namespace
}  // namespace serai::cri
