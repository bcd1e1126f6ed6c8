// SPDX-License-Identifier: Apache-2.0
#include "tests/cri/image/store_test.h"

#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <functional>
#include <thread>

#include "absl/time/clock.h"
#include "lib/guest/find_unikernel.h"
#include "lib/oci/pack.h"
#include "tests/support/require.h"
#include "tests/support/unikernel_file.h"

namespace serai::cri {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;
using testing::UnikernelFile;

TEST_F(StoreTest, AHeldImageKeepsItsTreeUntilItsLastHolderGivesItBack) {
  ASSERT_OK_AND_ASSIGN(const Image image, Pull("held", Simple("x")));
  ASSERT_OK(store_->Acquire("held", "one"));
  store_->Restore({{"one", image.id}, {"two", image.id}});
  ASSERT_OK(store_->Remove("held"));
  EXPECT_THAT(Trees(), SizeIs(1));
  ASSERT_OK(store_->Release("one"));
  ASSERT_OK(store_->Release("one"));
  EXPECT_TRUE(PathExists(image.rootfs));
  ASSERT_OK(store_->Release("two"));
  ExpectEmpty();
}

TEST_F(StoreTest, FromPackToAFoundUnikernel) {
  UnikernelFile file;
  file.devices = {{"service", solo5::DeviceType::kNet}};
  ASSERT_OK(WriteFileAtomic(dir_ / "web.hvt", file.Bytes()));
  ASSERT_OK_AND_ASSIGN(const oci::Layout layout,
                       oci::Layout::Create(dir_ / "layout"));
  ASSERT_OK_AND_ASSIGN(const oci::Descriptor packed,
                       oci::Pack({dir_ / "web.hvt"}, {{"--x"}, 0}, layout));
  ASSERT_OK(layout.AddManifest(packed, "docker.io/library/web:1"));
  ASSERT_OK_AND_ASSIGN(const auto imported, Import(Written(layout)));
  ASSERT_THAT(imported, SizeIs(1));
  ASSERT_OK_AND_ASSIGN(const Image image, store_->Resolve("web:1"));
  EXPECT_EQ(image.id, imported[0].id);
  EXPECT_THAT(image.repo_tags, ElementsAre("docker.io/library/web:1"));
  EXPECT_THAT(image.config.cmd, ElementsAre("--x"));
  EXPECT_GT(image.size, 4096);
  ASSERT_OK_AND_ASSIGN(const UniqueFd root,
                       OpenFile(image.rootfs, O_RDONLY | O_DIRECTORY));
  guest::ImageWords words;
  words.labels = image.config.labels;
  ASSERT_OK_AND_ASSIGN(const guest::FoundUnikernel found,
                       guest::FindUnikernel(root.get(), words, {}));
  EXPECT_EQ(found.path, "/app.hvt");
  EXPECT_EQ(*ReadFile(image.rootfs + found.path, 1 << 20), file.Bytes());
}

TEST_F(StoreTest, ResolvesEveryWayToNameAnImage) {
  ASSERT_OK_AND_ASSIGN(const Image image, Pull("host.tld/web:1", Simple("a")));
  ASSERT_THAT(image.repo_digests, SizeIs(1));
  const std::string hex = image.id.substr(7);
  const std::string digest =
      image.repo_digests[0].substr(image.repo_digests[0].find('@'));
  for (const std::string& name :
       {std::string("host.tld/web:1"), image.id, hex, hex.substr(0, 12),
        "sha256:" + hex.substr(0, 4), image.repo_digests[0],
        "host.tld/web:whatever" + digest}) {
    ASSERT_OK_AND_ASSIGN(const Image found, store_->Resolve(name));
    EXPECT_EQ(found.id, image.id) << name;
  }
  for (const std::string& name :
       {std::string("web:1"), std::string("host.tld/web"), hex.substr(0, 3),
        std::string("host.tld/web2:1"), "host.tld/other" + digest,
        "sha256:" + std::string(64, '0')}) {
    EXPECT_THAT(store_->Resolve(name),
                HasStatus(absl::StatusCode::kNotFound, "no image"))
        << name;
  }
  EXPECT_THAT(store_->Resolve("No Such"),
              HasStatus(absl::StatusCode::kInvalidArgument, "reference"));
}

TEST_F(StoreTest, ATagMovesAndTheOldImageKeepsItsDigest) {
  ASSERT_OK_AND_ASSIGN(const Image old, Pull("web:1", Simple("old")));
  ASSERT_OK_AND_ASSIGN(const Image now, Pull("web:1", Simple("new")));
  EXPECT_NE(old.id, now.id);
  EXPECT_EQ(store_->Resolve("web:1")->id, now.id);
  ASSERT_OK_AND_ASSIGN(const Image left, store_->Resolve(old.id));
  EXPECT_THAT(left.repo_tags, IsEmpty());
  EXPECT_THAT(left.repo_digests, SizeIs(1));
  EXPECT_THAT(store_->List(), SizeIs(2));
}

TEST_F(StoreTest, APullByDigestGivesNoTag) {
  const BuiltImage image = Simple("a").Build(store_->layout());
  const oci::Digest index = oci::DigestOf("an index");
  ASSERT_OK_AND_ASSIGN(
      const Image put,
      store_->Put(Ref("web:1@" + index.ToString()), image.descriptor, index));
  EXPECT_THAT(put.repo_tags, IsEmpty());
  EXPECT_THAT(put.repo_digests,
              ElementsAre("docker.io/library/web@" + index.ToString()));
}

TEST_F(StoreTest, RemovingATagKeepsTheOthers) {
  ASSERT_OK(Pull("web:1", Simple("a")));
  ASSERT_OK_AND_ASSIGN(const Image image, Pull("web:2", Simple("a")));
  EXPECT_THAT(image.repo_tags, SizeIs(2));
  ASSERT_OK(store_->Remove("web:1"));
  ASSERT_OK_AND_ASSIGN(const Image left, store_->Resolve(image.id));
  EXPECT_THAT(left.repo_tags, ElementsAre("docker.io/library/web:2"));
  EXPECT_THAT(left.repo_digests, SizeIs(1));
  EXPECT_TRUE(PathExists(left.rootfs));
  ASSERT_OK(store_->Remove("web:2"));
  ExpectEmpty();
}

TEST_F(StoreTest, RemovingAnIdRemovesAllItsNames) {
  ASSERT_OK(Pull("web:1", Simple("a")));
  ASSERT_OK_AND_ASSIGN(const Image image, Pull("host.tld/x:2", Simple("a")));
  ASSERT_OK_AND_ASSIGN(const Image other, Pull("other", Simple("b")));
  ASSERT_OK(store_->Remove(image.id));
  EXPECT_THAT(store_->List(), SizeIs(1));
  EXPECT_THAT(Trees(), ElementsAre(other.id.substr(7)));
  ASSERT_OK(store_->Remove(other.repo_digests[0]));
  ExpectEmpty();
}

TEST_F(StoreTest, RemovingTheUnknownSucceeds) {
  EXPECT_OK(store_->Remove("web:1"));
  EXPECT_OK(store_->Remove("sha256:" + std::string(64, 'a')));
  EXPECT_OK(store_->Remove("No Such"));
}

TEST_F(StoreTest, SharedLayersStayWhileOneImageNeedsThem) {
  ImageBuilder one = Simple("shared");
  ImageBuilder two = Simple("shared");
  two.AddLayer({{"more", "x"}});
  ASSERT_OK_AND_ASSIGN(const Image first, Pull("one", one));
  ASSERT_OK(Pull("two", two));
  ASSERT_OK(store_->Remove(first.id));
  Reopen();
  ASSERT_OK_AND_ASSIGN(const Image second, store_->Resolve("two"));
  EXPECT_EQ(*ReadFile(second.rootfs + "/file", 100), "shared");
}

TEST_F(StoreTest, ALeaseKeepsBlobsUntilItEnds) {
  ASSERT_OK_AND_ASSIGN(const Image other, Pull("other", Simple("b")));
  const oci::Digest pulled = oci::DigestOf("being pulled");
  std::optional<ImageStore::Lease> lease = store_->AcquireLease();
  std::optional<ImageStore::Lease> second = store_->AcquireLease();
  lease->Keep(pulled);
  second->Keep(pulled);
  ASSERT_OK(store_->layout().WriteBlob("text/plain", "being pulled"));
  // As it is called, a tree may have been made and not be an image's yet.
  ASSERT_OK(MakeDirs(JoinPath(root_ + "/unpacked", pulled.hex())));
  ASSERT_OK(store_->Remove(other.id));
  EXPECT_THAT(store_->List(), IsEmpty());
  // What is removed goes meanwhile.
  EXPECT_THAT(Blobs(), ElementsAre(pulled.hex()));
  EXPECT_THAT(Trees(), ElementsAre(pulled.hex()));
  lease.reset();
  EXPECT_THAT(Blobs(), ElementsAre(pulled.hex()));
  second.reset();
  ExpectEmpty();
}

TEST_F(StoreTest, WhatIsBeingUnpackedStaysWhileAnotherIsRemoved) {
  ASSERT_OK_AND_ASSIGN(const Image other, Pull("other", Simple("b")));
  const std::string program = options_.unpacker.program;
  // It waits at a gate.
  options_.unpacker.program = dir_ / "unpack";
  ASSERT_OK(WriteFileAtomic(
      dir_ / "unpack",
      absl::StrCat("#!/bin/sh\ntouch ", dir_ / "begun", "\nuntil [ -e ",
                   dir_ / "gate", " ]; do sleep 0.02; done\nexec ", program,
                   " \"$@\"\n"),
      0755));
  Reopen();
  store_->Restore({});
  std::thread pull([&] { EXPECT_OK(Pull("web", Simple("a"))); });
  while (!PathExists(dir_ / "begun")) absl::SleepFor(absl::Milliseconds(5));
  EXPECT_OK(store_->Remove(other.id));
  EXPECT_FALSE(PathExists(other.rootfs));
  EXPECT_THAT(Blobs(), SizeIs(3));
  EXPECT_OK(WriteFileAtomic(dir_ / "gate", ""));
  pull.join();
  EXPECT_THAT(Trees(), SizeIs(1));
}

TEST_F(StoreTest, ABadArrivalLeavesNothing) {
  ImageBuilder liar;
  liar.AddRawLayer(testing::MakeTar({{"a", "x"}}), oci::DigestOf("other"));
  EXPECT_THAT(Pull("bad", liar),
              HasStatus(absl::StatusCode::kDataLoss, "unpacks to"));
  ExpectEmpty();
  EXPECT_THAT(Import(Archive(liar, "bad:1")),
              HasStatus(absl::StatusCode::kDataLoss, "unpacks to"));
  ExpectEmpty();
  oci::Descriptor missing;
  missing.digest = oci::DigestOf("missing");
  EXPECT_THAT(store_->Put(Ref("x"), missing, missing.digest),
              HasStatus(absl::StatusCode::kNotFound, ""));
}

TEST_F(StoreTest, ImportTakesTheGivenName) {
  const std::string archive = Archive(Simple("a"), "docker.io/library/x:1");
  ASSERT_OK_AND_ASSIGN(const auto images, Import(archive, Ref("host.tld/y:2")));
  ASSERT_THAT(images, SizeIs(1));
  EXPECT_THAT(images[0].repo_tags, ElementsAre("host.tld/y:2"));
  EXPECT_THAT(images[0].repo_digests, IsEmpty());
}

TEST_F(StoreTest, ImportWithoutAUsableNameIsKnownById) {
  ASSERT_OK_AND_ASSIGN(const auto images,
                       Import(Archive(Simple("a"), "latest")));
  ASSERT_THAT(images, SizeIs(1));
  EXPECT_THAT(images[0].repo_tags, IsEmpty());
  Reopen();
  EXPECT_OK(store_->Resolve(images[0].id));
  // A name given later takes the nameless entry's place.
  ASSERT_OK(Import(Archive(Simple("a"), "latest"), Ref("web")));
  EXPECT_THAT(store_->List(), SizeIs(1));
  EXPECT_THAT(store_->layout().ReadIndex()->manifests, SizeIs(1));
  ASSERT_OK(store_->Remove("web"));
  ExpectEmpty();
}

TEST_F(StoreTest, ReopenedItKnowsTheSame) {
  ASSERT_OK_AND_ASSIGN(const Image before, Pull("web:1", Simple("a")));
  Reopen();
  ASSERT_OK_AND_ASSIGN(const Image after, store_->Resolve("web:1"));
  EXPECT_EQ(after.id, before.id);
  EXPECT_EQ(after.repo_digests, before.repo_digests);
  EXPECT_EQ(after.rootfs, before.rootfs);
  EXPECT_EQ(after.size, before.size);
}

TEST_F(StoreTest, ACrashLeavesNothingBehind) {
  ASSERT_OK_AND_ASSIGN(const Image image, Pull("web:1", Simple("a")));
  ASSERT_OK(store_->layout().WriteBlob("text/plain", "orphan"));
  const std::string blobs = root_ + "/images/blobs/sha256/";
  ASSERT_OK(WriteFileAtomic(blobs + ".incoming.Ab12Cd", "half"));
  ASSERT_OK(MakeDirs(root_ + "/unpacked/.incoming.Ab12Cd/etc"));
  ASSERT_OK(MakeDirs(root_ + "/unpacked/.outgoing.abc/etc"));
  ASSERT_OK(MakeDirs(root_ + "/unpacked/" + std::string(64, 'c')));
  Reopen();
  EXPECT_THAT(Trees(), ElementsAre(image.id.substr(7)));
  EXPECT_THAT(*ListDir(blobs), SizeIs(3));
}

TEST_F(StoreTest, AMissingTreeIsUnpackedAgain) {
  ASSERT_OK_AND_ASSIGN(const Image image, Pull("web:1", Simple("a")));
  ASSERT_OK(RemoveTree(image.rootfs));
  Reopen();
  EXPECT_EQ(*ReadFile(image.rootfs + "/file", 100), "a");
}

TEST_F(StoreTest, NamesWhoseBlobsAreGoneAreForgotten) {
  ASSERT_OK(Pull("lost", Simple("lost")));
  const BuiltImage lost = Simple("lost").Build(store_->layout());
  ASSERT_OK(Pull("kept", Simple("kept")));
  ASSERT_OK(store_->layout().RemoveBlob(lost.manifest.layers[0].digest));
  Reopen();
  EXPECT_THAT(store_->Resolve("lost"),
              HasStatus(absl::StatusCode::kNotFound, ""));
  EXPECT_OK(store_->Resolve("kept"));
  EXPECT_THAT(Trees(), SizeIs(1));
}

TEST_F(StoreTest, OneProcessAtATime) {
  EXPECT_THAT(ImageStore::Open(root_, options_),
              HasStatus(absl::StatusCode::kFailedPrecondition, "another"));
}

TEST_F(StoreTest, UsageCountsWhatIsThere) {
  ASSERT_OK_AND_ASSIGN(const ImageFsUsage before, store_->Usage());
  EXPECT_EQ(before.mountpoint, root_);
  ASSERT_OK(Pull("web:1", Simple(std::string(100000, 'x'))));
  ASSERT_OK_AND_ASSIGN(const ImageFsUsage after, store_->Usage());
  EXPECT_GE(after.used_bytes, before.used_bytes + 200000);
  // Three blobs, the tree and its file.
  EXPECT_EQ(after.used_inodes, before.used_inodes + 5);
}

TEST_F(StoreTest, ManyThreadsPullAndRemoveTheSameImages) {
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([this, t] {
      for (int i = 0; i < 10; ++i) {
        const std::string content = std::to_string((t + i) % 2);
        const absl::StatusOr<Image> image =
            Pull("web:" + content, Simple(content));
        EXPECT_OK(image);
        if (image.ok() && i % 3 == 0) EXPECT_OK(store_->Remove(image->id));
        store_->List();
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  for (const Image& image : store_->List()) {
    EXPECT_TRUE(PathExists(image.rootfs + "/file"));
    EXPECT_OK(store_->Remove(image.id));
  }
  ExpectEmpty();
}

// With a store on a disk of 1 MiB. In a mount namespace of a child's own, so
// that nothing of it can stay.
class SmallDiskTest : public StoreTest {
 protected:
  void Run(const std::function<void(ImageStore&)>& test) {
    const std::string small = dir_ / "small";
    ASSERT_OK(MakeDirs(small));
    const pid_t child = ::fork();
    ASSERT_GE(child, 0);
    if (child == 0) {
      EXPECT_EQ(::unshare(CLONE_NEWNS), 0);
      EXPECT_EQ(::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr),
                0);
      EXPECT_EQ(::mount("tmpfs", small.c_str(), "tmpfs", 0, "size=1m"), 0);
      auto store = ImageStore::Open(small + "/store", options_);
      EXPECT_OK(store);
      (*store)->Restore({});
      test(**store);
      ::_exit(HasFailure() ? 1 : 0);
    }
    int status = 0;
    ASSERT_EQ(::waitpid(child, &status, 0), child);
    EXPECT_EQ(status, 0);
  }

  // Until nothing more goes onto it.
  void FillDisk() {
    const absl::StatusOr<UniqueFd> fd =
        OpenFile(dir_ / "small/filler", O_WRONLY | O_CREAT);
    EXPECT_OK(fd);
    while (WriteAll(fd->get(), std::string(4096, 'x')).ok()) {
    }
  }
  std::vector<std::string> Left(const std::string& directory) {
    return *ListDir(JoinPath(dir_ / "small/store", directory));
  }
};

TEST_F(SmallDiskTest, AFullDiskLeavesNothing) {
  SERAI_NEED("root");
  const std::string archive =
      Archive(Simple(std::string(700000, 'x')), "docker.io/library/big:1");
  Run([&](ImageStore& store) {
    const absl::StatusOr<UniqueFd> fd = OpenFile(archive, O_RDONLY);
    // The blob fits, the tree does not.
    EXPECT_THAT(store.Import(fd->get(), std::nullopt),
                HasStatus(absl::StatusCode::kResourceExhausted, "No space"));
    EXPECT_THAT(store.List(), IsEmpty());
    EXPECT_THAT(Left("images/blobs/sha256"), IsEmpty());
    EXPECT_THAT(Left("unpacked"), IsEmpty());
  });
}

TEST_F(SmallDiskTest, OnAFullDiskImagesGoAsTheyAreRemovedAndGivenBack) {
  SERAI_NEED("root");
  const std::string archive =
      Archive(Simple(std::string(1000, 'x')), "docker.io/library/web:1");
  Run([&](ImageStore& store) {
    for (const bool removed_before : {false, true}) {
      const absl::StatusOr<UniqueFd> fd = OpenFile(archive, O_RDONLY);
      EXPECT_OK(store.Import(fd->get(), std::nullopt));
      EXPECT_OK(store.Acquire("web:1", "container"));
      if (removed_before) EXPECT_OK(store.Remove("web:1"));
      FillDisk();
      if (!removed_before) EXPECT_OK(store.Remove("web:1"));
      EXPECT_OK(store.Release("container"));
      EXPECT_THAT(Left("images/blobs/sha256"), IsEmpty());
      EXPECT_THAT(Left("unpacked"), IsEmpty());
      EXPECT_OK(RemovePath(dir_ / "small/filler"));
    }
  });
}

TEST_F(StoreTest, TheReserveGrowsWithTheIndex) {
  const auto size = [&](const std::string& name) {
    struct stat st = {};
    EXPECT_EQ(::stat((root_ + name).c_str(), &st), 0);
    return st.st_size;
  };
  EXPECT_EQ(size("/reserve"), 64 << 10);
  const BuiltImage image = Simple("a").Build(store_->layout());
  for (int i = 0; i < 100; ++i) {
    ASSERT_OK(store_->Put(
        Ref(absl::StrCat("r.example/", std::string(200, 'a'), ":", i)),
        image.descriptor, image.descriptor.digest));
  }
  EXPECT_GT(size("/images/index.json"), 32 << 10);
  EXPECT_EQ(size("/reserve"), 2 * size("/images/index.json"));
  ASSERT_OK(store_->Remove(store_->List().at(0).id));
  ExpectEmpty();
}

// Whichever of the two comes second takes it away.
TEST_F(StoreTest, AnImageThatIsRemovedWhileItIsGivenBackIsGone) {
  for (int i = 0; i < 40; ++i) {
    ASSERT_OK(Pull("web", Simple("a")));
    ASSERT_OK(store_->Acquire("web", "container"));
    std::thread remove([&] { EXPECT_OK(store_->Remove("web")); });
    absl::SleepFor(absl::Microseconds(100 * i));
    EXPECT_OK(store_->Release("container"));
    remove.join();
    ASSERT_NO_FATAL_FAILURE(ExpectEmpty());
    if (HasFailure()) return;
  }
}

}  // namespace
}  // namespace serai::cri
