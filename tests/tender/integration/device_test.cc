// SPDX-License-Identifier: Apache-2.0
// The real tender with real guests: their devices.

#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "lib/base/unique_fd.h"
#include "tests/support/temp_dir.h"
#include "tests/tender/integration/tender_case.h"

namespace serai::testing {
namespace {

using ::testing::HasSubstr;

class TenderDeviceTest : public TenderTest {};

INSTANTIATE_TEST_SUITE_P(Targets, TenderDeviceTest,
                         ::testing::Values("hvt", "spt"),
                         [](const auto& target) {
                           return std::string(target.param);
                         });

TEST_P(TenderDeviceTest, PassesFramesOverADescriptor) {
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

TEST_P(TenderDeviceTest, ReadsAndWritesABlockDeviceByDescriptor) {
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

TEST_P(TenderDeviceTest, KeepsAReadOnlyBlockDeviceAsItIs) {
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

TEST_P(TenderDeviceTest, TellsTheGuestOfAWriteThatFails) {
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

TEST_P(TenderDeviceTest, WritesThroughToTheMedium) {
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

TEST_P(TenderDeviceTest, SaysWhichDeviceIsMissing) {
  TenderSpec spec;
  spec.args = {"--mem=32", Guest("web")};
  const TenderResult result = RunTender(spec);
  EXPECT_EQ(result.status, 1);
  EXPECT_EQ(result.output,
            "serai-tender: Device 'service' of type NET_BASIC declared but "
            "not attached.\n"
            "serai-tender: All declared devices must be attached.\n");
}

TEST_P(TenderDeviceTest, RefusesDevicesItCannotAttach) {
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

TEST_P(TenderDeviceTest, RefusesDisksOfOddSizes) {
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

}  // namespace
}  // namespace serai::testing
