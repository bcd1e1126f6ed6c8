// SPDX-License-Identifier: Apache-2.0
// --snapshot-to and --restore-from: guests that are stopped, copied and go on,
// and what is refused.

#include <fcntl.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <unistd.h>

#include <memory>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "lib/base/file.h"
#include "lib/base/unique_fd.h"
#include "tender/hvt/snapshot_format.h"
#include "tests/support/require.h"
#include "tests/support/temp_dir.h"
#include "tests/tender/tender_process.h"

namespace serai::testing {
namespace {

using tender::hvt::SnapshotState;
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::SizeIs;

constexpr int kStatusFd = 5;
constexpr int kDirectoryFd = 6;
constexpr int kBlockFd = 7;
constexpr int kNetFd = 8;
constexpr absl::Duration kPatience = absl::Seconds(20);
constexpr char kMac[] = "02:00:00:00:00:01";

using Args = std::vector<std::string>;

Args Join(Args first, const Args& second) {
  first.insert(first.end(), second.begin(), second.end());
  return first;
}

// A guest whose status descriptor somebody reads.
class Running {
 public:
  explicit Running(TenderSpec spec) {
    int ends[2];
    EXPECT_EQ(::pipe2(ends, O_CLOEXEC | O_NONBLOCK), 0);
    reader_.reset(ends[0]);
    const UniqueFd writer(ends[1]);
    spec.fds[kStatusFd] = writer.get();
    spec.args.insert(spec.args.begin(), "--status=@5");
    process_ = std::make_unique<TenderProcess>(spec);
  }

  TenderProcess& process() { return *process_; }
  const std::string& Output() { return process_->Output(); }
  // Asks for a snapshot and waits for what is said of it.
  std::string Snapshot() {
    const size_t before = Count();
    process_->Kill(SIGUSR2);
    const absl::Time deadline = absl::Now() + kPatience;
    while (Count() == before && absl::Now() < deadline) {
      absl::SleepFor(absl::Milliseconds(2));
    }
    return status_.substr(status_.rfind("{\"snapshot\":"));
  }

 private:
  size_t Count() {
    char buffer[4096];
    const ssize_t n = ::read(reader_.get(), buffer, sizeof(buffer));
    if (n > 0) status_.append(buffer, static_cast<size_t>(n));
    size_t count = 0;
    for (size_t at = 0;
         (at = status_.find("{\"snapshot\":", at)) != std::string::npos; ++at) {
      ++count;
    }
    return count;
  }

  UniqueFd reader_;
  std::string status_;
  std::unique_ptr<TenderProcess> process_;
};

class SnapshotTest : public ::testing::Test {
 protected:
  void SetUp() override { SERAI_NEED("kvm"); }

  std::string To() const { return "--snapshot-to=" + directory_.path(); }
  std::string From() const { return "--restore-from=" + directory_.path(); }
  static TenderSpec Spec(const Args& args) {
    TenderSpec spec;
    spec.args = args;
    return spec;
  }
  // Starts count with `options` for the tender and `args` for the guest, takes
  // a snapshot at its third line and lets it run to its end.
  void TakeOfCount(const Args& options = {}, const Args& args = {}) {
    Running guest(Spec(Join(Join({"--mem=16", To()}, options),
                            Join({Guest("count.hvt"), "--lines=6"}, args))));
    ASSERT_TRUE(guest.process().WaitForOutput("count: 3\n")) << guest.Output();
    EXPECT_THAT(guest.Snapshot(),
                HasSubstr("{\"snapshot\":\"done\",\"bytes\":"));
    EXPECT_EQ(guest.process().Wait(), 0) << guest.Output();
    EXPECT_THAT(guest.Output(),
                AllOf(HasSubstr("SUCCESS"), Not(HasSubstr("snapshot"))));
  }
  void ExpectRest(const TenderResult& result) {
    EXPECT_EQ(result.status, 0) << result.output;
    EXPECT_THAT(result.output, AllOf(HasSubstr("count: 6\nSUCCESS\n"),
                                     Not(HasSubstr("count: 3\n"))));
  }
  // Restores with `args` besides, which is refused with `reason`.
  void ExpectRefusal(const Args& args, const std::string& reason) {
    const TenderResult result = RunTender(Spec(Join({From()}, args)));
    EXPECT_EQ(result.status, 1) << result.output;
    EXPECT_THAT(result.output, HasSubstr(reason));
  }
  std::vector<std::string> Files() const {
    return ListDir(directory_.path()).value_or(std::vector<std::string>());
  }
  std::string Read(const std::string& name) const {
    const auto bytes = ReadFile(directory_ / name, 64 << 20);
    EXPECT_TRUE(bytes.ok()) << bytes.status();
    return bytes.value_or("");
  }
  void Write(const std::string& name, const std::string& bytes) const {
    const UniqueFd file(::open((directory_ / name).c_str(),
                               O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
    EXPECT_TRUE(WriteAll(file.get(), bytes).ok());
  }
  // Changes the machine file, with a checksum that holds.
  template <typename Change>
  void Forge(Change change) const {
    auto state = std::make_unique<SnapshotState>();
    std::string bytes = Read("machine");
    ASSERT_EQ(bytes.size(), sizeof(*state));
    std::memcpy(state.get(), bytes.data(), bytes.size());
    change(*state);
    state->checksum = Checksum(*state);
    std::memcpy(bytes.data(), state.get(), bytes.size());
    Write("machine", bytes);
  }

  const TempDir directory_;
};

struct Way {
  const char* name;
  Args options;
  Args args;
};

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
    clones.push_back(std::make_unique<TenderProcess>(Spec(args)));
  }
  for (const auto& clone : clones) {
    const auto status = clone->Wait();
    ExpectRest({status, clone->Output()});
  }
}

TEST_F(SnapshotTest, ReplacesTheLastOneWhileClonesOfItRun) {
  TakeOfCount({}, {"--pause-ms=300"});
  TenderProcess clone(Spec({From()}));
  ASSERT_TRUE(clone.WaitForOutput("count: 4\n"));
  TakeOfCount();
  EXPECT_THAT(Files(), ElementsAre("machine", "memory.1"));
  TakeOfCount();
  EXPECT_THAT(Files(), ElementsAre("machine", "memory.0"));
  const auto status = clone.Wait();
  ExpectRest({status, clone.Output()});
  ExpectRest(RunTender(Spec({From()})));
}

TEST_F(SnapshotTest, TakesOneOfAClone) {
  TakeOfCount();
  {
    Running clone(Spec({From(), To()}));
    ASSERT_TRUE(clone.process().WaitForOutput("count: 4\n"));
    EXPECT_THAT(clone.Snapshot(), HasSubstr("done"));
    EXPECT_EQ(clone.process().Wait(), 0) << clone.Output();
  }
  const TenderResult result = RunTender(Spec({From()}));
  ExpectRest(result);
  EXPECT_THAT(result.output, Not(HasSubstr("count: 4\n")));
}

TEST_F(SnapshotTest, StopsAGuestThatSleepsOrSpinsForEver) {
  for (const char* idle : {"--idle", "--idle=false"}) {
    Running guest(Spec({"--mem=16", To(), Guest("spin.hvt"), idle}));
    ASSERT_TRUE(guest.process().WaitForOutput("spin"));
    EXPECT_THAT(guest.Snapshot(), HasSubstr("done"));
    EXPECT_THAT(guest.Snapshot(), HasSubstr("done"));
    guest.process().Kill(SIGTERM);
    EXPECT_EQ(guest.process().Wait(), 128 + SIGTERM);
    TenderProcess clone(Spec({From()}));
    absl::SleepFor(absl::Milliseconds(100));
    clone.Kill(SIGTERM);
    EXPECT_EQ(clone.Wait(), 128 + SIGTERM) << clone.Output();
  }
}

// Whoever reads its clock finds that it was asleep all the time.
TEST_F(SnapshotTest, LetsAGuestSleepOn) {
  {
    Running guest(
        Spec({"--mem=16", To(), Guest("clock.hvt"), "--sleep-ms=1000"}));
    ASSERT_TRUE(guest.process().WaitForOutput("wall"));
    absl::SleepFor(absl::Milliseconds(200));
    EXPECT_THAT(guest.Snapshot(), HasSubstr("done"));
    EXPECT_THAT(guest.Snapshot(), HasSubstr("done"));
    EXPECT_EQ(guest.process().Wait(), 0) << guest.Output();
  }
  const TenderResult result = RunTender(Spec({From()}));
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
  TenderSpec spec = Spec({"--kvm=@7", "--mem=16", "--snapshot-to=@6", "@8"});
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
  ExpectRest(RunTender(Spec({From()})));
}

TEST_F(SnapshotTest, HasOneWriter) {
  Running guest(Spec({"--mem=16", To(), Guest("spin.hvt"), "--idle"}));
  ASSERT_TRUE(guest.process().WaitForOutput("idle"));
  const TenderResult second =
      RunTender(Spec({"--mem=16", To(), Guest("hello.hvt")}));
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
      Spec({"--mem=16", "--snapshot-to=@6", Guest("count.hvt"), "--lines=6"});
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

// What a guest with devices wants: both ends of its wire and its disk.
class SnapshotDeviceTest : public SnapshotTest {
 protected:
  void SetUp() override {
    SnapshotTest::SetUp();
    disk_.reset(::open((directory_ / "disk").c_str(),
                       O_RDWR | O_CREAT | O_CLOEXEC, 0600));
    ASSERT_EQ(::ftruncate(disk_.get(), 8 * 4096), 0);
    Connect();
  }
  void Connect() {
    int ends[2];
    ASSERT_EQ(::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends), 0);
    ours_.reset(ends[0]);
    theirs_.reset(ends[1]);
    const timeval patience = {20, 0};
    ::setsockopt(ours_.get(), SOL_SOCKET, SO_RCVTIMEO, &patience,
                 sizeof(patience));
  }
  TenderSpec DeviceSpec(const Args& args) const {
    TenderSpec spec = Spec(args);
    spec.fds = {{kBlockFd, disk_.get()}, {kNetFd, theirs_.get()}};
    return spec;
  }
  // Who has 10.9.8.7? The answer tells the guest's MAC address.
  bool AnswersArp() {
    const char request[] =
        "\xff\xff\xff\xff\xff\xff\x02\x00\x00\x00\x00\x02\x08\x06"
        "\x00\x01\x08\x00\x06\x04\x00\x01"
        "\x02\x00\x00\x00\x00\x02\x0a\x09\x08\x01"
        "\x00\x00\x00\x00\x00\x00\x0a\x09\x08\x07";
    if (::send(ours_.get(), request, sizeof(request) - 1, MSG_NOSIGNAL) < 0) {
      return false;
    }
    const std::string answer = std::string("\x00\x02", 2) +
                               std::string("\x02\x00\x00\x00\x00\x01", 6) +
                               "\x0a\x09\x08\x07";
    for (int i = 0; i < 10; ++i) {  // it may announce itself first
      char frame[2048];
      const ssize_t n = ::recv(ours_.get(), frame, sizeof(frame), 0);
      if (n <= 0) return false;
      const std::string text(frame, static_cast<size_t>(n));
      if (absl::StrContains(text, answer)) return true;
    }
    return false;
  }

  const Args kDevices = {"--block:storage=@7",
                         "--block-sector-size:storage=4096", "--net:service=@8",
                         "--net-mtu:service=1400"};
  UniqueFd disk_;
  UniqueFd ours_;
  UniqueFd theirs_;
};

TEST_F(SnapshotDeviceTest, AnswersOnAnotherWireWithTheSameAddress) {
  Args args = {"--net:service=@8"};
  {
    Running guest(DeviceSpec(
        Join(Join({"--mem=16", To(), absl::StrCat("--net-mac:service=", kMac)},
                  args),
             {Guest("echo.hvt"), "--ipv4=10.9.8.7/24"})));
    ASSERT_TRUE(AnswersArp()) << guest.Output();
    EXPECT_THAT(guest.Snapshot(), HasSubstr("done"));
    EXPECT_TRUE(AnswersArp()) << guest.Output();
  }
  Connect();
  TenderProcess clone(DeviceSpec(Join({From()}, args)));
  EXPECT_TRUE(AnswersArp()) << clone.Output();
  EXPECT_TRUE(AnswersArp()) << clone.Output();
  clone.Kill(SIGTERM);
  EXPECT_EQ(clone.Wait(), 128 + SIGTERM);
}

TEST_F(SnapshotDeviceTest, GoesOnWithItsDisk) {
  {
    Running guest(DeviceSpec(
        Join(Join({"--mem=16", To()}, kDevices), {Guest("ledger.hvt")})));
    ASSERT_TRUE(guest.process().WaitForOutput("block 3\n")) << guest.Output();
    EXPECT_THAT(guest.Snapshot(), HasSubstr("done"));
  }
  const TenderResult result = RunTender(DeviceSpec(Join({From()}, kDevices)));
  EXPECT_EQ(result.status, 0) << result.output;
  EXPECT_THAT(result.output, AllOf(HasSubstr("block 7\nSUCCESS"),
                                   Not(HasSubstr("block 3\n"))));
}

TEST_F(SnapshotDeviceTest, RefusesDevicesThatAreNotTheGuests) {
  const std::string mac = absl::StrCat("--net-mac:service=", kMac);
  {
    Running guest(DeviceSpec(Join(Join({"--mem=16", To(), mac}, kDevices),
                                  {Guest("ledger.hvt"), "--pause-ms=5000"})));
    ASSERT_TRUE(guest.process().WaitForOutput("block 0\n")) << guest.Output();
    ASSERT_THAT(guest.Snapshot(), HasSubstr("done"));
  }
  const auto refused = [&](const Args& args, const std::string& reason) {
    const TenderResult result = RunTender(DeviceSpec(Join({From()}, args)));
    EXPECT_EQ(result.status, 1) << result.output;
    EXPECT_THAT(result.output, HasSubstr(reason));
  };
  const auto with = [&](size_t index, const std::string& other) {
    Args args = kDevices;
    args[index] = other;
    return args;
  };
  refused({}, "All declared devices must be attached");
  refused({kDevices[0]}, "'service' of type NET_BASIC declared but not");
  refused(Join(kDevices, {"--net:other=@8"}), "not declared in manifest");
  refused(with(2, "--net:storage=@8"), "not declared in manifest");
  refused(with(1, "--block-sector-size:storage=512"),
          "knows 'storage' with 32768 bytes in blocks of 4096; what is "
          "attached has 32768 in blocks of 512");
  refused(with(3, "--net-mtu:service=1500"), "with an MTU of 1400");
  refused(Join(kDevices, {"--net-mac:service=02:00:00:00:00:02"}),
          absl::StrCat("keeps the MAC address that the guest has in its "
                       "memory, ",
                       kMac));
  ASSERT_EQ(::ftruncate(disk_.get(), 9 * 4096), 0);
  refused(kDevices, "what is attached has 36864");
  ASSERT_EQ(::ftruncate(disk_.get(), 8 * 4096), 0);
  TenderProcess clone(DeviceSpec(Join(Join({From()}, kDevices), {mac})));
  EXPECT_TRUE(clone.WaitForOutput("block 1\n")) << clone.Output();
}

TEST_F(SnapshotTest, RefusesOptionsThatDoNotAgree) {
  TakeOfCount();
  ExpectRefusal({"--mem=32"}, "the guest has 16 MiB of memory, not 32");
  ExpectRefusal({"--cpl=0"}, "runs at level 3");
  ExpectRefusal({"--x-exec-heap"}, "without --x-exec-heap");
  ExpectRefusal({"--net-ring=on"}, "offered no ring");
  ExpectRefusal({Guest("count.hvt")}, "A snapshot takes no KERNEL");
  ExpectRefusal({"--net:service=@8"}, "not declared in manifest");
  ExpectRest(RunTender(Spec({From(), "--mem=16", "--cpl=3"})));
}

TEST_F(SnapshotTest, IsForHvtGuestsWithoutARing) {
  const auto refused = [&](const Args& args, const std::string& reason) {
    const TenderResult result = RunTender(Spec(Join({To()}, args)));
    EXPECT_EQ(result.status, 1) << result.output;
    EXPECT_THAT(result.output, HasSubstr(reason));
  };
  refused({"--mem=16", Guest("count.spt")}, "--snapshot-to is for hvt guests");
  refused({"--mem=16", "--net-ring=on", Guest("count.hvt")}, "--net-ring=on");
  EXPECT_THAT(Files(), SizeIs(0));
}

TEST_F(SnapshotTest, RefusesPlacesThatAreNone) {
  const std::string missing = directory_ / "missing";
  ExpectRefusal({}, "machine: No such file or directory");
  for (const char* option : {"--snapshot-to=", "--restore-from="}) {
    const TenderResult result =
        RunTender(Spec({option + missing, Guest("hello.hvt")}));
    EXPECT_EQ(result.status, 1);
  }
  const TenderResult file =
      RunTender(Spec({"--restore-from=" + Guest("hello.hvt")}));
  EXPECT_EQ(file.status, 1);
  EXPECT_THAT(file.output, HasSubstr("Not a directory"));
}

TEST_F(SnapshotTest, RefusesDamagedFiles) {
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

TEST_F(SnapshotTest, RefusesWhatThisProcessorCannotTake) {
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
  ExpectRest(RunTender(Spec({From()})));
}

// Where guests have a clock of their own, it can be set to anything.
TEST_F(SnapshotTest, NeverLetsTimeRunBackwards) {
  TakeOfCount();
  Forge([](SnapshotState& state) { state.tsc += uint64_t{1} << 60; });
  const TenderResult result = RunTender(Spec({From()}));
  if (result.status == 0) {
    ExpectRest(result);
  } else {
    EXPECT_THAT(result.output, HasSubstr("time would run backwards"));
  }
}

}  // namespace
}  // namespace serai::testing
