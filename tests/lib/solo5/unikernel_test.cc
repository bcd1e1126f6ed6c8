// SPDX-License-Identifier: Apache-2.0
#include "lib/solo5/unikernel.h"

#include <unistd.h>

#include <cstring>
#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "lib/base/unique_fd.h"
#include "tests/lib/solo5/elf_image.h"

namespace serai::solo5 {
namespace {

using serai::testing::ElfImage;
using serai::testing::FileWith;
using ::testing::HasSubstr;

struct Outcome {
  bool ok = false;
  Unikernel unikernel;
  Error error;
};

Outcome Read(const std::string& file) {
  Outcome outcome;
  const UniqueFd fd = FileWith(file);
  outcome.ok = ReadUnikernel(fd.get(), &outcome.unikernel, &outcome.error);
  return outcome;
}

Outcome Read(const ElfImage& image) { return Read(image.Build()); }

// What the header promises of a unikernel that was read.
void ExpectSound(const Unikernel& unikernel) {
  uint64_t end = kMinLoadAddress;
  ASSERT_LE(unikernel.segment_count, kMaxSegments);
  for (const Segment& segment : unikernel.LoadedSegments()) {
    EXPECT_GE(segment.PageStart(), end);
    EXPECT_GT(segment.file_size, 0u);
    EXPECT_GE(segment.memory_size, segment.file_size);
    EXPECT_FALSE(segment.writable && segment.executable);
    end = segment.PageEnd();
    EXPECT_GT(end, segment.PageStart());
  }
  EXPECT_EQ(unikernel.kernel_end, end);
  EXPECT_LE(end, unikernel.lowest_memory);
  ASSERT_GE(unikernel.manifest.entry_count, 1u);
  ASSERT_LE(unikernel.manifest.entry_count, kMaxManifestEntries);
  for (const ManifestEntry& device : unikernel.Devices()) {
    const size_t length = ::strnlen(device.name, sizeof(device.name));
    EXPECT_GE(length, 1u);
    EXPECT_LE(length, kMaxDeviceName);
    EXPECT_EQ(device.attached, 0);
  }
}

void ExpectDamaged(const ElfImage& image, const std::string& message) {
  const Outcome outcome = Read(image);
  EXPECT_FALSE(outcome.ok);
  EXPECT_EQ(outcome.error.problem, Problem::kDamaged);
  EXPECT_THAT(outcome.error.message, HasSubstr(message));
}

TEST(UnikernelTest, ReadsAWellFormedFile) {
  const Outcome outcome = Read(ElfImage());
  ASSERT_TRUE(outcome.ok) << outcome.error.message;
  const Unikernel& unikernel = outcome.unikernel;
  ExpectSound(unikernel);
  EXPECT_EQ(unikernel.target, Target::kHvt);
  EXPECT_EQ(unikernel.abi_version, 2u);
  EXPECT_EQ(unikernel.entry, 0x100020u);
  ASSERT_EQ(unikernel.segment_count, 3u);
  EXPECT_TRUE(unikernel.segments[0].executable);
  EXPECT_FALSE(unikernel.segments[0].readable);
  EXPECT_TRUE(unikernel.segments[2].writable);
  EXPECT_EQ(unikernel.segments[2].file_size, 700u);
  EXPECT_EQ(unikernel.segments[2].memory_size, 900u);
  EXPECT_EQ(unikernel.kernel_end, 0x104000u);
  // The zeroed data reaches beyond 3 MiB.
  EXPECT_EQ(unikernel.lowest_memory, uint64_t{4} << 20);
  ASSERT_EQ(unikernel.Devices().size(), 2u);
  EXPECT_STREQ(unikernel.Devices()[0].name, "service");
  EXPECT_EQ(unikernel.Devices()[0].type, DeviceType::kNet);
  EXPECT_STREQ(unikernel.Devices()[1].name, "storage");
  EXPECT_EQ(unikernel.Devices()[1].type, DeviceType::kBlock);
}

TEST(UnikernelTest, AcceptsBothAbiVersionsOfBothTargets) {
  for (const Target target : {Target::kHvt, Target::kSpt}) {
    for (uint32_t version = kOldestAbi; version <= kNewestAbi; ++version) {
      ElfImage image;
      image.target = static_cast<uint32_t>(target);
      image.abi_version = version;
      const Outcome outcome = Read(image);
      EXPECT_TRUE(outcome.ok) << outcome.error.message;
      EXPECT_EQ(outcome.unikernel.target, target);
      EXPECT_EQ(outcome.unikernel.abi_version, version);
    }
  }
}

TEST(UnikernelTest, RoundsMemoryOfAnSptGuestToMebibytes) {
  ElfImage image;
  image.target = static_cast<uint32_t>(Target::kSpt);
  image.loads.back().memory_size = 0x250000 - 0x60000;
  const Outcome outcome = Read(image);
  ASSERT_TRUE(outcome.ok) << outcome.error.message;
  EXPECT_EQ(outcome.unikernel.lowest_memory, uint64_t{3} << 20);
}

TEST(UnikernelTest, RefusesOtherTargetsMachinesAndVersions) {
  ElfImage virtio;
  virtio.target = static_cast<uint32_t>(Target::kVirtio);
  ElfImage arm;
  arm.machine = EM_AARCH64;
  ElfImage future;
  future.abi_version = 3;
  ElfImage manifest;
  manifest.manifest_version = 2;
  const std::pair<ElfImage, const char*> cases[] = {
      {virtio, "target is virtio (3); hvt or spt is needed"},
      {arm, "built for aarch64, this node is x86_64"},
      {future, "unsupported ABI version 3"},
      {manifest, "manifest version 2 is unknown"},
  };
  for (const auto& [image, message] : cases) {
    const Outcome outcome = Read(image);
    EXPECT_FALSE(outcome.ok);
    EXPECT_EQ(outcome.error.problem, Problem::kUnsupported);
    EXPECT_THAT(outcome.error.message, HasSubstr(message));
  }
}

TEST(UnikernelTest, TellsOtherFilesFromDamagedOnes) {
  ElfImage plain;
  plain.has_abi_note = false;
  const std::pair<std::string, const char*> cases[] = {
      {"", "not an ELF file"},
      {"#!/bin/sh\n", "not an ELF file"},
      {std::string(4096, '\0'), "not an ELF file"},
      {plain.Build(), "no Solo5 ABI note"},
  };
  for (const auto& [file, message] : cases) {
    const Outcome outcome = Read(file);
    EXPECT_FALSE(outcome.ok);
    EXPECT_EQ(outcome.error.problem, Problem::kNotSolo5);
    EXPECT_THAT(outcome.error.message, HasSubstr(message));
  }
}

TEST(UnikernelTest, RefusesWhatIsNoRegularFile) {
  int pipe[2];
  ASSERT_EQ(::pipe(pipe), 0);
  const UniqueFd reader(pipe[0]);
  const UniqueFd writer(pipe[1]);
  Unikernel unikernel;
  Error error;
  EXPECT_FALSE(ReadUnikernel(reader.get(), &unikernel, &error));
  EXPECT_EQ(error.problem, Problem::kIo);
  EXPECT_FALSE(ReadUnikernel(-1, &unikernel, &error));
  EXPECT_EQ(error.problem, Problem::kIo);
}

TEST(UnikernelTest, RefusesEveryTruncation) {
  ElfImage image;
  image.loads.back().memory_size = 4096;
  const std::string file = image.Build();
  for (size_t size = 0; size < file.size(); ++size) {
    const Outcome outcome = Read(file.substr(0, size));
    ASSERT_FALSE(outcome.ok) << "cut to " << size << " bytes";
    ASSERT_TRUE(outcome.error.problem == Problem::kNotSolo5 ||
                outcome.error.problem == Problem::kDamaged)
        << size;
    ASSERT_STRNE(outcome.error.message, "");
  }
}

// Whatever is changed, the file is refused or what was read is sound.
TEST(UnikernelTest, SurvivesEveryChangedByteOfItsHeadersAndNotes) {
  const std::string file = ElfImage().Build();
  for (size_t at = 0; at < 1024; ++at) {
    for (const int change : {0x01, 0x80, 0xff}) {
      std::string changed = file;
      changed[at] = static_cast<char>(changed[at] ^ change);
      const Outcome outcome = Read(changed);
      if (outcome.ok) {
        ExpectSound(outcome.unikernel);
      } else {
        ASSERT_NE(outcome.error.problem, Problem::kNone);
        ASSERT_STRNE(outcome.error.message, "");
      }
    }
  }
}

TEST(UnikernelTest, RefusesNotesThatLieAboutTheirSize) {
  ElfImage longer;
  longer.manifest_lie.descriptor = 1;
  ExpectDamaged(longer,
                "manifest note does not fall within valid size: says 325 "
                "bytes, segment has 324");
  ElfImage huge;
  huge.manifest_lie.descriptor = 1 << 30;
  ExpectDamaged(huge, "manifest note does not fall within valid size");
  ElfImage shorter;
  shorter.manifest_lie.descriptor = -104;
  ExpectDamaged(shorter, "3 entries need 320 bytes, the note has 216");
  ElfImage tiny;
  tiny.manifest_lie.descriptor = -323;
  ExpectDamaged(tiny, "manifest note does not fall within valid size");
  ElfImage abi;
  abi.abi_lie.descriptor = 4;
  ExpectDamaged(abi, "ABI note does not fall within valid size: says 20");
  ElfImage small_abi;
  small_abi.abi_lie.descriptor = -8;
  ExpectDamaged(small_abi, "at least 16 are needed");
}

TEST(UnikernelTest, RefusesManifestsThatBreakTheRules) {
  ElfImage missing;
  missing.has_manifest_note = false;
  ExpectDamaged(missing, "no Solo5 manifest note");
  ElfImage fewer;
  fewer.entry_count_lie = -1;
  ExpectDamaged(fewer, "manifest: 2 entries need");
  ElfImage none;
  none.entry_count_lie = -3;
  ExpectDamaged(none, "says 0 entries");
  ElfImage bad_name;
  bad_name.devices[0].name = "eth/0";
  ExpectDamaged(bad_name, "letters and digits");
  ElfImage no_name;
  no_name.devices[0].name = "";
  ExpectDamaged(no_name, "must have 1 to 67");
  ElfImage long_name;
  long_name.devices[0].name = std::string(68, 'a');
  ExpectDamaged(long_name, "must have 1 to 67");
  ElfImage twice;
  twice.devices[1].name = twice.devices[0].name;
  ExpectDamaged(twice, "two devices have the name 'service'");
}

TEST(UnikernelTest, TakesAsManyDevicesAsThereAreHandles) {
  ElfImage image;
  image.devices.clear();
  for (size_t i = 0; i < kMaxDevices; ++i) {
    image.devices.push_back({"d" + std::to_string(i), DeviceType::kBlock});
  }
  const Outcome outcome = Read(image);
  ASSERT_TRUE(outcome.ok) << outcome.error.message;
  EXPECT_EQ(outcome.unikernel.Devices().size(), kMaxDevices);
  image.devices.push_back({"more", DeviceType::kBlock});
  ExpectDamaged(image, "manifest note does not fall within valid size");
}

TEST(UnikernelTest, RefusesSegmentsThatBreakTheRules) {
  const std::string page(4096, 'x');
  ElfImage writable_text;
  writable_text.loads[0].flags = PF_W | PF_X;
  ExpectDamaged(writable_text, "both writable and executable");
  ElfImage overlap;
  overlap.loads[1].address = 0x101000;
  ExpectDamaged(overlap, "overlaps the one before it");
  ElfImage descending;
  descending.loads[1].address = 0x108000;
  ExpectDamaged(descending, "overlaps the one before it, or is out of order");
  ElfImage low;
  low.loads[0].address = 0xff000;
  ExpectDamaged(low, "below 0x100000");
  ElfImage align;
  align.loads[0].align = 3000;
  ExpectDamaged(align, "power of two");
  ElfImage shrunk;
  shrunk.loads[2 + 1].memory_size = 100;
  ExpectDamaged(shrunk, "smaller in memory");
  ElfImage far;
  far.loads[3].address = UINT64_MAX - 0x1000;
  ExpectDamaged(far, "beyond any memory");
  ElfImage wrapping;
  wrapping.loads[4].memory_size = UINT64_MAX - 0x1000;
  ExpectDamaged(wrapping, "beyond any memory");
  ElfImage big;
  big.loads[4].memory_size = uint64_t{5} << 30;
  ExpectDamaged(big, "a guest can have at most 4096");
  ElfImage many;
  for (uint64_t i = 0; i < 20; ++i) {
    many.loads.push_back({0x400000 + i * 4096, PF_R, page});
  }
  ExpectDamaged(many, "at most 16");
  ElfImage empty;
  empty.loads.clear();
  ExpectDamaged(empty, "nothing to load");
}

TEST(UnikernelTest, RefusesAnEntryOutsideTheText) {
  for (const uint64_t entry : {0x0u, 0x102000u, 0x101388u, 0x7fffffffu}) {
    ElfImage image;
    image.entry = entry;
    ExpectDamaged(image, "is in no executable segment");
  }
}

TEST(UnikernelTest, RefusesAProgramThatIsNotFixedInPlace) {
  ElfImage image;
  image.type = ET_DYN;
  ExpectDamaged(image, "a fixed-address executable (2) is needed");
}

TEST(UnikernelTest, NamesTargetsAndDeviceTypes) {
  EXPECT_STREQ(TargetName(Target::kSpt), "spt");
  EXPECT_STREQ(TargetName(static_cast<Target>(99)), "unknown");
  EXPECT_STREQ(DeviceTypeName(DeviceType::kNet), "NET_BASIC");
  EXPECT_STREQ(DeviceTypeName(static_cast<DeviceType>(7)), "unknown");
}

}  // namespace
}  // namespace serai::solo5
