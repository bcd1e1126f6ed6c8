// SPDX-License-Identifier: Apache-2.0
#include "tender/options.h"

#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace serai::tender {
namespace {

using ::testing::HasSubstr;
using Kind = DeviceOption::Kind;

struct Parsed {
  ParseResult result = ParseResult::kError;
  Options options;
  std::string error;
};

// The views in `options` are of the literals that tests pass.
Parsed Parse(std::vector<const char*> arguments) {
  arguments.insert(arguments.begin(), "serai-tender");
  const auto count = static_cast<int>(arguments.size());
  arguments.push_back(nullptr);
  static std::vector<const char*> kept;  // options.arguments points into it
  kept = arguments;
  Parsed parsed;
  char error[256] = {};
  parsed.result =
      ParseOptions(count, kept.data(), &parsed.options, error, sizeof(error));
  parsed.error = error;
  return parsed;
}

TEST(OptionsTest, DefaultsTo512MebibytesAndNoDevices) {
  const Parsed parsed = Parse({"app.hvt"});
  ASSERT_EQ(parsed.result, ParseResult::kRun);
  EXPECT_EQ(parsed.options.memory, uint64_t{512} << 20);
  EXPECT_STREQ(parsed.options.kernel, "app.hvt");
  EXPECT_EQ(parsed.options.kernel_fd, -1);
  EXPECT_EQ(parsed.options.kvm_fd, -1);
  EXPECT_EQ(parsed.options.device_option_count, 0u);
  EXPECT_EQ(*parsed.options.arguments, nullptr);
}

TEST(OptionsTest, ReadsDevicesByNameAndByDescriptor) {
  const Parsed parsed = Parse(
      {"--mem=64", "--net:service=tap0", "--net:other=@7",
       "--net-mac:service=02:00:00:0a:FF:01", "--net-mtu:other=9000",
       "--block:data=/a:b/disk.img:ro", "--block:log=@8:ro", "--block:rw=@9",
       "--block-sector-size:data=4096", "--kvm=@3", "--x-exec-heap", "@5"});
  ASSERT_EQ(parsed.result, ParseResult::kRun) << parsed.error;
  const Options& options = parsed.options;
  EXPECT_EQ(options.memory, uint64_t{64} << 20);
  EXPECT_EQ(options.kvm_fd, 3);
  EXPECT_EQ(options.kernel_fd, 5);
  EXPECT_TRUE(options.executable_heap);
  ASSERT_EQ(options.device_option_count, 8u);
  EXPECT_EQ(options.device_options[0].kind, Kind::kNet);
  EXPECT_EQ(options.device_options[0].name, "service");
  EXPECT_EQ(options.device_options[0].path, "tap0");
  EXPECT_EQ(options.device_options[0].fd, -1);
  EXPECT_EQ(options.device_options[1].fd, 7);
  EXPECT_EQ(options.device_options[2].mac[3], 0x0a);
  EXPECT_EQ(options.device_options[2].mac[4], 0xff);
  EXPECT_EQ(options.device_options[3].number, 9000u);
  EXPECT_EQ(options.device_options[4].path, "/a:b/disk.img");
  EXPECT_TRUE(options.device_options[4].read_only);
  EXPECT_EQ(options.device_options[5].fd, 8);
  EXPECT_TRUE(options.device_options[5].read_only);
  EXPECT_FALSE(options.device_options[6].read_only);
  EXPECT_EQ(options.device_options[7].number, 4096u);
}

TEST(OptionsTest, ReadsWhatSurroundsTheGuest) {
  const Parsed parsed = Parse({"--status=@9", "--stats", "--cpl=0",
                               "--net-ring=on", "--block-sync=full", "app"});
  ASSERT_EQ(parsed.result, ParseResult::kRun) << parsed.error;
  EXPECT_EQ(parsed.options.status_fd, 9);
  EXPECT_TRUE(parsed.options.stats);
  EXPECT_EQ(parsed.options.level, GuestLevel::kLevel0);
  EXPECT_TRUE(parsed.options.net_ring);
  EXPECT_EQ(parsed.options.block_sync, BlockSync::kFull);
}

TEST(OptionsTest, ReadsTheJailsWords) {
  EXPECT_TRUE(Parse({"--jail", "app"}).options.jail.wanted);
  const Parsed parsed =
      Parse({"--jail=mount,pid,uid=65534,gid=4294967294,parent=7", "app"});
  ASSERT_EQ(parsed.result, ParseResult::kRun) << parsed.error;
  const JailOptions& jail = parsed.options.jail;
  EXPECT_TRUE(jail.wanted && jail.mount && jail.pid);
  EXPECT_FALSE(jail.user || jail.net || jail.ipc || jail.uts);
  EXPECT_EQ(jail.uid, 65534);
  EXPECT_EQ(jail.gid, 4294967294);
  EXPECT_EQ(jail.parent, 7);
}

TEST(OptionsTest, ReadsWhereGdbIsWaitedFor) {
  EXPECT_TRUE(Parse({"--gdb", "app"}).options.gdb.wanted);
  EXPECT_EQ(Parse({"--gdb", "app"}).options.gdb.port, 1234);
  EXPECT_EQ(Parse({"--gdb", "--gdb-port=99", "app"}).options.gdb.port, 99);
  EXPECT_EQ(Parse({"--gdb=tcp:80", "app"}).options.gdb.port, 80);
  EXPECT_STREQ(Parse({"--gdb=unix:/s", "app"}).options.gdb.unix_path, "/s");
}

TEST(OptionsTest, ReadsPlacesInEitherForm) {
  const Parsed parsed =
      Parse({"--dumpcore=/cores", "--snapshot-to", "@7", "app"});
  ASSERT_EQ(parsed.result, ParseResult::kRun) << parsed.error;
  EXPECT_STREQ(parsed.options.dump_core.path, "/cores");
  EXPECT_EQ(parsed.options.dump_core.fd, -1);
  EXPECT_EQ(parsed.options.snapshot_to.fd, 7);
  EXPECT_STREQ(parsed.options.kernel, "app");
  for (const char* option :
       {"--dumpcore=", "--snapshot-to=@x", "--restore-from=@"}) {
    EXPECT_THAT(Parse({option, "app"}).error, HasSubstr("takes a directory"));
  }
  EXPECT_THAT(Parse({"--dumpcore"}).error, HasSubstr("takes a directory"));
}

TEST(OptionsTest, ASnapshotTakesNoKernel) {
  const Parsed parsed = Parse({"--restore-from", "/snap"});
  ASSERT_EQ(parsed.result, ParseResult::kRun) << parsed.error;
  EXPECT_EQ(parsed.options.kernel, nullptr);
  EXPECT_EQ(*parsed.options.arguments, nullptr);
  EXPECT_THAT(Parse({"--restore-from=/snap", "app"}).error,
              HasSubstr("no KERNEL: `app'"));
}

TEST(OptionsTest, LeavesWhatFollowsTheKernelToTheGuest) {
  const Parsed parsed = Parse({"--mem=64", "--", "app", "--mem=1", "--", "x"});
  ASSERT_EQ(parsed.result, ParseResult::kRun);
  EXPECT_STREQ(parsed.options.kernel, "app");
  char line[solo5::kMaxCommandLine];
  ASSERT_TRUE(JoinArguments(parsed.options.arguments, line));
  EXPECT_STREQ(line, "--mem=1 -- x");
}

TEST(OptionsTest, AnswersHelpAndVersion) {
  EXPECT_EQ(Parse({"--help"}).result, ParseResult::kHelp);
  EXPECT_EQ(Parse({"--mem=4", "--version"}).result, ParseResult::kVersion);
}

TEST(OptionsTest, RefusesMalformedMemory) {
  for (const char* option : {"--mem=", "--mem=0", "--mem=-1", "--mem=12M",
                             "--mem=99999999999999999999"}) {
    const Parsed parsed = Parse({option, "app"});
    EXPECT_EQ(parsed.result, ParseResult::kError) << option;
    EXPECT_THAT(parsed.error, HasSubstr("Malformed argument to --mem"));
  }
}

TEST(OptionsTest, RefusesInvalidOptions) {
  for (const char* option : {"--unknown",
                             "-",
                             "--net",
                             "--net:=tap0",
                             "--net:service",
                             "--net:service=",
                             "--net:service=@",
                             "--net:service=@x",
                             "--net:service=@99999999999",
                             "--net-mac:service=02:00:00:00:00",
                             "--net-mac:service=02-00-00-00-00-01",
                             "--net-mac:service=02:00:00:00:00:0g",
                             "--net-mtu:service=67",
                             "--net-mtu:service=65536",
                             "--block:data=:ro",
                             "--kvm=/dev/kvm",
                             "--block-sector-size:data=65536",
                             "--status=9",
                             "--status",
                             "--cpl=1",
                             "--cpl",
                             "--net-ring",
                             "--net-ring=yes",
                             "--block-sync=",
                             "--jail=",
                             "--jail=mount,",
                             "--jail=time",
                             "--jail=uid=-1",
                             "--jail=parent=",
                             "--jail=gid=4294967295",
                             "--gdb=unix:",
                             "--gdb=tcp:0",
                             "--gdb=udp",
                             "--gdb-port=65536",
                             "--stats=on"}) {
    const Parsed parsed = Parse({option, "app"});
    EXPECT_EQ(parsed.result, ParseResult::kError) << option;
    EXPECT_EQ(parsed.error, std::string("Invalid option: `") + option + "'");
  }
}

TEST(OptionsTest, RefusesAMissingKernel) {
  EXPECT_THAT(Parse({}).error, HasSubstr("Missing KERNEL"));
  EXPECT_THAT(Parse({"--mem=64", "--"}).error, HasSubstr("Missing KERNEL"));
  EXPECT_THAT(Parse({"@kernel"}).error, HasSubstr("`@kernel'"));
}

TEST(OptionsTest, RefusesMoreDeviceOptionsThanDevicesCanUse) {
  std::vector<const char*> arguments(Options::kMaxDeviceOptions,
                                     "--net:service=tap0");
  arguments.push_back("app");
  EXPECT_EQ(Parse(arguments).result, ParseResult::kRun);
  arguments.insert(arguments.begin(), "--net:service=tap0");
  EXPECT_THAT(Parse(arguments).error, HasSubstr("Too many device options"));
}

TEST(JoinArgumentsTest, KeepsEmptyArgumentsAndStopsAtTheLimit) {
  char line[solo5::kMaxCommandLine];
  const char* const empty[] = {"", "a", "", nullptr};
  ASSERT_TRUE(JoinArguments(empty, line));
  EXPECT_STREQ(line, " a ");
  const std::string longest(solo5::kMaxCommandLine - 1, 'x');
  const char* const fits[] = {longest.c_str(), nullptr};
  EXPECT_TRUE(JoinArguments(fits, line));
  EXPECT_EQ(std::string(line), longest);
  const char* const exceeds[] = {longest.c_str(), "", nullptr};
  EXPECT_FALSE(JoinArguments(exceeds, line));
}

}  // namespace
}  // namespace serai::tender
