// SPDX-License-Identifier: Apache-2.0
#include "tender/hvt/snapshot_format.h"

#include <functional>
#include <memory>
#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/tender/hvt/snapshot_sample.h"

namespace serai::tender::hvt {
namespace {

using ::testing::HasSubstr;

class SnapshotFormatTest : public ::testing::Test {
 protected:
  // What is said of the sample after `change`, with a checksum that holds.
  std::string After(const std::function<void(SnapshotState&)>& change) {
    const auto state =
        std::make_unique<SnapshotState>(testing::SampleSnapshot());
    change(*state);
    state->checksum = Checksum(*state);
    return Check(*state, sizeof(*state));
  }
  static std::string Check(const SnapshotState& state, size_t size) {
    solo5::Error error;
    if (CheckSnapshot(state, size, &error)) {
      EXPECT_EQ(error.message[0], '\0');
      return "ok";
    }
    return error.message;
  }
};

TEST_F(SnapshotFormatTest, TakesWhatIsInOrder) {
  EXPECT_EQ(After([](auto&) {}), "ok");
  EXPECT_EQ(After([](auto& state) {
              state.level = 0;
              state.processor.regs.rip = 0xffff800000000000;
              state.processor.regs.rflags = 2;
              state.processor.sregs.cr4 = 0x620;
              state.processor.sregs.efer = 0xd00;
            }),
            "ok");
}

TEST_F(SnapshotFormatTest, RefusesWhatIsNoSnapshotOfThisVersion) {
  auto state = std::make_unique<SnapshotState>(testing::SampleSnapshot());
  EXPECT_THAT(Check(*state, 0), HasSubstr("is no snapshot"));
  EXPECT_THAT(Check(*state, 20), HasSubstr("is no snapshot"));
  EXPECT_THAT(Check(*state, sizeof(*state) - 1), HasSubstr("bytes"));
  EXPECT_THAT(Check(*state, sizeof(*state) + 1), HasSubstr("bytes"));
  EXPECT_THAT(After([](auto& changed) { changed.magic[0] = 's'; }),
              HasSubstr("is no snapshot"));
  EXPECT_THAT(After([](auto& changed) { changed.version = 2; }),
              HasSubstr("has format version 2; 1 is needed"));
  EXPECT_THAT(After([](auto& changed) { changed.size = 7; }),
              HasSubstr("says 7"));
}

TEST_F(SnapshotFormatTest, NoticesEveryChangedByte) {
  const auto state = std::make_unique<SnapshotState>(testing::SampleSnapshot());
  auto* const bytes = reinterpret_cast<unsigned char*>(state.get());
  for (size_t i = 0; i < sizeof(*state); ++i) {
    ++bytes[i];
    EXPECT_NE(Check(*state, sizeof(*state)), "ok") << i;
    --bytes[i];
  }
  EXPECT_EQ(Check(*state, sizeof(*state)), "ok");
}

TEST_F(SnapshotFormatTest, RefusesMemoryThatCannotBe) {
  const auto memory = [&](uint64_t size) {
    return After([&](auto& state) { state.memory = size; });
  };
  EXPECT_THAT(memory(0), HasSubstr("size of memory"));
  EXPECT_THAT(memory(0x201000), HasSubstr("size of memory"));
  EXPECT_THAT(memory((uint64_t{4} << 30) + (2 << 20)),
              HasSubstr("size of memory"));
  EXPECT_EQ(memory(uint64_t{4} << 30), "ok");
  EXPECT_EQ(After([](auto& state) { state.poll_address = 0x3fffff; }), "ok");
  EXPECT_THAT(After([](auto& state) { state.poll_address = 0x400000; }),
              HasSubstr("asleep"));
  EXPECT_THAT(After([](auto& state) { state.memory_number = 2; }),
              HasSubstr("unknown memory file"));
  EXPECT_THAT(After([](auto& state) { state.flags = 2; }), HasSubstr("flag"));
  EXPECT_THAT(After([](auto& state) { state.level = 1; }), HasSubstr("level"));
}

TEST_F(SnapshotFormatTest, RefusesSegmentsThatCannotBe) {
  const auto segment = [&](uint64_t address, uint64_t size, uint32_t access) {
    return After([&](auto& state) {
      state.segments[1] = {{address, size}, access, 0};
    });
  };
  EXPECT_EQ(segment(0x103000, 0x1000, 3), "ok");
  EXPECT_EQ(segment(0x3ff000, 0x1000, 3), "ok");
  EXPECT_EQ(segment(0x103000, 0x1000, 0), "ok");
  constexpr char kWrong[] = "segment 1 is impossible";
  EXPECT_EQ(segment(0x102000, 0x1000, 3), kWrong);  // in the one before
  EXPECT_EQ(segment(0x103001, 0x1000, 3), kWrong);
  EXPECT_EQ(segment(0x103000, 0x1001, 3), kWrong);
  EXPECT_EQ(segment(0x103000, 0, 3), kWrong);
  EXPECT_EQ(segment(0x103000, 0x1000, 6), kWrong);  // write and execute
  EXPECT_EQ(segment(0x103000, 0x1000, 8), kWrong);
  EXPECT_EQ(segment(0x3ff000, 0x2000, 3), kWrong);
  EXPECT_EQ(segment(0x400000, 0x1000, 3), kWrong);
  EXPECT_EQ(segment(0xfffffffffffff000, 0x1000, 3), kWrong);
  EXPECT_EQ(segment(0x103000, 0xfffffffffffff000, 3), kWrong);
  EXPECT_EQ(
      After([](auto& state) { state.segments[0].range.address = 0x1000; }),
      "segment 0 is impossible");
  EXPECT_THAT(After([](auto& state) { state.segment_count = 0; }),
              HasSubstr("or none"));
  EXPECT_THAT(After([](auto& state) { state.segment_count = 17; }),
              HasSubstr("too many parts"));
}

TEST_F(SnapshotFormatTest, RefusesExtentsThatCannotBe) {
  const auto extent = [&](uint64_t address, uint64_t size) {
    return After([&](auto& state) { state.extents[1] = {address, size}; });
  };
  EXPECT_EQ(extent(0x11000, 0x1000), "ok");
  constexpr char kWrong[] = "extent 1 is impossible";
  EXPECT_EQ(extent(0x10000, 0x1000), kWrong);
  EXPECT_EQ(extent(0x3ff000, 0x2000), kWrong);
  EXPECT_EQ(extent(0x20000, 0xffffffffffff0000), kWrong);
  EXPECT_EQ(extent(0x20800, 0x1000), kWrong);
  EXPECT_EQ(After([](auto& state) { state.extent_count = 0; }), "ok");
  EXPECT_THAT(After([](auto& state) { state.extent_count = 65; }),
              HasSubstr("too many parts"));
}

TEST_F(SnapshotFormatTest, RefusesDevicesThatCannotBe) {
  const auto devices =
      [&](const std::function<void(solo5::Manifest&)>& change) {
        return After([&](auto& state) { change(state.manifest); });
      };
  EXPECT_NE(devices([](auto& manifest) { manifest.entry_count = 0; }), "ok");
  EXPECT_NE(devices([](auto& manifest) { manifest.entry_count = 65; }), "ok");
  EXPECT_NE(devices([](auto& manifest) { manifest.version = 2; }), "ok");
  EXPECT_NE(devices([](auto& manifest) { manifest.entries[1].attached = 0; }),
            "ok");
  EXPECT_NE(devices([](auto& manifest) { manifest.entries[1].attached = 2; }),
            "ok");
  EXPECT_NE(devices([](auto& manifest) {
              manifest.entries[1].type = solo5::DeviceType::kReservedFirst;
            }),
            "ok");
  EXPECT_NE(devices([](auto& manifest) {
              std::memset(manifest.entries[1].name, 'a',
                          sizeof(manifest.entries[1].name));
            }),
            "ok");
  EXPECT_NE(devices([](auto& manifest) {
              std::strcpy(manifest.entries[1].name, "storage");
            }),
            "ok");
}

TEST_F(SnapshotFormatTest, RefusesProcessorsThatCannotBe) {
  const auto processor =
      [&](const std::function<void(SnapshotProcessor&)>& change) {
        return After([&](auto& state) { change(state.processor); });
      };
  constexpr uint64_t kLimit = uint64_t{1} << 47;
  constexpr char kWrong[] = "has registers that no guest at level 3 can have";
  EXPECT_EQ(processor([](auto& saved) { saved.regs.rip = kLimit; }), kWrong);
  EXPECT_EQ(processor([](auto& saved) { saved.regs.rflags = 0x20002; }),
            kWrong);
  EXPECT_EQ(processor([](auto& saved) { saved.sregs.fs.base = kLimit; }),
            kWrong);
  EXPECT_EQ(processor([](auto& saved) { saved.sregs.gs.base = ~uint64_t{0}; }),
            kWrong);
  EXPECT_EQ(processor([](auto& saved) { saved.tables.other_gs_base = kLimit; }),
            kWrong);
  // What else stands in the system registers does not count.
  EXPECT_EQ(processor([](auto& saved) { saved.sregs.cr3 = 0x1000; }), "ok");
  EXPECT_NE(After([](auto& state) { state.tsc_khz = 0; }), "ok");
}

TEST_F(SnapshotFormatTest, RefusesModesThatAGuestCannotUse) {
  const auto at_level0 = [&](uint64_t cr4, uint64_t efer) {
    return After([&](auto& state) {
      state.level = 0;
      state.processor.sregs.cr4 = cr4;
      state.processor.sregs.efer = efer;
    });
  };
  EXPECT_EQ(at_level0(0x620, 0xd00), "ok");
  EXPECT_THAT(at_level0(0x2620, 0xd00), HasSubstr("mode"));  // VMXE
  EXPECT_THAT(at_level0(0x620, 0x1d00), HasSubstr("mode"));  // SVME
}

TEST_F(SnapshotFormatTest, RefusesExceptionsThatCannotBe) {
  const auto exception = [&](uint8_t pending, uint8_t vector,
                             uint8_t has_error) {
    return After([&](auto& state) {
      state.processor.exception = {pending, vector, has_error, 0, 0};
    });
  };
  EXPECT_EQ(exception(1, 14, 1), "ok");
  EXPECT_EQ(exception(1, 6, 0), "ok");
  EXPECT_EQ(exception(0, 200, 7), "ok");
  EXPECT_NE(exception(2, 6, 0), "ok");
  EXPECT_NE(exception(1, 14, 0), "ok");
  EXPECT_NE(exception(1, 6, 1), "ok");
  EXPECT_NE(exception(1, 2, 0), "ok");
  EXPECT_NE(exception(1, 32, 0), "ok");
}

}  // namespace
}  // namespace serai::tender::hvt
