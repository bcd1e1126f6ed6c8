// SPDX-License-Identifier: Apache-2.0
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cri/image/unpacker.h"
#include "lib/base/file.h"
#include "tests/cri/image/image_builder.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temp_dir.h"

namespace serai::cri {
namespace {

using testing::Compression;
using ::testing::ElementsAre;
using testing::HasStatus;
using testing::ImageBuilder;
using testing::MakeTar;
using testing::TarItem;

constexpr auto kInvalid = absl::StatusCode::kInvalidArgument;

TarItem Dir(const std::string& path, unsigned mode = 0755) {
  return {path, "", AE_IFDIR, mode};
}
TarItem Link(const std::string& path, const std::string& target) {
  return {path, "", AE_IFLNK, 0777, target};
}
TarItem HardLink(const std::string& path, const std::string& target) {
  return {path, "", AE_IFREG, 0644, "", target};
}

class UnpackTest : public ::testing::Test {
 protected:
  void SetUp() override {
    ASSERT_OK(MakeDirs(root_));
    ASSERT_OK(MakeDirs(dir_ / "outside"));
    ASSERT_OK(WriteFileAtomic(dir_ / "outside/secret", "untouched"));
  }
  void TearDown() override {
    // Whatever was tried, nothing happened beside the root.
    EXPECT_THAT(*ListDir(dir_ / "outside"), ElementsAre("secret"));
    EXPECT_EQ(*ReadFile(dir_ / "outside/secret", 100), "untouched");
    EXPECT_THAT(*ListDir(dir_.path()),
                ElementsAre("layout", "outside", "root"));
  }

  absl::Status Unpack(const ImageBuilder& builder,
                      const UnpackLimits& limits = {}) {
    const absl::StatusOr<oci::Layout> layout =
        oci::Layout::Create(dir_ / "layout");
    const testing::BuiltImage image = builder.Build(*layout);
    UnpackerOptions options = testing::Unpacking();
    options.image = limits;
    return Unpacker(options).UnpackLayers(*layout, image.manifest, image.config,
                                          root_, nullptr);
  }
  absl::Status UnpackOne(const std::vector<TarItem>& items) {
    return Unpack(ImageBuilder().AddLayer(items));
  }
  std::string Content(const std::string& path) {
    return ReadFile(JoinPath(root_, path), 1 << 20).value_or("(none)");
  }
  struct stat Stat(const std::string& path) {
    struct stat st = {};
    EXPECT_EQ(::lstat(JoinPath(root_, path).c_str(), &st), 0) << path;
    return st;
  }
  std::vector<std::string> Names(const std::string& path = "") {
    return *ListDir(JoinPath(root_, path));
  }

  testing::TempDir dir_;
  const std::string root_ = dir_ / "root";
};

TEST_F(UnpackTest, LayersOfEveryCompressionStack) {
  ASSERT_OK(
      Unpack(ImageBuilder()
                 .AddLayer({Dir("etc"), {"etc/a", "1"}, {"etc/b", "1"}})
                 .AddLayer({{"etc/b", "2"}, {"etc/c", "2"}}, Compression::kGzip)
                 .AddLayer({{"./etc/c", "3"}}, Compression::kZstd)));
  EXPECT_EQ(Content("etc/a"), "1");
  EXPECT_EQ(Content("etc/b"), "2");
  EXPECT_EQ(Content("etc/c"), "3");
}

TEST_F(UnpackTest, ModesLoseSetIdBitsAndStayOurs) {
  ASSERT_OK(UnpackOne({Dir("d", 01000),
                       {"d/suid", "x", AE_IFREG, 06755},
                       {"none", "x", AE_IFREG, 0}}));
  EXPECT_EQ(Stat("d/suid").st_mode & 07777, 0755u);
  EXPECT_EQ(Stat("none").st_mode & 07777, 0600u);
  EXPECT_EQ(Stat("d").st_mode & 07777, 0700u);
  EXPECT_EQ(Stat("d/suid").st_uid, ::geteuid());
}

TEST_F(UnpackTest, ParentsThatNoLayerNamesAreMade) {
  ASSERT_OK(UnpackOne({{"a/b/c", "x"}}));
  EXPECT_EQ(Content("a/b/c"), "x");
}

TEST_F(UnpackTest, WhiteoutsHideEarlierLayersOnly) {
  ASSERT_OK(Unpack(ImageBuilder()
                       .AddLayer({{"gone", "1"},
                                  {"dir/gone", "1"},
                                  {"kept", "1"},
                                  {"opaque/old", "1"},
                                  {"opaque/sub/old", "1"}})
                       .AddLayer({{".wh.gone", ""},
                                  {".wh.dir", ""},
                                  {".wh.never", ""},
                                  {"no/such/.wh.dir", ""},
                                  {".wh..wh.plnk", ""},
                                  {"opaque/sub/new", "2"},
                                  {"opaque/new", "2"},
                                  {"opaque/.wh..wh..opq", ""}})));
  EXPECT_THAT(Names(), ElementsAre("kept", "opaque"));
  EXPECT_THAT(Names("opaque"), ElementsAre("new", "sub"));
  EXPECT_THAT(Names("opaque/sub"), ElementsAre("new"));
}

TEST_F(UnpackTest, KindsReplaceEachOther) {
  ASSERT_OK(
      Unpack(ImageBuilder()
                 .AddLayer({{"a", "file"}, {"b/inner", "x"}, Link("c", "a")})
                 .AddLayer({Dir("a"), {"b", "file"}, {"c", "file"}})));
  EXPECT_TRUE(S_ISDIR(Stat("a").st_mode));
  EXPECT_EQ(Content("b"), "file");
  EXPECT_TRUE(S_ISREG(Stat("c").st_mode));
}

TEST_F(UnpackTest, WritingThroughALinkStaysInside) {
  // In the tree, "/outside" is the tree's own.
  const std::string outside = dir_ / "outside";
  ASSERT_OK(UnpackOne({Dir(outside.substr(1)),
                       Link("absolute", outside),
                       Link("climbing", "../../../../.." + outside),
                       {"absolute/secret", "1"},
                       {"climbing/other", "2"}}));
  EXPECT_EQ(Content(outside + "/secret"), "1");
  EXPECT_EQ(Content(outside + "/other"), "2");
}

TEST_F(UnpackTest, ALinkToNowhereIsNoDirectory) {
  EXPECT_THAT(UnpackOne({Link("out", dir_ / "outside"), {"out/secret", "x"}}),
              HasStatus(kInvalid, "out"));
}

TEST_F(UnpackTest, AFileReplacesALinkAndDoesNotFollowIt) {
  ASSERT_OK(UnpackOne({{"victim", "kept"},
                       Link("name", "victim"),
                       Link("far", dir_ / "outside/secret"),
                       {"name", "new"},
                       {"far", "new"}}));
  EXPECT_EQ(Content("victim"), "kept");
  EXPECT_EQ(Content("name"), "new");
}

TEST_F(UnpackTest, ClimbingNamesAreRefused) {
  for (const char* path :
       {"../x", "a/../../x", "a/..", "..", "/../outside/secret"}) {
    EXPECT_THAT(UnpackOne({{path, "x"}}), HasStatus(kInvalid, "climbs"))
        << path;
  }
}

TEST_F(UnpackTest, AnAbsoluteNameIsMeantFromTheRoot) {
  ASSERT_OK(UnpackOne({{"/outside/secret", "inside"}}));
  EXPECT_EQ(Content("outside/secret"), "inside");
}

TEST_F(UnpackTest, HardLinksStayInside) {
  ASSERT_OK(UnpackOne({{"a", "x"},
                       HardLink("b", "a"),
                       HardLink("b", "a"),
                       HardLink("a", "a")}));
  EXPECT_EQ(Content("b"), "x");
  EXPECT_EQ(Stat("a").st_ino, Stat("b").st_ino);
  const std::string secret = dir_ / "outside/secret";
  for (const std::string& target :
       {secret, std::string("../outside/secret"), std::string("none"),
        std::string("."), std::string("dir"), std::string("link")}) {
    EXPECT_THAT(
        UnpackOne({Dir("dir"), Link("link", secret), HardLink("bad", target)}),
        HasStatus(kInvalid, "bad"))
        << target;
  }
}

TEST_F(UnpackTest, DevicesAndPipesAreLeftOut) {
  ASSERT_OK(UnpackOne({{"fifo", "", AE_IFIFO},
                       {"char", "", AE_IFCHR},
                       {"block", "", AE_IFBLK},
                       {"file", "x"}}));
  EXPECT_THAT(Names(), ElementsAre("file"));
}

TEST_F(UnpackTest, StrangeWhiteoutsAreRefused) {
  for (const char* path : {".wh.", "a/.wh..", ".wh..."}) {
    EXPECT_THAT(UnpackOne({{path, ""}}), HasStatus(kInvalid, "whiteout"))
        << path;
  }
}

TEST_F(UnpackTest, OddNamesAreTakenAsTheyAre) {
  const std::string odd = "\xff\xfe \n*";
  const std::string utf8 = "s\xc3\xa9rai";
  ASSERT_OK(UnpackOne({{odd, "1"}, {utf8, "2"}}));
  EXPECT_EQ(Content(odd), "1");
  EXPECT_EQ(Content(utf8), "2");
}

TEST_F(UnpackTest, TooLongOrTooDeepIsRefused) {
  EXPECT_THAT(UnpackOne({{std::string(300, 'n'), "x"}}),
              HasStatus(kInvalid, "too long"));
  std::string deep;
  for (int i = 0; i < 200; ++i) deep += "d/";
  EXPECT_THAT(UnpackOne({{deep + "x", "x"}}), HasStatus(kInvalid, "deep"));
  // By links it can be reached bit by bit.
  std::string half;
  for (int i = 0; i < 100; ++i) half += "d/";
  EXPECT_THAT(UnpackOne({Dir(half),
                         Link("s", half),
                         Dir("s/" + half),
                         {"s/" + half + "x", "x"}}),
              HasStatus(kInvalid, "deep"));
  EXPECT_THAT(UnpackOne({Link("loop", "loop"), {"loop/x", "x"}}),
              HasStatus(kInvalid, "loop"));
}

TEST_F(UnpackTest, ALyingDiffIdIsRefused) {
  EXPECT_THAT(Unpack(ImageBuilder().AddRawLayer(MakeTar({{"a", "x"}}),
                                                oci::DigestOf("other"))),
              HasStatus(absl::StatusCode::kDataLoss, "unpacks to"));
  ImageBuilder missing;
  missing.AddLayer({{"a", "x"}});
  missing.config().diff_ids.clear();
  EXPECT_THAT(Unpack(missing), HasStatus(kInvalid, "diff ids"));
}

TEST_F(UnpackTest, WhatFollowsTheEndMarkCountsInTheDiffId) {
  const std::string tar = MakeTar({{"a", "x"}});
  const std::string padded = tar + std::string(20000, 'p');
  EXPECT_OK(Unpack(ImageBuilder().AddRawLayer(padded, oci::DigestOf(padded))));
  EXPECT_THAT(Unpack(ImageBuilder().AddRawLayer(padded, oci::DigestOf(tar))),
              HasStatus(absl::StatusCode::kDataLoss, ""));
}

TEST_F(UnpackTest, DamagedLayersAreRefused) {
  const std::vector<TarItem> items = {{"a", std::string(100000, 'x')}};
  const std::string tar = MakeTar(items);
  for (const Compression compression :
       {Compression::kNone, Compression::kGzip, Compression::kZstd}) {
    const std::string whole = MakeTar(items, compression);
    EXPECT_THAT(Unpack(ImageBuilder().AddRawLayer(
                    whole.substr(0, whole.size() / 2), oci::DigestOf(tar))),
                HasStatus(kInvalid, "damaged"));
  }
  EXPECT_THAT(Unpack(ImageBuilder().AddRawLayer(std::string(5000, 'z'),
                                                oci::DigestOf("z"))),
              HasStatus(kInvalid, "damaged"));
  EXPECT_THAT(
      Unpack(ImageBuilder().AddRawLayer(tar, oci::DigestOf(tar), "text/html")),
      HasStatus(kInvalid, "no layer"));
}

TEST_F(UnpackTest, BombsAreDefused) {
  UnpackLimits limits;
  limits.max_bytes = 100000;
  limits.max_entries = 10;
  EXPECT_THAT(Unpack(ImageBuilder().AddLayer({{"a", std::string(60000, '0')},
                                              {"b", std::string(60000, '0')}},
                                             Compression::kGzip),
                     limits),
              HasStatus(absl::StatusCode::kResourceExhausted, "\"b\""));
  EXPECT_THAT(Unpack(ImageBuilder().AddLayer(
                         std::vector<TarItem>(11, TarItem{"a", "x"})),
                     limits),
              HasStatus(absl::StatusCode::kResourceExhausted, "too many"));
  // Zeros behind the end mark, compressed to nothing.
  const std::string tail = MakeTar({{"a", "x"}}) + std::string(1 << 20, '\0');
  EXPECT_THAT(
      Unpack(ImageBuilder().AddRawLayer(tail, oci::DigestOf(tail)), limits),
      HasStatus(absl::StatusCode::kResourceExhausted, "more than is allowed"));
}

}  // namespace
}  // namespace serai::cri
