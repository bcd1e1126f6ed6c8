// SPDX-License-Identifier: Apache-2.0
#include "lib/guest/tar_image.h"

#include <archive.h>
#include <archive_entry.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <map>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "lib/base/file.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temp_dir.h"

namespace serai::guest {
namespace {

using ::serai::testing::HasStatus;
using ::serai::testing::TempDir;
using ::testing::ElementsAre;

constexpr auto kInvalid = absl::StatusCode::kInvalidArgument;
constexpr auto kExhausted = absl::StatusCode::kResourceExhausted;

// "path mode content" of each entry, as libarchive reads them.
std::vector<std::string> Listed(const std::string& tar) {
  std::vector<std::string> entries;
  archive* const reader = archive_read_new();
  archive_read_support_format_tar(reader);
  EXPECT_EQ(archive_read_open_memory(reader, tar.data(), tar.size()),
            ARCHIVE_OK);
  archive_entry* entry = nullptr;
  while (archive_read_next_header(reader, &entry) == ARCHIVE_OK) {
    EXPECT_EQ(archive_format(reader), ARCHIVE_FORMAT_TAR_USTAR);
    EXPECT_EQ(archive_entry_mtime(entry), 0);
    EXPECT_EQ(archive_entry_uid(entry), 0);
    std::string content(static_cast<size_t>(archive_entry_size(entry)), '\0');
    archive_read_data(reader, content.data(), content.size());
    entries.push_back(absl::StrCat(archive_entry_pathname(entry), " ",
                                   absl::Hex(archive_entry_perm(entry)), " ",
                                   content));
  }
  archive_read_free(reader);
  return entries;
}

class TarImageTest : public ::testing::Test {
 protected:
  // A volume as kubelet's atomic writer makes it.
  void SetUp() override {
    Put("..2026_a/b", "second");
    Put("..2026_a/a", "first");
    ASSERT_EQ(::symlink("..2026_a", (dir_ / "v/..data").c_str()), 0);
    ASSERT_EQ(::symlink("..data/a", (dir_ / "v/a").c_str()), 0);
    ASSERT_EQ(::symlink("..data/b", (dir_ / "v/b").c_str()), 0);
  }
  void Put(const std::string& name, const std::string& content,
           mode_t mode = 0644) {
    const std::string path = JoinPath(dir_ / "v", name);
    ASSERT_OK(MakeDirs(path.substr(0, path.rfind('/')), 0755));
    ASSERT_OK(WriteFileAtomic(path, content, mode));
  }
  void Link(const std::string& to, const std::string& name) {
    ASSERT_EQ(::symlink(to.c_str(), JoinPath(dir_ / "v", name).c_str()), 0);
  }
  absl::StatusOr<std::string> Tar(
      const TarLimits& limits = kProjectedLimits,
      absl::Status (*write)(int, const TarLimits&, int) = WriteProjectedTar) {
    ASSIGN_OR_RETURN(const UniqueFd volume,
                     OpenFile(dir_ / "v", O_PATH | O_DIRECTORY));
    ASSIGN_OR_RETURN(const UniqueFd out,
                     OpenFile(dir_ / "tar", O_RDWR | O_CREAT | O_TRUNC));
    RETURN_IF_ERROR(write(volume.get(), limits, out.get()));
    return ReadFile(dir_ / "tar", 1 << 20);
  }

  TempDir dir_;
};

TEST_F(TarImageTest, HasTheFilesAsAContainerSeesThem) {
  ASSERT_OK_AND_ASSIGN(const std::string tar, Tar());
  EXPECT_THAT(Listed(tar), ElementsAre("a 1a4 first", "b 1a4 second"));
  EXPECT_EQ(tar.size(), 6 * 512u);
  EXPECT_EQ(tar.substr(4 * 512), std::string(1024, '\0'));
}

TEST_F(TarImageTest, IsTheSameForTheSameFiles) {
  ASSERT_OK_AND_ASSIGN(const std::string before, Tar());
  // Made in another order, at another time, by another owner.
  ASSERT_OK(RemoveTree(dir_ / "v"));
  Put("..2027_b/a", "first");
  Put("..2027_b/b", "second");
  Link("..2027_b", "..data");
  ASSERT_OK_AND_ASSIGN(const std::string after, Tar());
  EXPECT_EQ(before, after);
}

TEST_F(TarImageTest, ModesAndNestedDirectoriesAreKept) {
  Put("..2026_a/d/e/f", "deep", 0400);
  ASSERT_OK_AND_ASSIGN(const std::string tar, Tar());
  EXPECT_THAT(Listed(tar), ElementsAre("a 1a4 first", "b 1a4 second", "d/ 1ed ",
                                       "d/e/ 1ed ", "d/e/f 100 deep"));
}

TEST_F(TarImageTest, AVolumeWithoutFilesIsAnEmptyTar) {
  ASSERT_OK(RemoveTree(dir_ / "v"));
  ASSERT_OK(MakeDirs(dir_ / "v/..2026_c"));
  Link("..2026_c", "..data");
  EXPECT_THAT(Tar(), ::serai::testing::IsOkAndHolds(std::string(1024, '\0')));
}

TEST_F(TarImageTest, ALinkInsideIsItsFileAndOneThatLeadsOutIsNamed) {
  Link("a", "..2026_a/c");
  ASSERT_OK_AND_ASSIGN(const std::string tar, Tar());
  EXPECT_THAT(Listed(tar),
              ElementsAre("a 1a4 first", "b 1a4 second", "c 1a4 first"));
  for (const char* to : {"/etc/passwd", "../../../outside", "..", "none"}) {
    Link(to, "..2026_a/x");
    const auto refused = Tar();
    EXPECT_FALSE(refused.ok()) << to;
    EXPECT_THAT(std::string(refused.status().message()),
                ::testing::ContainsRegex("x is a symbolic link|2026_a/x"))
        << to;
    ASSERT_OK(RemovePath(dir_ / "v/..2026_a/x"));
  }
  ASSERT_OK(RemovePath(dir_ / "v/..data"));
  Link("/etc", "..data");
  EXPECT_THAT(Tar(), HasStatus(kInvalid, "/etc leads out"));
}

TEST_F(TarImageTest, NamesUpToWhatUstarHoldsAreTaken) {
  const std::string part(99, 'n');
  const std::string directory(99, 'd');
  Put(absl::StrCat("..2026_a/", directory, "/", part, "x"), "long");
  ASSERT_OK_AND_ASSIGN(const std::string tar, Tar());
  EXPECT_THAT(Listed(tar),
              ElementsAre("a 1a4 first", "b 1a4 second", directory + "/ 1ed ",
                          absl::StrCat(directory, "/", part, "x 1a4 long")));
}

TEST_F(TarImageTest, ANameThatNoTarCanHaveIsRefused) {
  Put(absl::StrCat("..2026_a/", std::string(101, 'n')), "x");
  EXPECT_THAT(Tar(), HasStatus(kInvalid,
                               "is no name for a tar entry: it has "
                               "101 bytes"));
}

TEST_F(TarImageTest, ASecretOfFiveGigabytesIsRefusedUnread) {
  Put("..2026_a/huge", "");
  ASSERT_EQ(::truncate((dir_ / "v/..2026_a/huge").c_str(), 5'000'000'000), 0);
  EXPECT_THAT(Tar(), HasStatus(kExhausted,
                               "huge: of 5000000000 bytes is too much: all "
                               "files together have at most 64 MiB"));
}

TEST_F(TarImageTest, EachLimitHolds) {
  EXPECT_OK(Tar({6 * 512, 2, 0}));
  EXPECT_THAT(Tar({6 * 512 - 1, 2, 0}), HasStatus(kExhausted, "too much"));
  EXPECT_THAT(Tar({6 * 512, 1, 0}), HasStatus(kExhausted, "more than 1 files"));
  Put("..2026_a/c/d/e", "x");
  EXPECT_OK(Tar({1 << 20, 100, 2}));
  EXPECT_THAT(Tar({1 << 20, 100, 1}), HasStatus(kExhausted, "deep"));
}

TEST_F(TarImageTest, WhatIsNoFileIsRefused) {
  ASSERT_EQ(::mkfifo((dir_ / "v/..2026_a/fifo").c_str(), 0600), 0);
  EXPECT_THAT(Tar(), HasStatus(kInvalid, "fifo is neither a file nor a"));
}

TEST_F(TarImageTest, OfAnImageLinksAreResolvedInIt) {
  ASSERT_OK(RemoveTree(dir_ / "v"));
  Put("usr/share/data", "shared");
  Put("..hidden", "too");
  Link("/usr/share/data", "data");
  Link("../../../../usr/share/data", "up");
  Link("/usr", "directory");
  Link("/none", "dangling");
  ASSERT_EQ(::mkfifo((dir_ / "v/fifo").c_str(), 0600), 0);
  ASSERT_OK_AND_ASSIGN(const std::string tar, Tar(kImageLimits, WriteImageTar));
  EXPECT_THAT(
      Listed(tar),
      ElementsAre("..hidden 1a4 too", "data 1a4 shared", "up 1a4 shared",
                  "usr/ 1ed ", "usr/share/ 1ed ", "usr/share/data 1a4 shared"));
}

}  // namespace
}  // namespace serai::guest
