// SPDX-License-Identifier: Apache-2.0
#include "lib/oci/pack.h"

#include <cstdlib>

#include "absl/cleanup/cleanup.h"
#include "lib/base/file.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temp_dir.h"
#include "tests/support/unikernel_file.h"

namespace serai::oci {
namespace {

using ::testing::ElementsAre;
using testing::HasStatus;
using ::testing::Pair;
using testing::UnikernelFile;

constexpr auto kInvalid = absl::StatusCode::kInvalidArgument;

class PackTest : public ::testing::Test {
 protected:
  void SetUp() override {
    UnikernelFile hvt;
    UnikernelFile spt;
    spt.target = solo5::Target::kSpt;
    ASSERT_OK(WriteFileAtomic(hvt_, hvt.Bytes()));
    ASSERT_OK(WriteFileAtomic(spt_, spt.Bytes()));
  }

  Layout NewLayout(const char* name) { return *Layout::Create(dir_ / name); }

  testing::TempDir dir_;
  const std::string hvt_ = dir_ / "server.hvt";
  const std::string spt_ = dir_ / "server.spt";
};

TEST_F(PackTest, MakesAnImageOfBothTargets) {
  const Layout layout = NewLayout("layout");
  ASSERT_OK_AND_ASSIGN(const Descriptor image,
                       Pack({hvt_, spt_}, {{"--a", "b c"}, 0}, layout));
  ASSERT_OK_AND_ASSIGN(const Manifest manifest,
                       ParseManifest(*layout.ReadBlob(image.digest)));
  ASSERT_OK_AND_ASSIGN(
      const ImageConfig config,
      ParseImageConfig(*layout.ReadBlob(manifest.config.digest)));
  EXPECT_THAT(config.entrypoint, ElementsAre("/app.hvt"));
  EXPECT_THAT(config.cmd, ElementsAre("--a", "b c"));
  EXPECT_EQ(config.os, "linux");
  EXPECT_EQ(config.created, "1970-01-01T00:00:00Z");
  EXPECT_THAT(config.labels,
              ElementsAre(Pair("dev.serai.unikernel", "/app.hvt"),
                          Pair("dev.serai.unikernel.hvt", "/app.hvt"),
                          Pair("dev.serai.unikernel.spt", "/app.spt")));
  EXPECT_EQ(manifest.annotations.at("dev.serai.unikernel.spt"), "/app.spt");
  ASSERT_EQ(manifest.layers.size(), 1u);
  EXPECT_THAT(config.diff_ids, ElementsAre(manifest.layers[0].digest));
}

TEST_F(PackTest, TheSameInputGivesTheSameDigest) {
  const Descriptor one = *Pack({hvt_, spt_}, {}, NewLayout("one"));
  // Neither names nor times of the files count.
  ASSERT_OK(WriteFileAtomic(dir_ / "copy", *ReadFile(hvt_, 1 << 20), 0400));
  const Descriptor two = *Pack({dir_ / "copy", spt_}, {}, NewLayout("two"));
  EXPECT_EQ(one.digest, two.digest);
  PackOptions later;
  later.created = 1;
  const Descriptor three = *Pack({hvt_, spt_}, later, NewLayout("two"));
  EXPECT_FALSE(three.digest == one.digest);
}

TEST_F(PackTest, RefusesTwoFilesOfOneTargetNamingBoth) {
  const Layout layout = NewLayout("layout");
  const auto packed = Pack({hvt_, spt_, hvt_}, {}, layout);
  EXPECT_THAT(packed, HasStatus(kInvalid, "server.hvt and "));
  EXPECT_THAT(packed, HasStatus(kInvalid, "both for hvt"));
  EXPECT_TRUE(layout.ListBlobs()->empty());
}

TEST_F(PackTest, RefusesWhatIsNoUnikernel) {
  const Layout layout = NewLayout("layout");
  ASSERT_OK(WriteFileAtomic(dir_ / "text", "#!/bin/sh\n"));
  EXPECT_THAT(Pack({dir_ / "text"}, {}, layout),
              HasStatus(kInvalid, "/text: not an ELF file"));
  EXPECT_THAT(Pack({}, {}, layout), HasStatus(kInvalid, "no file"));
  EXPECT_THAT(Pack({dir_ / "none"}, {}, layout),
              HasStatus(absl::StatusCode::kNotFound, "/none"));
  UnikernelFile xen;
  xen.target = solo5::Target::kXen;
  ASSERT_OK(WriteFileAtomic(dir_ / "xen", xen.Bytes()));
  EXPECT_THAT(Pack({dir_ / "xen"}, {}, layout), HasStatus(kInvalid, "xen"));
}

TEST_F(PackTest, TakesTheCreationTimeFromTheEnvironment) {
  const absl::Cleanup unset = [] { ::unsetenv("SOURCE_DATE_EPOCH"); };
  EXPECT_EQ(*CreationTime(), 0);
  ::setenv("SOURCE_DATE_EPOCH", "1700000000", 1);
  EXPECT_EQ(*CreationTime(), 1700000000);
  ::setenv("SOURCE_DATE_EPOCH", "yesterday", 1);
  EXPECT_THAT(CreationTime(), HasStatus(kInvalid, "yesterday"));
}

}  // namespace
}  // namespace serai::oci
