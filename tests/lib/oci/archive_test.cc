// SPDX-License-Identifier: Apache-2.0
#include "lib/oci/archive.h"

#include <fcntl.h>
#include <unistd.h>

#include "lib/base/file.h"
#include "lib/oci/pack.h"
#include "tests/support/status_matchers.h"
#include "tests/support/tar_file.h"
#include "tests/support/temp_dir.h"
#include "tests/support/unikernel_file.h"

namespace serai::oci {
namespace {

using testing::Compression;
using ::testing::ElementsAre;
using testing::HasStatus;
using testing::MakeTar;
using ::testing::SizeIs;
using testing::TarItem;

constexpr auto kInvalid = absl::StatusCode::kInvalidArgument;

class ArchiveTest : public ::testing::Test {
 protected:
  Layout NewLayout(const char* name) { return *Layout::Create(dir_ / name); }

  // A layout with one packed image under `name`.
  Layout PackedLayout(const char* directory, const char* name) {
    Layout layout = NewLayout(directory);
    EXPECT_OK(
        WriteFileAtomic(dir_ / "a.hvt", testing::UnikernelFile().Bytes()));
    const absl::StatusOr<Descriptor> image = Pack({dir_ / "a.hvt"}, {}, layout);
    EXPECT_OK(image);
    EXPECT_OK(layout.AddManifest(*image, name));
    return layout;
  }

  std::string Exported(const Layout& layout) {
    const absl::StatusOr<UniqueFd> fd =
        OpenFile(dir_ / "out.tar", O_RDWR | O_CREAT | O_TRUNC);
    EXPECT_OK(WriteArchive(layout, *layout.ReadIndex(), fd->get()));
    return *ReadFile(dir_ / "out.tar", 1 << 24);
  }

  absl::StatusOr<std::vector<ArchiveImage>> Read(
      const std::string& bytes, const Layout& layout,
      const ArchiveLimits& limits = {}) {
    EXPECT_OK(WriteFileAtomic(dir_ / "in.tar", bytes));
    const absl::StatusOr<UniqueFd> fd = OpenFile(dir_ / "in.tar", O_RDONLY);
    return ReadArchive(fd->get(), layout, limits);
  }

  testing::TempDir dir_;
};

TEST_F(ArchiveTest, RoundTrip) {
  const Layout from = PackedLayout("from", "docker.io/library/web:1");
  const Layout to = NewLayout("to");
  ASSERT_OK_AND_ASSIGN(const auto images, Read(Exported(from), to));
  ASSERT_THAT(images, SizeIs(1));
  EXPECT_THAT(images[0].names, ElementsAre("docker.io/library/web:1"));
  EXPECT_EQ(images[0].manifest.digest, from.ReadIndex()->manifests[0].digest);
  EXPECT_EQ(*to.ListBlobs(), *from.ListBlobs());
  // The target's own index is the caller's business.
  EXPECT_THAT(to.ReadIndex()->manifests, SizeIs(0));
}

TEST_F(ArchiveTest, ExportIsReproducible) {
  const std::string one = Exported(PackedLayout("one", "x:1"));
  const std::string two = Exported(PackedLayout("two", "x:1"));
  EXPECT_EQ(one, two);
}

TEST_F(ArchiveTest, ReadsCompressedArchivesFromAPipe) {
  const Layout from = PackedLayout("from", "x:1");
  std::vector<TarItem> items = {{"index.json", ToJson(*from.ReadIndex())}};
  const std::vector<Digest> blobs = *from.ListBlobs();
  for (const Digest& blob : blobs) {
    items.push_back(
        {absl::StrCat("./blobs/sha256/", blob.hex()), *from.ReadBlob(blob)});
  }
  for (const Compression compression :
       {Compression::kGzip, Compression::kZstd}) {
    const std::string bytes = MakeTar(items, compression);
    int pipe_fds[2];
    ASSERT_EQ(::pipe2(pipe_fds, O_CLOEXEC), 0);
    const UniqueFd read_end(pipe_fds[0]);
    UniqueFd write_end(pipe_fds[1]);
    ASSERT_LT(bytes.size(), 65536u);
    ASSERT_OK(WriteAll(write_end.get(), bytes));
    write_end.reset();
    const Layout to =
        NewLayout(compression == Compression::kGzip ? "gzip" : "zstd");
    EXPECT_OK(ReadArchive(read_end.get(), to));
    EXPECT_EQ(*to.ListBlobs(), *from.ListBlobs());
  }
}

TEST_F(ArchiveTest, ReadsWhatDockerSaves) {
  const Layout from = PackedLayout("from", "x:1");
  const Manifest manifest =
      *ParseManifest(*from.ReadBlob(from.ReadIndex()->manifests[0].digest));
  const std::string config =
      absl::StrCat(manifest.config.digest.hex(), ".json");
  const std::string docker = absl::StrCat(
      R"([{"Config":")", config,
      R"(","RepoTags":["web:2"],"Layers":["deadbeef/layer.tar"]}])");
  const std::string bytes =
      MakeTar({{"cafe/layer.tar", *from.ReadBlob(manifest.layers[0].digest)},
               {"deadbeef/layer.tar", "", AE_IFLNK, 0777, "../cafe/layer.tar"},
               {config, *from.ReadBlob(manifest.config.digest)},
               {"manifest.json", docker}});
  const Layout to = NewLayout("to");
  ASSERT_OK_AND_ASSIGN(const auto images, Read(bytes, to));
  ASSERT_THAT(images, SizeIs(1));
  EXPECT_THAT(images[0].names, ElementsAre("web:2"));
  const Manifest made = *ParseManifest(*to.ReadBlob(images[0].manifest.digest));
  EXPECT_EQ(made.config.digest, manifest.config.digest);
  EXPECT_EQ(made.layers[0].digest, manifest.layers[0].digest);
}

TEST_F(ArchiveTest, ABlobThatIsNotWhatItsNameSaysIsRefused) {
  const std::string name =
      absl::StrCat("blobs/sha256/", DigestOf("other").hex());
  EXPECT_THAT(Read(MakeTar({{name, "content"}}), NewLayout("to")),
              HasStatus(absl::StatusCode::kDataLoss, "digest"));
}

TEST_F(ArchiveTest, RefusesWhatIsNoImageArchive) {
  const Layout to = NewLayout("to");
  EXPECT_THAT(Read("", to), HasStatus(kInvalid, ""));
  EXPECT_THAT(Read("no tar at all, only text", to), HasStatus(kInvalid, ""));
  EXPECT_THAT(Read(MakeTar({{"readme", "hello"}}), to),
              HasStatus(kInvalid, "neither index.json nor manifest.json"));
  EXPECT_THAT(Read(MakeTar({{"index.json", ToJson(Index{})}}), to),
              HasStatus(kInvalid, "no image"));
  EXPECT_THAT(Read(MakeTar({{"../index.json", "{}"}}), to),
              HasStatus(kInvalid, "climbs"));
  EXPECT_THAT(Read(MakeTar({{"blobs/sha256/../../x", "x"}}), to),
              HasStatus(kInvalid, "climbs"));
  EXPECT_THAT(Read(MakeTar({{"blobs/sha256/xyz", "x"}}), to),
              HasStatus(kInvalid, "digest"));
}

TEST_F(ArchiveTest, ATruncatedArchiveIsRefused) {
  const std::string whole = Exported(PackedLayout("from", "x:1"));
  const Layout to = NewLayout("to");
  for (const size_t length : {whole.size() / 2, size_t{700}, size_t{512}}) {
    EXPECT_FALSE(Read(whole.substr(0, length), to).ok()) << length;
  }
}

TEST_F(ArchiveTest, BoundsAreKept) {
  const std::string name =
      absl::StrCat("blobs/sha256/", DigestOf(std::string(100000, 'x')).hex());
  const std::string bomb =
      MakeTar({{name, std::string(100000, 'x')}}, Compression::kGzip);
  ArchiveLimits small;
  small.max_bytes = 50000;
  EXPECT_THAT(Read(bomb, NewLayout("to"), small),
              HasStatus(absl::StatusCode::kResourceExhausted, ""));
  ArchiveLimits few;
  few.max_entries = 2;
  EXPECT_THAT(
      Read(MakeTar({{"a", "1"}, {"b", "2"}, {"c", "3"}}), NewLayout("to"), few),
      HasStatus(absl::StatusCode::kResourceExhausted, "entries"));
}

}  // namespace
}  // namespace serai::oci
