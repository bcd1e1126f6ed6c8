// SPDX-License-Identifier: Apache-2.0
#include "lib/oci/layout.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>

#include "absl/cleanup/cleanup.h"
#include "lib/base/file.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temp_dir.h"

namespace serai::oci {
namespace {

using ::testing::ElementsAre;
using testing::HasStatus;
using ::testing::IsEmpty;

class LayoutTest : public ::testing::Test {
 protected:
  void SetUp() override {
    ASSERT_OK_AND_ASSIGN(Layout layout, Layout::Create(dir_ / "layout"));
    layout_.emplace(std::move(layout));
  }

  std::vector<std::string> BlobFiles() const {
    return *ListDir(dir_ / "layout/blobs/sha256");
  }

  testing::TempDir dir_;
  std::optional<Layout> layout_;
};

TEST_F(LayoutTest, CreateMakesAnEmptyLayoutAndKeepsAnExistingOne) {
  EXPECT_OK(Layout::Open(dir_ / "layout"));
  ASSERT_OK(layout_->AddManifest(*layout_->WriteBlob(kMediaTypeManifest, "x"),
                                 "name"));
  EXPECT_OK(Layout::Create(dir_ / "layout"));
  EXPECT_EQ(layout_->ReadIndex()->manifests.size(), 1u);
}

TEST_F(LayoutTest, OpenRefusesWhatIsNoLayout) {
  EXPECT_THAT(Layout::Open(dir_.path()), HasStatus(absl::StatusCode::kNotFound,
                                                   "not an OCI image layout"));
  ASSERT_OK(WriteFileAtomic(dir_ / "oci-layout", "{}"));
  EXPECT_THAT(
      Layout::Open(dir_.path()),
      HasStatus(absl::StatusCode::kInvalidArgument, "not an OCI image layout"));
}

TEST_F(LayoutTest, ABlobIsThereAfterCommitOnly) {
  const Digest digest = DigestOf("hello");
  ASSERT_OK_AND_ASSIGN(BlobWriter writer, layout_->StartBlob(digest, 5));
  ASSERT_OK(writer.Write("hel"));
  ASSERT_OK(writer.Write("lo"));
  EXPECT_FALSE(layout_->HasBlob(digest));
  EXPECT_OK(writer.Commit());
  EXPECT_TRUE(layout_->HasBlob(digest));
  EXPECT_EQ(*layout_->ReadBlob(digest), "hello");
  EXPECT_EQ(*layout_->BlobSize(digest), 5);
  EXPECT_THAT(BlobFiles(), ElementsAre(std::string(digest.hex())));
}

TEST_F(LayoutTest, AnAbandonedBlobLeavesNothing) {
  {
    ASSERT_OK_AND_ASSIGN(BlobWriter writer, layout_->StartBlob(Digest(), -1));
    ASSERT_OK(writer.Write("hel"));
  }
  EXPECT_THAT(BlobFiles(), IsEmpty());
}

TEST_F(LayoutTest, AWrongDigestIsRefused) {
  {
    ASSERT_OK_AND_ASSIGN(BlobWriter writer,
                         layout_->StartBlob(DigestOf("other"), 5));
    ASSERT_OK(writer.Write("hello"));
    EXPECT_THAT(writer.Commit(),
                HasStatus(absl::StatusCode::kDataLoss, "digest"));
  }
  EXPECT_THAT(BlobFiles(), IsEmpty());
}

TEST_F(LayoutTest, AWrongLengthIsRefused) {
  ASSERT_OK_AND_ASSIGN(BlobWriter writer, layout_->StartBlob(Digest(), 4));
  EXPECT_THAT(writer.Write("hello"),
              HasStatus(absl::StatusCode::kResourceExhausted, "longer"));
  ASSERT_OK(writer.Write("hel"));
  EXPECT_THAT(writer.Commit(),
              HasStatus(absl::StatusCode::kDataLoss, "3 of 4"));
  ASSERT_OK(writer.Restart());
  ASSERT_OK(writer.Write("help"));
  EXPECT_OK(writer.Commit());
  EXPECT_THAT(layout_->StartBlob(Digest(), Layout::kMaxBlobBytes + 1),
              HasStatus(absl::StatusCode::kResourceExhausted, "the most"));
}

TEST_F(LayoutTest, AFullDiskIsSaidAndLeavesNothing) {
  // A file that may not grow stands in for a disk that is full.
  struct rlimit old = {};
  ASSERT_EQ(::getrlimit(RLIMIT_FSIZE, &old), 0);
  const auto old_handler = ::signal(SIGXFSZ, SIG_IGN);
  const absl::Cleanup restore = [&] {
    ::setrlimit(RLIMIT_FSIZE, &old);
    ::signal(SIGXFSZ, old_handler);
  };
  const struct rlimit small = {4096, old.rlim_max};
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &small), 0);
  {
    ASSERT_OK_AND_ASSIGN(BlobWriter writer, layout_->StartBlob(Digest(), -1));
    EXPECT_FALSE(writer.Write(std::string(8192, 'x')).ok());
  }
  EXPECT_THAT(BlobFiles(), IsEmpty());
}

TEST_F(LayoutTest, ReadBlobVerifies) {
  ASSERT_OK_AND_ASSIGN(const Descriptor blob,
                       layout_->WriteBlob("text/plain", "hello"));
  EXPECT_THAT(layout_->ReadBlob(blob.digest, 4),
              HasStatus(absl::StatusCode::kResourceExhausted, "longer"));
  ASSERT_OK(WriteFileAtomic(layout_->BlobPath(blob.digest), "HELLO"));
  EXPECT_THAT(layout_->ReadBlob(blob.digest),
              HasStatus(absl::StatusCode::kDataLoss, "does not match"));
  EXPECT_OK(layout_->RemoveBlob(blob.digest));
  EXPECT_OK(layout_->RemoveBlob(blob.digest));
  EXPECT_THAT(layout_->ReadBlob(blob.digest),
              HasStatus(absl::StatusCode::kNotFound, ""));
}

TEST_F(LayoutTest, AddManifestReplacesTheEntryOfThatName) {
  const Descriptor one = *layout_->WriteBlob(kMediaTypeManifest, "1");
  const Descriptor two = *layout_->WriteBlob(kMediaTypeManifest, "2");
  ASSERT_OK(layout_->AddManifest(one, "a"));
  ASSERT_OK(layout_->AddManifest(one, "b"));
  ASSERT_OK(layout_->AddManifest(two, "a"));
  ASSERT_OK(layout_->AddManifest(two, ""));
  ASSERT_OK(layout_->AddManifest(two, ""));
  ASSERT_OK_AND_ASSIGN(const Index index, layout_->ReadIndex());
  ASSERT_EQ(index.manifests.size(), 3u);
  EXPECT_EQ(index.manifests[0].annotations.at(kAnnotationRefName), "b");
  EXPECT_EQ(index.manifests[1].digest, two.digest);
  EXPECT_TRUE(index.manifests[2].annotations.empty());
}

TEST_F(LayoutTest, RemovesLeftoversOfACrash) {
  ASSERT_OK(layout_->WriteBlob("text/plain", "kept"));
  ASSERT_OK(
      WriteFileAtomic(dir_ / "layout/blobs/sha256/.incoming.Ab12Cd", "h"));
  ASSERT_OK(WriteFileAtomic(dir_ / "layout/index.json.tmp.Ab12Cd", "{"));
  ASSERT_OK(layout_->RemoveLeftovers());
  EXPECT_THAT(BlobFiles(), ElementsAre(DigestOf("kept").hex()));
  EXPECT_THAT(*ListDir(dir_ / "layout"),
              ElementsAre("blobs", "index.json", "oci-layout"));
}

}  // namespace
}  // namespace serai::oci
