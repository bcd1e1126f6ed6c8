// SPDX-License-Identifier: Apache-2.0
// Images that something runs of, that can't be read now, or that are pinned.
#include <unistd.h>

#include "cri/image/disk_usage.h"
#include "tests/cri/image/store_test.h"

namespace serai::cri {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;

constexpr auto kNotFound = absl::StatusCode::kNotFound;

TEST_F(StoreTest, ARemovedImageStaysForWhatRunsOfIt) {
  ASSERT_OK(Pull("web:1", Simple("a")));
  ASSERT_OK_AND_ASSIGN(const Image used, store_->Acquire("web:1", "container"));
  ASSERT_OK_AND_ASSIGN(const Image other, store_->Acquire(used.id, "second"));
  ASSERT_OK(store_->Remove(used.id));
  // Nobody finds it any more, but it is there.
  EXPECT_THAT(store_->List(), IsEmpty());
  EXPECT_THAT(store_->Resolve(used.id), HasStatus(kNotFound, ""));
  EXPECT_THAT(store_->Resolve("web:1"), HasStatus(kNotFound, ""));
  EXPECT_EQ(*ReadFile(used.rootfs + "/file", 100), "a");
  EXPECT_OK(store_->Release("container"));
  EXPECT_OK(store_->Release("never"));
  EXPECT_EQ(*ReadFile(used.rootfs + "/file", 100), "a");
  EXPECT_OK(store_->Release("second"));
  ExpectEmpty();
}

TEST_F(StoreTest, ARemovedImageCanBePulledAgainMeanwhile) {
  ASSERT_OK_AND_ASSIGN(const Image before, Pull("web:1", Simple("a")));
  ASSERT_OK(store_->Acquire("web:1", "container"));
  ASSERT_OK(store_->Remove("web:1"));
  ASSERT_OK_AND_ASSIGN(const Image again, Pull("web:2", Simple("a")));
  EXPECT_EQ(again.id, before.id);
  EXPECT_THAT(again.repo_tags, ElementsAre("docker.io/library/web:2"));
  EXPECT_OK(store_->Release("container"));
  EXPECT_EQ(*ReadFile(again.rootfs + "/file", 100), "a");
  EXPECT_THAT(store_->List(), SizeIs(1));
}

TEST_F(StoreTest, ALoadedImageWhoseNameMovesStaysForWhatRunsOfIt) {
  ASSERT_OK(Import(Archive(Simple("old"), "docker.io/library/web:1")));
  ASSERT_OK_AND_ASSIGN(const Image old, store_->Acquire("web:1", "container"));
  ASSERT_OK(Import(Archive(Simple("new"), "docker.io/library/web:1")));
  EXPECT_NE(store_->Resolve("web:1")->id, old.id);
  EXPECT_EQ(*ReadFile(old.rootfs + "/file", 100), "old");
  EXPECT_OK(store_->Release("container"));
  EXPECT_FALSE(PathExists(old.rootfs));
  EXPECT_THAT(store_->List(), SizeIs(1));
}

TEST_F(StoreTest, ARestartKeepsRemovedImagesUntilTheHoldersAreKnownAgain) {
  ASSERT_OK_AND_ASSIGN(const Image kept, Pull("kept", Simple("a")));
  ASSERT_OK_AND_ASSIGN(const Image ended, Pull("ended", Simple("b")));
  ASSERT_OK(store_->Acquire(kept.id, "one"));
  ASSERT_OK(store_->Acquire(ended.id, "two"));
  ASSERT_OK(store_->Remove(kept.id));
  ASSERT_OK(store_->Remove(ended.id));
  Reopen();
  EXPECT_THAT(store_->List(), IsEmpty());
  // A change before that takes nothing away.
  ASSERT_OK(Pull("other", Simple("c")));
  ASSERT_OK(store_->Remove("other"));
  EXPECT_THAT(Trees(), SizeIs(2));
  store_->Restore({{"one", kept.id}, {"three", ""}, {"four", "web"}});
  EXPECT_THAT(Trees(), ElementsAre(kept.id.substr(7)));
  // A new holder can have it by its id.
  ASSERT_OK_AND_ASSIGN(const Image again, store_->Acquire(kept.id, "five"));
  EXPECT_EQ(again.rootfs, kept.rootfs);
  EXPECT_OK(store_->Release("one"));
  EXPECT_THAT(Trees(), ElementsAre(kept.id.substr(7)));
  EXPECT_OK(store_->Release("five"));
  ExpectEmpty();
}

TEST_F(StoreTest, WhatIsNotThereCannotBeAcquired) {
  EXPECT_THAT(store_->Acquire("web", "x"), HasStatus(kNotFound, "web"));
  EXPECT_THAT(store_->Acquire("sha256:" + std::string(64, 'a'), "x"),
              HasStatus(kNotFound, ""));
}

TEST_F(StoreTest, NamesThatCannotBeReadNowAreKept) {
  ASSERT_OK(Import(Archive(Simple("a"), "docker.io/library/web:1")));
  ASSERT_OK_AND_ASSIGN(const Image image, store_->Resolve("web:1"));
  const oci::Digest manifest =
      store_->layout().ReadIndex()->manifests.at(0).digest;
  const std::string path = store_->layout().BlobPath(manifest);
  // To read a directory fails, and not because the file is gone.
  ASSERT_EQ(::rename(path.c_str(), (dir_ / "aside").c_str()), 0);
  ASSERT_OK(MakeDirs(path));
  Reopen();
  EXPECT_THAT(store_->Resolve("web:1"), HasStatus(kNotFound, ""));
  // Nothing of it is collected, whatever else changes.
  ASSERT_OK(Pull("other", Simple("b")));
  ASSERT_OK(store_->Remove("other"));
  ASSERT_OK(RemovePath(path));
  ASSERT_EQ(::rename((dir_ / "aside").c_str(), path.c_str()), 0);
  ASSERT_OK_AND_ASSIGN(const Image back, store_->Resolve("web:1"));
  EXPECT_EQ(back.id, image.id);
  EXPECT_EQ(*ReadFile(back.rootfs + "/file", 100), "a");
  EXPECT_THAT(store_->List(), SizeIs(1));
}

TEST_F(StoreTest, ANameThatCannotBeReadCanBeRemovedOrPulledAnew) {
  for (const char* name : {"web:1", "web:2"}) {
    ASSERT_OK(
        Import(Archive(Simple("a"), absl::StrCat("docker.io/library/", name))));
  }
  const oci::Digest manifest =
      store_->layout().ReadIndex()->manifests.at(0).digest;
  const std::string path = store_->layout().BlobPath(manifest);
  ASSERT_OK(RemovePath(path));
  ASSERT_OK(MakeDirs(path));
  Reopen();
  EXPECT_THAT(store_->layout().ReadIndex()->manifests, SizeIs(2));
  ASSERT_OK(store_->Remove("web:1"));
  EXPECT_THAT(store_->layout().ReadIndex()->manifests, SizeIs(1));
  ASSERT_OK(Import(Archive(Simple("b"), "docker.io/library/web:2")));
  EXPECT_THAT(store_->layout().ReadIndex()->manifests, SizeIs(1));
  EXPECT_THAT(store_->List(), SizeIs(1));
}

TEST_F(StoreTest, WhatCannotBeUnpackedNowIsUnpackedOnUse) {
  ASSERT_OK_AND_ASSIGN(const Image image, Pull("web:1", Simple("a")));
  ASSERT_OK(RemoveTree(image.rootfs));
  const std::string program = options_.unpacker.program;
  options_.unpacker.program = dir_ / "unpack";
  Reopen();
  EXPECT_OK(store_->Resolve("web:1"));
  EXPECT_THAT(store_->Acquire("web:1", "container"),
              HasStatus(absl::StatusCode::kInternal, image.id));
  ASSERT_EQ(::symlink(program.c_str(), options_.unpacker.program.c_str()), 0);
  ASSERT_OK(store_->Acquire("web:1", "container"));
  EXPECT_EQ(*ReadFile(image.rootfs + "/file", 100), "a");
}

TEST_F(StoreTest, ALayerThatTheDiskChangedIsPulledAgain) {
  const ImageBuilder builder = Simple("a");
  ASSERT_OK_AND_ASSIGN(const Image image, Pull("web:1", builder));
  const BuiltImage built = builder.Build(store_->layout());
  const std::string layer =
      store_->layout().BlobPath(built.manifest.layers[0].digest);
  std::string bytes = *ReadFile(layer, 1 << 20);
  bytes[600] ^= 1;
  ASSERT_OK(WriteFileAtomic(layer, bytes));
  ASSERT_OK(RemoveTree(image.rootfs));
  EXPECT_THAT(store_->Acquire("web:1", "container"),
              HasStatus(absl::StatusCode::kDataLoss, "damaged on the disk"));
  EXPECT_THAT(store_->List(), IsEmpty());
  ASSERT_OK(Pull("web:1", builder));
  EXPECT_EQ(*ReadFile(image.rootfs + "/file", 100), "a");
}

TEST_F(StoreTest, PinnedImagesSaySo) {
  options_.pinned = {"docker.io/library/web:1*", "host.tld/tools"};
  Reopen();
  const auto pinned = [&](const std::string& name, const std::string& content) {
    const auto image = Pull(name, Simple(content));
    EXPECT_OK(image);
    EXPECT_EQ(store_->Resolve(name)->pinned, image->pinned);
    return image->pinned;
  };
  EXPECT_TRUE(pinned("web:1.2", "a"));
  EXPECT_FALSE(pinned("web:2", "b"));
  EXPECT_TRUE(pinned("host.tld/tools:9", "c"));
  EXPECT_FALSE(pinned("host.tld/tools2:9", "d"));
  // Who removes it means it.
  ASSERT_OK(store_->Remove("web:1.2"));
  EXPECT_THAT(store_->Resolve("web:1.2"), HasStatus(kNotFound, ""));
}

TEST_F(StoreTest, UsageIsWhatAWalkFinds) {
  ASSERT_OK(Pull("web:1", Simple(std::string(100000, 'x'))));
  ImageBuilder links;
  links.AddLayer({{"d/one", std::string(50000, 'y')},
                  {"d/two", "", AE_IFREG, 0644, "", "d/one"},
                  {"s", "", AE_IFLNK, 0777, "d"}});
  ASSERT_OK_AND_ASSIGN(const Image image, Pull("web:2", links));
  const auto expect_true = [&] {
    ASSERT_OK_AND_ASSIGN(const ImageFsUsage usage, store_->Usage());
    ASSERT_OK_AND_ASSIGN(const DiskUsage walked, UsageBelow(root_));
    EXPECT_EQ(usage.used_bytes, walked.bytes);
    EXPECT_EQ(usage.used_inodes, walked.inodes);
  };
  expect_true();
  ASSERT_OK(store_->Remove("web:1"));
  expect_true();
  // An image's tree never changes, and is not looked into again.
  const ImageFsUsage before = *store_->Usage();
  ASSERT_OK(WriteFileAtomic(image.rootfs + "/d/three", std::string(9000, 'z')));
  EXPECT_EQ(store_->Usage()->used_bytes, before.used_bytes);
  ASSERT_OK(store_->Remove("web:2"));
  expect_true();
}

}  // namespace
}  // namespace serai::cri
