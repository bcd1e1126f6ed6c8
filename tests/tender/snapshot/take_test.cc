// SPDX-License-Identifier: Apache-2.0
// Snapshots that are taken, and guests that go on.

#include <fcntl.h>
#include <signal.h>
#include <sys/mount.h>
#include <unistd.h>

#include <memory>
#include <ostream>
#include <string>
#include <vector>

#include "absl/time/clock.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "lib/base/unique_fd.h"
#include "tests/support/require.h"
#include "tests/tender/snapshot/snapshot_case.h"

namespace serai::testing {
namespace {

using tender::hvt::SnapshotState;
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::SizeIs;

constexpr int kDirectoryFd = 6;

struct Way {
  const char* name;
  Args options;
  Args args;
};

void PrintTo(const Way& way, std::ostream* out) { *out << way.name; }

class SnapshotWayTest : public SnapshotTest,
                        public ::testing::WithParamInterface<Way> {};

INSTANTIATE_TEST_SUITE_P(
    Ways, SnapshotWayTest,
    ::testing::Values(
        Way{"Asleep", {}, {}}, Way{"Busy", {}, {"--busy"}},
        Way{"WithExceptions", {}, {"--fault", "--pause-ms=100"}},
        Way{"WithMuchMemory", {}, {"--heap-kib=12000"}},
        Way{"WithExecutableHeap", {"--x-exec-heap"}, {}},
        Way{"AtLevel0", {"--cpl=0"}, {"--no-vectors"}},
        Way{"AtLevel0Busy", {"--cpl=0"}, {"--no-vectors", "--busy"}}),
    [](const auto& way) { return way.param.name; });

TEST_P(SnapshotWayTest, GoesOnInAllClonesAtOnce) {
  const Way& way = GetParam();
  TakeOfCount(way.options, way.args);
  EXPECT_THAT(Files(), SizeIs(2));
  Args args = {From()};
  if (way.options == Args{"--x-exec-heap"}) args.push_back("--x-exec-heap");
  std::vector<std::unique_ptr<TenderProcess>> clones;
  for (int i = 0; i < 3; ++i) {
    clones.push_back(std::make_unique<TenderProcess>(SpecOf(args)));
  }
  for (const auto& clone : clones) {
    const auto status = clone->Wait();
    ExpectRest({status, clone->Output()});
  }
}

TEST_F(SnapshotTest, ReplacesTheLastOneWhileClonesOfItRun) {
  TakeOfCount({}, {"--pause-ms=300"});
  TenderProcess clone(SpecOf({From()}));
  ASSERT_TRUE(clone.WaitForOutput("count: 4\n"));
  TakeOfCount();
  EXPECT_THAT(Files(), ElementsAre("machine", "memory.1"));
  TakeOfCount();
  EXPECT_THAT(Files(), ElementsAre("machine", "memory.0"));
  const auto status = clone.Wait();
  ExpectRest({status, clone.Output()});
  ExpectRest(RunTender(SpecOf({From()})));
}

TEST_F(SnapshotTest, TakesOneOfAClone) {
  TakeOfCount();
  {
    Running clone(SpecOf({From(), To()}));
    ASSERT_TRUE(clone.process().WaitForOutput("count: 4\n"));
    EXPECT_THAT(clone.Snapshot(), HasSubstr("done"));
    EXPECT_EQ(clone.process().Wait(), 0) << clone.Output();
  }
  const TenderResult result = RunTender(SpecOf({From()}));
  ExpectRest(result);
  EXPECT_THAT(result.output, Not(HasSubstr("count: 4\n")));
}

TEST_F(SnapshotTest, StopsAGuestThatSleepsOrSpinsForEver) {
  for (const char* idle : {"--idle", "--idle=false"}) {
    Running guest(SpecOf({"--mem=16", To(), Guest("spin.hvt"), idle}));
    ASSERT_TRUE(guest.process().WaitForOutput("spin"));
    EXPECT_THAT(guest.Snapshot(), HasSubstr("done"));
    EXPECT_THAT(guest.Snapshot(), HasSubstr("done"));
    guest.process().Kill(SIGTERM);
    EXPECT_EQ(guest.process().Wait(), 128 + SIGTERM);
    TenderProcess clone(SpecOf({From()}));
    absl::SleepFor(absl::Milliseconds(100));
    clone.Kill(SIGTERM);
    EXPECT_EQ(clone.Wait(), 128 + SIGTERM) << clone.Output();
  }
}

// Whoever reads its clock finds that it was asleep all the time.
TEST_F(SnapshotTest, LetsAGuestSleepOn) {
  {
    Running guest(
        SpecOf({"--mem=16", To(), Guest("clock.hvt"), "--sleep-ms=1000"}));
    ASSERT_TRUE(guest.process().WaitForOutput("wall"));
    absl::SleepFor(absl::Milliseconds(200));
    EXPECT_THAT(guest.Snapshot(), HasSubstr("done"));
    EXPECT_THAT(guest.Snapshot(), HasSubstr("done"));
    EXPECT_EQ(guest.process().Wait(), 0) << guest.Output();
  }
  const TenderResult result = RunTender(SpecOf({From()}));
  EXPECT_THAT(result.output, Not(HasSubstr("early")));
  // The clone's wall clock is ahead by the time that it did not exist.
  EXPECT_THAT(result.output, HasSubstr("asked for 1000000000 ns"));
}

TEST_F(SnapshotTest, NeedsNothingButDescriptors) {
  SERAI_NEED("root");
  const UniqueFd directory(
      ::open(directory_.path().c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  ASSERT_EQ(::fchown(directory.get(), 65534, 65534), 0);
  const UniqueFd kernel(::open(Guest("count.hvt").c_str(), O_RDONLY));
  const UniqueFd kvm(::open("/dev/kvm", O_RDWR | O_CLOEXEC));
  TenderSpec spec = SpecOf({"--kvm=@7", "--mem=16", "--snapshot-to=@6", "@8"});
  spec.with_nothing = true;
  spec.fds = {
      {kDirectoryFd, directory.get()}, {7, kvm.get()}, {8, kernel.get()}};
  {
    Running guest(spec);
    ASSERT_TRUE(guest.process().WaitForOutput("count: 3\n"));
    EXPECT_THAT(guest.Snapshot(), HasSubstr("done"));
    EXPECT_EQ(guest.process().Wait(), 0) << guest.Output();
  }
  spec.args = {"--kvm=@7", "--restore-from=@6"};
  spec.fds.erase(8);
  const TenderResult result = RunTender(spec);
  EXPECT_EQ(result.status, 0) << result.output;
  EXPECT_THAT(result.output, HasSubstr("SUCCESS"));
}

TEST_F(SnapshotTest, RemovesWhatAKilledTenderLeft) {
  Write("memory.0", "half of it");
  Write("machine.new", "half of it");
  TakeOfCount();
  EXPECT_THAT(Files(), ElementsAre("machine", "memory.0"));
  ExpectRest(RunTender(SpecOf({From()})));
}

TEST_F(SnapshotTest, HasOneWriter) {
  Running guest(SpecOf({"--mem=16", To(), Guest("spin.hvt"), "--idle"}));
  ASSERT_TRUE(guest.process().WaitForOutput("idle"));
  const TenderResult second =
      RunTender(SpecOf({"--mem=16", To(), Guest("hello.hvt")}));
  EXPECT_EQ(second.status, 1);
  EXPECT_THAT(second.output, HasSubstr("another guest's snapshots go there"));
}

// A file system of 256 KiB that is gone when its descriptor is closed.
UniqueFd SmallFileSystem() {
  const UniqueFd context(::fsopen("tmpfs", FSOPEN_CLOEXEC));
  EXPECT_EQ(::fsconfig(context.get(), FSCONFIG_SET_STRING, "size", "256k", 0),
            0);
  EXPECT_EQ(::fsconfig(context.get(), FSCONFIG_CMD_CREATE, nullptr, nullptr, 0),
            0);
  const UniqueFd mount(::fsmount(context.get(), FSMOUNT_CLOEXEC, 0));
  return UniqueFd(
      ::openat(mount.get(), ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
}

TEST_F(SnapshotTest, LeavesGuestAndLastSnapshotAsTheyAreOnAFullDisk) {
  SERAI_NEED("root");
  const UniqueFd directory = SmallFileSystem();
  ASSERT_TRUE(directory.valid());
  TenderSpec spec =
      SpecOf({"--mem=16", "--snapshot-to=@6", Guest("count.hvt"), "--lines=6"});
  spec.fds = {{kDirectoryFd, directory.get()}};
  {
    Running guest(spec);
    ASSERT_TRUE(guest.process().WaitForOutput("count: 3\n"));
    EXPECT_THAT(guest.Snapshot(), HasSubstr("done"));
    EXPECT_EQ(guest.process().Wait(), 0);
  }
  TenderSpec large = spec;
  large.args.push_back("--heap-kib=1024");
  {
    Running guest(large);
    ASSERT_TRUE(guest.process().WaitForOutput("count: 3\n"));
    for (int i = 0; i < 2; ++i) {
      EXPECT_THAT(
          guest.Snapshot(),
          HasSubstr("{\"snapshot\":\"failed\",\"message\":\"writing the "
                    "memory file: No space left on device\"}"));
    }
    EXPECT_EQ(guest.process().Wait(), 0);
    EXPECT_THAT(
        guest.Output(),
        AllOf(HasSubstr("SUCCESS"),
              HasSubstr("snapshot: writing the memory file: No space")));
  }
  spec.args = {"--restore-from=@6"};
  ExpectRest(RunTender(spec));
}

// Where guests have a clock of their own, it can be set to anything.
TEST_F(SnapshotTest, NeverLetsTimeRunBackwards) {
  TakeOfCount();
  Forge([](SnapshotState& state) { state.tsc += uint64_t{1} << 60; });
  const TenderResult result = RunTender(SpecOf({From()}));
  if (result.status == 0) {
    ExpectRest(result);
  } else {
    EXPECT_THAT(result.output, HasSubstr("time would run backwards"));
  }
}

}  // namespace
}  // namespace serai::testing
