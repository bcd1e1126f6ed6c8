// SPDX-License-Identifier: Apache-2.0
// What --snapshot-to and --restore-from refuse.

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/tender/snapshot/snapshot_case.h"

namespace serai::testing {
namespace {

using tender::hvt::SnapshotState;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::SizeIs;

class SnapshotRefusalTest : public SnapshotTest {
 protected:
  // Restores with `args` besides, which is refused with `reason`.
  void ExpectRefusal(const Args& args, const std::string& reason) {
    const TenderResult result = RunTender(SpecOf(Join({From()}, args)));
    EXPECT_EQ(result.status, 1) << result.output;
    EXPECT_THAT(result.output, HasSubstr(reason));
  }
  // A writer does not start, for `reason`, and leaves the directory as it is.
  void ExpectNotReplaced(const std::string& reason) {
    const auto files = Files();
    const TenderResult result =
        RunTender(SpecOf({"--mem=16", To(), Guest("hello.hvt")}));
    EXPECT_EQ(result.status, 1) << result.output;
    EXPECT_THAT(result.output,
                AllOf(HasSubstr("--snapshot-to: " + directory_.path()),
                      HasSubstr(reason), HasSubstr("is not replaced")));
    EXPECT_EQ(Files(), files);
  }
};

TEST_F(SnapshotRefusalTest, RefusesOptionsThatDoNotAgree) {
  TakeOfCount();
  ExpectRefusal({"--mem=32"}, "the guest has 16 MiB of memory, not 32");
  ExpectRefusal({"--cpl=0"}, "runs at level 3");
  ExpectRefusal({"--x-exec-heap"}, "without --x-exec-heap");
  ExpectRefusal({"--net-ring=on"}, "offered no ring");
  ExpectRefusal({Guest("count.hvt")}, "A snapshot takes no KERNEL");
  ExpectRefusal({"--net:service=@8"}, "not declared in manifest");
  ExpectRest(RunTender(SpecOf({From(), "--mem=16", "--cpl=3"})));
}

TEST_F(SnapshotRefusalTest, IsForHvtGuestsWithoutARing) {
  const auto refused = [&](const Args& args, const std::string& reason) {
    const TenderResult result = RunTender(SpecOf(Join({To()}, args)));
    EXPECT_EQ(result.status, 1) << result.output;
    EXPECT_THAT(result.output, HasSubstr(reason));
  };
  refused({"--mem=16", Guest("count.spt")}, "--snapshot-to is for hvt guests");
  refused({"--mem=16", "--net-ring=on", Guest("count.hvt")}, "--net-ring=on");
  EXPECT_THAT(Files(), SizeIs(0));
}

TEST_F(SnapshotRefusalTest, RefusesPlacesThatAreNone) {
  const std::string missing = directory_ / "missing";
  ExpectRefusal({}, "machine: No such file or directory");
  for (const char* option : {"--snapshot-to=", "--restore-from="}) {
    const TenderResult result =
        RunTender(SpecOf({option + missing, Guest("hello.hvt")}));
    EXPECT_EQ(result.status, 1);
  }
  const TenderResult file =
      RunTender(SpecOf({"--restore-from=" + Guest("hello.hvt")}));
  EXPECT_EQ(file.status, 1);
  EXPECT_THAT(file.output, HasSubstr("Not a directory"));
}

TEST_F(SnapshotRefusalTest, RefusesDamagedFiles) {
  TakeOfCount();
  const std::string machine = Read("machine");
  const std::string memory = Read("memory.0");
  const auto refuse = [&](const std::string& name, const std::string& bytes,
                          const std::string& reason) {
    Write(name, bytes);
    ExpectRefusal({}, reason);
    Write(name, name == "machine" ? machine : memory);
  };
  refuse("machine", "", "machine: is no snapshot");
  refuse("machine", machine.substr(0, machine.size() - 1), "machine: has");
  refuse("machine", machine + "x", "machine: has");
  std::string changed = machine;
  changed[2000] = static_cast<char>(changed[2000] ^ 1);
  refuse("machine", changed, "the checksum is wrong");
  changed = machine;
  changed[8] = 9;
  refuse("machine", changed, "format version 9; 1 is needed");
  refuse("memory.0", memory.substr(0, memory.size() - 1), "another size");
  refuse("memory.0", "", "another size");
  changed = memory;
  changed[memory.size() - 4096 + 8] ^= 1;
  refuse("memory.0", changed, "belongs to another snapshot");
  ASSERT_EQ(::rename((directory_ / "memory.0").c_str(),
                     (directory_ / "memory.1").c_str()),
            0);
  ExpectRefusal({}, "memory.0: No such file or directory");
}

TEST_F(SnapshotRefusalTest, RefusesWhatThisProcessorCannotTake) {
  TakeOfCount();
  const std::string machine = Read("machine");
  const auto refuse = [&](const auto& change, const std::string& reason) {
    Forge(change);
    ExpectRefusal({}, reason);
    Write("machine", machine);
  };
  refuse([](SnapshotState& state) { state.cpuid[1].ecx |= 1u << 21; },
         "that this one lacks");
  // Reserved bits of MXCSR, and of the header behind the legacy region.
  refuse([](SnapshotState& state) { state.processor.xsave[6] = 0xffffffff; },
         "vector registers are refused");
  refuse([](SnapshotState& state) { state.processor.xsave[140] = 1; },
         "vector registers are refused");
  refuse([](SnapshotState& state) { state.processor.xcr0 = 0; }, "XCR0");
  refuse([](SnapshotState& state) { state.processor.regs.rip = 1ull << 50; },
         "registers that no guest");
  ExpectRest(RunTender(SpecOf({From()})));
}

// It may be another version's, or what is left of one that somebody wants back.
TEST_F(SnapshotRefusalTest, ReplacesNothingThatItCannotRead) {
  TakeOfCount();
  const std::string machine = Read("machine");
  std::string changed = machine;
  changed[8] = 9;
  Write("machine", changed);
  ExpectNotReplaced("machine: has format version 9; 1 is needed");
  EXPECT_EQ(Read("machine"), changed);
  changed = machine;
  changed[2000] = static_cast<char>(changed[2000] ^ 1);
  Write("machine", changed);
  ExpectNotReplaced("machine: is damaged");
  Write("machine", "");
  ExpectNotReplaced("machine: is no snapshot");
  ASSERT_EQ(::unlink((directory_ / "machine").c_str()), 0);
  ASSERT_EQ(::mkdir((directory_ / "machine").c_str(), 0700), 0);
  ExpectNotReplaced("machine: is no file");
  ASSERT_EQ(::rmdir((directory_ / "machine").c_str()), 0);
  ASSERT_EQ(::symlink("nowhere", (directory_ / "machine").c_str()), 0);
  ExpectNotReplaced("machine: No such file");
  ASSERT_EQ(::unlink((directory_ / "machine").c_str()), 0);
  TakeOfCount();
}

}  // namespace
}  // namespace serai::testing
