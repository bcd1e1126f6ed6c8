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

TEST_F(PackTest, BlockDevicesAreFilesOfTheImageOrWantVolumes) {
  UnikernelFile file;
  file.devices = {{"data", solo5::DeviceType::kBlock},
                  {"config", solo5::DeviceType::kBlock},
                  {"service", solo5::DeviceType::kNet}};
  ASSERT_OK(WriteFileAtomic(hvt_, file.Bytes()));
  ASSERT_OK(WriteFileAtomic(dir_ / "disk", std::string(1024, 'x')));
  const Layout layout = NewLayout("layout");
  PackOptions options;
  options.blocks = {{"data", dir_ / "disk"}};
  options.volumes = {{"config", "configMap"}};
  ASSERT_OK_AND_ASSIGN(const Descriptor image, Pack({hvt_}, options, layout));
  ASSERT_OK_AND_ASSIGN(const Manifest manifest,
                       ParseManifest(*layout.ReadBlob(image.digest)));
  EXPECT_EQ(manifest.annotations.at("dev.serai.block.data"), "/data.img");
  EXPECT_EQ(manifest.annotations.at("dev.serai.volume.config"), "configMap");
  ASSERT_OK_AND_ASSIGN(const std::string layer,
                       layout.ReadBlob(manifest.layers[0].digest));
  EXPECT_NE(layer.find("data.img"), std::string::npos);
  EXPECT_NE(layer.find(std::string(1024, 'x')), std::string::npos);

  // A device that is none, or no block device, or not of every file.
  for (const char* device : {"other", "service"}) {
    options.blocks = {{device, dir_ / "disk"}};
    EXPECT_THAT(Pack({hvt_}, options, layout),
                HasStatus(kInvalid,
                          "its manifest lists data (BLOCK_BASIC), config "
                          "(BLOCK_BASIC), service (NET_BASIC)"));
  }
  options.blocks.clear();
  EXPECT_THAT(Pack({hvt_, spt_}, options, layout),
              HasStatus(kInvalid, "server.spt has no block device \"config\""));
  options.volumes.clear();
  options.blocks = {{"data", dir_ / "odd"}};
  ASSERT_OK(WriteFileAtomic(dir_ / "odd", std::string(100, 'x')));
  EXPECT_THAT(Pack({hvt_}, options, layout),
              HasStatus(kInvalid, "100 bytes, which is no multiple"));
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
