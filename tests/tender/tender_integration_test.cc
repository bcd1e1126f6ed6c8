// SPDX-License-Identifier: Apache-2.0
// The real tender with real guests: what it does with descriptors, signals,
// privileges and bad input. What the guests themselves do is tested with them.

#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <unistd.h>

#include <cstring>
#include <string>

#include "absl/time/clock.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "lib/base/file.h"
#include "lib/base/pipe.h"
#include "lib/base/unique_fd.h"
#include "tests/lib/solo5/elf_image.h"
#include "tests/support/require.h"
#include "tests/support/temp_dir.h"
#include "tests/tender/tender_process.h"

namespace serai::testing {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

constexpr int kKernelFd = 5;
constexpr int kKvmFd = 6;
constexpr int kDeviceFd = 7;

UniqueFd Open(const std::string& path, int flags) {
  UniqueFd fd(::open(path.c_str(), flags | O_CLOEXEC, 0644));
  EXPECT_TRUE(fd.valid()) << path << ": " << std::strerror(errno);
  return fd;
}

class TenderTest : public ::testing::TestWithParam<const char*> {
 protected:
  void SetUp() override {
    if (IsHvt()) SERAI_NEED("kvm");
  }
  bool IsHvt() const { return std::string(GetParam()) == "hvt"; }
  std::string Guest(const std::string& name) const {
    return testing::Guest(name + "." + GetParam());
  }
};

INSTANTIATE_TEST_SUITE_P(Targets, TenderTest, ::testing::Values("hvt", "spt"),
                         [](const auto& target) {
                           return std::string(target.param);
                         });

TEST_P(TenderTest, RunsWithOpenDescriptorsAndNothingElse) {
  SERAI_NEED("root");
  const UniqueFd kernel = Open(Guest("hello"), O_RDONLY);
  TenderSpec spec;
  spec.with_nothing = true;
  spec.fds = {{kKernelFd, kernel.get()}};
  spec.args = {"--mem=32", "@5", "one", "two"};
  UniqueFd kvm;
  if (IsHvt()) {
    kvm = Open("/dev/kvm", O_RDWR);
    spec.fds[kKvmFd] = kvm.get();
    spec.args.insert(spec.args.begin(), "--kvm=@6");
  }
  const TenderResult result = RunTender(spec);
  EXPECT_EQ(result.status, 0);
  EXPECT_THAT(result.output, HasSubstr("SUCCESS"));
  EXPECT_THAT(result.output, HasSubstr("one two"));
}

TEST_P(TenderTest, PassesFramesOverADescriptor) {
  int ends[2];
  ASSERT_EQ(::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends), 0);
  const UniqueFd ours(ends[0]);
  const UniqueFd theirs(ends[1]);
  const timeval patience = {20, 0};
  ::setsockopt(ours.get(), SOL_SOCKET, SO_RCVTIMEO, &patience,
               sizeof(patience));
  TenderSpec spec;
  spec.fds = {{kDeviceFd, theirs.get()}};
  spec.args = {"--mem=32",
               "--net:service=@7",
               "--net-mac:service=02:00:00:00:00:01",
               "--net-mtu:service=1400",
               Guest("echo"),
               "--ipv4=10.9.8.7/24"};
  TenderProcess tender(spec);
  // Who has 10.9.8.7? Tell 10.9.8.1 at 02:00:00:00:00:02.
  const char request[] =
      "\xff\xff\xff\xff\xff\xff\x02\x00\x00\x00\x00\x02\x08\x06"
      "\x00\x01\x08\x00\x06\x04\x00\x01"
      "\x02\x00\x00\x00\x00\x02\x0a\x09\x08\x01"
      "\x00\x00\x00\x00\x00\x00\x0a\x09\x08\x07";
  ASSERT_EQ(::send(ours.get(), request, sizeof(request) - 1, 0),
            static_cast<ssize_t>(sizeof(request) - 1));
  const std::string answered = std::string("\x00\x02", 2) +
                               std::string("\x02\x00\x00\x00\x00\x01", 6) +
                               "\x0a\x09\x08\x07";
  bool seen = false;
  for (int i = 0; i < 10 && !seen; ++i) {  // it may announce itself first
    char frame[2048];
    const ssize_t n = ::recv(ours.get(), frame, sizeof(frame), 0);
    ASSERT_GT(n, 0) << tender.Output();
    seen = std::string(frame, static_cast<size_t>(n)).find(answered) !=
           std::string::npos;
  }
  EXPECT_TRUE(seen);
  tender.Kill(SIGTERM);
  EXPECT_EQ(tender.Wait(), 128 + SIGTERM);
}

TEST_P(TenderTest, ReadsAndWritesABlockDeviceByDescriptor) {
  const TempDir directory;
  const UniqueFd disk = Open(directory / "disk", O_RDWR | O_CREAT);
  ASSERT_EQ(::ftruncate(disk.get(), 64 * 1024), 0);
  TenderSpec spec;
  spec.fds = {{kDeviceFd, disk.get()}};
  spec.args = {"--mem=32", "--block:storage=@7",
               "--block-sector-size:storage=4096", Guest("block")};
  const TenderResult result = RunTender(spec);
  EXPECT_EQ(result.status, 0) << result.output;
  EXPECT_THAT(result.output, HasSubstr("capacity 65536, block size 4096"));
  char byte = 0;
  ASSERT_EQ(::pread(disk.get(), &byte, 1, 60 * 1024), 1);
  EXPECT_EQ(byte, 1);
}

TEST_P(TenderTest, KeepsAReadOnlyBlockDeviceAsItIs) {
  const TempDir directory;
  const std::string path = directory / "disk";
  const UniqueFd disk = Open(path, O_RDWR | O_CREAT);
  ASSERT_EQ(::ftruncate(disk.get(), 4096), 0);
  // Writable for this process and yet not for the guest.
  for (const std::string& place : {std::string("@7:ro"), path + ":ro"}) {
    TenderSpec spec;
    spec.fds = {{kDeviceFd, disk.get()}};
    spec.args = {"--mem=32", "--block:storage=" + place, Guest("block")};
    const TenderResult writing = RunTender(spec);
    EXPECT_EQ(writing.status, 3) << writing.output;
    EXPECT_THAT(writing.output, HasSubstr("block: write at"));
    spec.args.push_back("--read-only");
    const TenderResult reading = RunTender(spec);
    EXPECT_EQ(reading.status, 0) << reading.output;
  }
  char byte = 1;
  ASSERT_EQ(::pread(disk.get(), &byte, 1, 4095), 1);
  EXPECT_EQ(byte, 0);
}

TEST_P(TenderTest, TellsTheGuestOfAWriteThatFails) {
  const TempDir directory;
  const UniqueFd disk = Open(directory / "disk", O_RDWR | O_CREAT);
  ASSERT_EQ(::ftruncate(disk.get(), 64 * 1024), 0);
  rlimit before = {};
  ASSERT_EQ(::getrlimit(RLIMIT_FSIZE, &before), 0);
  const rlimit none = {4096, before.rlim_max};
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &none), 0);
  TenderSpec spec;
  spec.fds = {{kDeviceFd, disk.get()}};
  spec.args = {"--mem=32", "--block:storage=@7", Guest("block")};
  const TenderResult result = RunTender(spec);
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &before), 0);
  EXPECT_EQ(result.status, 3) << result.output;
  EXPECT_THAT(result.output, HasSubstr("write at 65024: unspecified error"));
}

TEST_P(TenderTest, WritesThroughToTheMedium) {
  const TempDir directory;
  const UniqueFd disk = Open(directory / "disk", O_RDWR | O_CREAT);
  ASSERT_EQ(::ftruncate(disk.get(), 64 * 1024), 0);
  for (const std::string& place :
       {std::string("@7"), std::string(directory / "disk")}) {
    TenderSpec spec;
    spec.fds = {{kDeviceFd, disk.get()}};
    spec.args = {"--mem=32", "--block-sync=full", "--block:storage=" + place,
                 Guest("block")};
    const TenderResult result = RunTender(spec);
    EXPECT_EQ(result.status, 0) << result.output;
  }
}

TEST_P(TenderTest, EndsAtOnceOnSignals) {
  for (const int number : {SIGTERM, SIGINT}) {
    TenderSpec spec;
    spec.args = {"--mem=32", Guest("spin")};
    TenderProcess tender(spec);
    ASSERT_TRUE(tender.WaitForOutput("spin"));
    tender.Kill(number);
    EXPECT_EQ(tender.Wait(), 128 + number);
  }
}

TEST_P(TenderTest, TellsOfTheRequestToEnd) {
  int pipe[2];
  ASSERT_EQ(::pipe2(pipe, O_CLOEXEC), 0);
  const UniqueFd reader(pipe[0]);
  const UniqueFd writer(pipe[1]);
  for (const char* mode : {"", "--idle"}) {
    TenderSpec spec;
    spec.fds = {{kDeviceFd, writer.get()}};
    spec.args = {"--mem=32", "--status=@7", Guest("spin"), mode};
    if (*mode == '\0') spec.args.pop_back();
    TenderProcess tender(spec);
    ASSERT_TRUE(tender.WaitForOutput("spin"));
    tender.Kill(SIGTERM);
    EXPECT_EQ(tender.Wait(), 128 + SIGTERM);
    char line[128] = {};
    EXPECT_GT(::read(reader.get(), line, sizeof(line) - 1), 0);
    EXPECT_STREQ(line, "{\"end\":\"signal\",\"status\":143,\"signal\":15}\n");
  }
}

TEST_P(TenderTest, EndsOnSigtermAsTheFirstProcessOfItsNamespace) {
  SERAI_NEED("root");
  for (const char* mode : {"", "--idle"}) {
    TenderSpec spec;
    spec.first_of_pid_namespace = true;
    spec.args = {"--mem=32", Guest("spin"), mode};
    if (*mode == '\0') spec.args.pop_back();
    TenderProcess tender(spec);
    ASSERT_TRUE(tender.WaitForOutput("spin"));
    tender.Kill(SIGTERM);
    EXPECT_EQ(tender.Wait(), 128 + SIGTERM);
  }
}

TEST_P(TenderTest, OutlivesItsConsole) {
  int pipe[2];
  ASSERT_EQ(::pipe2(pipe, O_CLOEXEC | O_NONBLOCK), 0);
  const UniqueFd reader(pipe[0]);
  const UniqueFd full(pipe[1]);  // once a flood has passed
  const UniqueFd broken = Open("/dev/full", O_WRONLY);
  ASSERT_EQ(::pipe2(pipe, O_CLOEXEC), 0);
  ::close(pipe[0]);
  const UniqueFd unread(pipe[1]);
  ASSERT_EQ(::pipe2(pipe, O_CLOEXEC), 0);
  const UniqueFd idle_reader(pipe[0]);
  const UniqueFd stuck(pipe[1]);
  for (const int console :
       {full.get(), broken.get(), unread.get(), stuck.get()}) {
    TenderSpec spec;
    spec.stdout_fd = console;
    spec.args = {"--mem=32", Guest("flood"), "--lines=5000"};
    EXPECT_EQ(RunTender(spec).status, 0);
  }
}

TEST_P(TenderTest, SaysWhichDeviceIsMissing) {
  TenderSpec spec;
  spec.args = {"--mem=32", Guest("web")};
  const TenderResult result = RunTender(spec);
  EXPECT_EQ(result.status, 1);
  EXPECT_EQ(result.output,
            "serai-tender: Device 'service' of type NET_BASIC declared but "
            "not attached.\n"
            "serai-tender: All declared devices must be attached.\n");
}

TEST_P(TenderTest, RefusesDevicesItCannotAttach) {
  struct {
    const char* option;
    const char* message;
  } const cases[] = {
      {"--net:other=@7",
       "Resource not declared in manifest: 'other'\n"
       "serai-tender: Invalid option: `--net:other=@7'"},
      {"--block:service=/dev/null", "Resource not declared in manifest"},
      {"--net:service=@99",
       "Could not attach interface: @99: Bad file descriptor"},
      {"--net:service=no-such-tap",
       "Could not attach interface: no-such-tap: No such device"},
      {"--net:service=a-name-that-is-too-long",
       // C libraries differ in how they go on.
       "Could not attach interface: a-name-that-is-too-long: File"},
  };
  for (const auto& c : cases) {
    TenderSpec spec;
    spec.args = {"--mem=32", c.option, Guest("echo")};
    const TenderResult result = RunTender(spec);
    EXPECT_EQ(result.status, 1);
    EXPECT_THAT(result.output, HasSubstr(c.message));
  }
}

TEST_P(TenderTest, RefusesDisksOfOddSizes) {
  const TempDir directory;
  const std::string path = directory / "disk";
  const auto run = [&](off_t size, const std::string& block_size) {
    const UniqueFd disk = Open(path, O_RDWR | O_CREAT);
    EXPECT_EQ(::ftruncate(disk.get(), size), 0);
    TenderSpec spec;
    spec.args = {"--mem=32", "--block:storage=" + path,
                 "--block-sector-size:storage=" + block_size, Guest("block")};
    const TenderResult result = RunTender(spec);
    EXPECT_EQ(result.status, 1);
    return result.output;
  };
  EXPECT_THAT(run(6144, "4096"), HasSubstr("must be block aligned"));
  EXPECT_THAT(run(0, "512"), HasSubstr("must be block aligned"));
  EXPECT_THAT(run(521 * 4, "521"), HasSubstr("must be a multiple of 2"));
  EXPECT_THAT(run(512, "256"), HasSubstr("greater than or equal 512"));
}

TEST_P(TenderTest, RefusesTooLittleMemoryAndTooManyArguments) {
  TenderSpec spec;
  spec.args = {"--mem=1", Guest("hello"), std::string(9000, 'x')};
  EXPECT_THAT(RunTender(spec).output,
              HasSubstr("Guest command line too long (max=8191 characters)"));
  ElfImage image;
  image.target = IsHvt() ? 1 : 2;
  image.loads.back().memory_size = 64 << 20;
  const UniqueFd kernel = FileWith(image.Build());
  spec.fds = {{kKernelFd, kernel.get()}};
  spec.args = {"--mem=32", "@5"};
  const TenderResult result = RunTender(spec);
  EXPECT_EQ(result.status, 1);
  EXPECT_THAT(result.output, HasSubstr("needs at least 66 MiB of memory"));
}

TEST_P(TenderTest, NamesWhatIsWrongWithAKernel) {
  ElfImage damaged;
  damaged.manifest_lie.descriptor = 1;
  ElfImage virtio;
  virtio.target = 3;
  const std::pair<std::string, const char*> cases[] = {
      {"#!/bin/sh", "@5: No Solo5 ABI information found in executable"},
      {damaged.Build(), "@5: manifest note does not fall within valid size"},
      {virtio.Build(), "@5: target is virtio (3); hvt or spt is needed"},
  };
  for (const auto& [file, message] : cases) {
    const UniqueFd kernel = FileWith(file);
    TenderSpec spec;
    spec.fds = {{kKernelFd, kernel.get()}};
    spec.args = {"@5"};
    const TenderResult result = RunTender(spec);
    EXPECT_EQ(result.status, 1);
    EXPECT_THAT(result.output, HasSubstr(message));
  }
}

TEST(TenderProgramTest, TellsBothAbiVersionsItServes) {
  TenderSpec spec;
  spec.args = {"--version"};
  const TenderResult result = RunTender(spec);
  EXPECT_EQ(result.status, 0);
  EXPECT_THAT(result.output, HasSubstr("serai-tender tender, version "));
  EXPECT_THAT(result.output, HasSubstr("\nABI version 1\nABI version 2\n"));
}

TEST(TenderProgramTest, ExplainsItself) {
  TenderSpec help;
  help.args = {"--help"};
  EXPECT_EQ(RunTender(help).status, 1);
  TenderSpec wrong;
  wrong.args = {"--no-such-option", "app"};
  const TenderResult result = RunTender(wrong);
  EXPECT_EQ(result.status, 1);
  EXPECT_THAT(result.output,
              HasSubstr("Invalid option: `--no-such-option'\nusage: "));
  TenderSpec missing;
  missing.args = {"/no/such/file"};
  EXPECT_THAT(RunTender(missing).output,
              HasSubstr("/no/such/file: Could not open: No such file"));
}

TEST(TenderProgramTest, SaysWhyAnHvtGuestCannotRunWithoutKvm) {
  SERAI_NEED("root");
  const UniqueFd kernel = Open(Guest("hello.hvt"), O_RDONLY);
  TenderSpec spec;
  spec.with_nothing = true;
  spec.fds = {{kKernelFd, kernel.get()}};
  spec.args = {"--mem=32", "@5"};
  const TenderResult missing = RunTender(spec);
  EXPECT_EQ(missing.status, 1);
  EXPECT_THAT(missing.output,
              HasSubstr("Could not open /dev/kvm: No such file"));
  EXPECT_THAT(missing.output, HasSubstr("spt"));
  const UniqueFd null = Open("/dev/null", O_RDWR);
  spec.fds[kKvmFd] = null.get();
  spec.args = {"--mem=32", "--kvm=@6", "@5"};
  const TenderResult other = RunTender(spec);
  EXPECT_EQ(other.status, 1);
  EXPECT_THAT(other.output, HasSubstr("is that /dev/kvm?"));
}

TEST(TenderSptTest, LeavesNoCoreOfAGuestThatCrashes) {
  rlimit before = {};
  ASSERT_EQ(::getrlimit(RLIMIT_CORE, &before), 0);
  const rlimit all = {before.rlim_max, before.rlim_max};
  ASSERT_EQ(::setrlimit(RLIMIT_CORE, &all), 0);
  const TempDir directory;
  TenderSpec spec;
  spec.directory = directory.path();
  const UniqueFd kernel = Open(Guest("crash.spt"), O_RDONLY);
  spec.fds = {{kKernelFd, kernel.get()}};
  spec.args = {"--mem=32", "@5"};
  TenderProcess tender(spec);
  EXPECT_EQ(tender.Wait(), 128 + SIGSEGV);
  EXPECT_FALSE(tender.dumped_core());
  EXPECT_EQ(::setrlimit(RLIMIT_CORE, &before), 0);
}

TEST(TenderHvtTest, RoundsMemoryDownAndSaysSo) {
  SERAI_NEED("kvm");
  TenderSpec spec;
  spec.args = {"--mem=33", Guest("hello.hvt")};
  const TenderResult result = RunTender(spec);
  EXPECT_EQ(result.status, 0);
  EXPECT_THAT(result.output, HasSubstr("adjusting memory to 32 MiB"));
  EXPECT_THAT(result.output, HasSubstr("memory 32 MiB"));
}

TEST(TenderHvtTest, RunsInTheMostMemoryThereCanBe) {
  SERAI_NEED("kvm");
  TenderSpec spec;
  spec.args = {"--mem=4096", Guest("hello.hvt")};
  EXPECT_EQ(RunTender(spec).status, 0);
  spec.args[0] = "--mem=4098";
  EXPECT_THAT(RunTender(spec).output, HasSubstr("at most 4096 MiB"));
}

TEST(TenderHvtTest, EndsAGuestThatWritesToItsText) {
  SERAI_NEED("kvm");
  TenderSpec spec;
  spec.args = {"--mem=32", Guest("crash.hvt"), "--how=text"};
  const TenderResult result = RunTender(spec);
  EXPECT_EQ(result.status, 1);
  EXPECT_THAT(result.output, HasSubstr("host/guest translation fault"));
}

TEST(TenderHvtTest, ReportsAStatusThatDoesNotFitAsAFailure) {
  SERAI_NEED("kvm");
  TenderSpec spec;
  spec.args = {"--mem=32", Guest("exit.hvt"), "--status=256"};
  EXPECT_EQ(RunTender(spec).status, 255);
}

// A pipe that is full and that nobody reads.
Pipe FullPipe() {
  Pipe pipe = *MakePipe();
  EXPECT_EQ(::fcntl(pipe.write_end.get(), F_SETFL, O_NONBLOCK), 0);
  const std::string page(4096, 'x');
  while (::write(pipe.write_end.get(), page.data(), page.size()) > 0) {
  }
  EXPECT_EQ(::fcntl(pipe.write_end.get(), F_SETFL, 0), 0);
  return pipe;
}

TEST(TenderHvtTest, EndsOnTimeWhereNobodyReadsItsStatus) {
  SERAI_NEED("kvm");
  const Pipe full = FullPipe();
  TenderSpec spec;
  spec.args = {"--mem=32", "--status=@3", "--stats", Guest("spin.hvt")};
  spec.fds = {{3, full.write_end.get()}};
  TenderProcess process(spec);
  ASSERT_TRUE(process.WaitForOutput("spin")) << process.Output();
  process.Kill(SIGTERM);
  EXPECT_EQ(process.Wait(), 128 + SIGTERM);
}

TEST(TenderHvtTest, AnswersAlsoWhereItsParentHadTheSignalBlocked) {
  SERAI_NEED("kvm");
  TenderSpec spec;
  spec.args = {"--mem=32", Guest("spin.hvt")};
  spec.prepare = [] {
    sigset_t blocked;
    ::sigemptyset(&blocked);
    ::sigaddset(&blocked, SIGUSR1);
    return ::sigprocmask(SIG_BLOCK, &blocked, nullptr) == 0;
  };
  TenderProcess process(spec);
  ASSERT_TRUE(process.WaitForOutput("spin")) << process.Output();
  process.Kill(SIGUSR1);
  EXPECT_TRUE(process.WaitForOutput("\"stats\"")) << process.Output();
  process.Kill(SIGTERM);
  EXPECT_EQ(process.Wait(), 128 + SIGTERM);
}

// A wait that was interrupted by a stop goes on by a system call of its own.
TEST(TenderHvtTest, OutlivesStopsWhileItsConsoleIsFull) {
  SERAI_NEED("kvm");
  const Pipe full = FullPipe();
  TenderSpec spec;
  spec.args = {"--mem=32", Guest("flood.hvt"), "--lines=100000"};
  spec.stdout_fd = full.write_end.get();
  TenderProcess process(spec);
  for (int i = 0; i < 40; ++i) {
    process.Kill(SIGSTOP);
    ::usleep(5'000);
    process.Kill(SIGCONT);
    ::usleep(5'000);
  }
  process.Kill(SIGTERM);
  EXPECT_THAT(process.Wait(), ::testing::AnyOf(0, 128 + SIGTERM))
      << process.Output();
}

}  // namespace
}  // namespace serai::testing
