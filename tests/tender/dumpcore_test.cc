// SPDX-License-Identifier: Apache-2.0
// --dumpcore: what a guest that crashed leaves, and that gdb can read it.

#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "lib/base/file.h"
#include "lib/base/unique_fd.h"
#include "tests/support/require.h"
#include "tests/support/temp_dir.h"
#include "tests/tender/gdb_program.h"
#include "tests/tender/tender_process.h"

namespace serai::testing {
namespace {

using ::testing::AllOf;
using ::testing::ContainsRegex;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

constexpr off_t kMiB = 1 << 20;

class DumpCoreTest : public ::testing::Test {
 protected:
  void SetUp() override { SERAI_NEED("kvm"); }

  TenderSpec Spec(const std::string& guest,
                  const std::vector<std::string>& args) const {
    TenderSpec spec;
    spec.args = {"--mem=32", "--dumpcore=" + directory_.path(), Guest(guest)};
    spec.args.insert(spec.args.end(), args.begin(), args.end());
    return spec;
  }
  std::vector<std::string> Files() const {
    const auto names = ListDir(directory_.path());
    EXPECT_TRUE(names.ok());
    return names.value_or(std::vector<std::string>());
  }
  // The path of the only file there; empty where there is not one.
  std::string Core() const {
    const auto files = Files();
    EXPECT_EQ(files.size(), 1u);
    return files.size() == 1 ? directory_ / files[0] : "";
  }
  static struct stat StatusOf(const std::string& path) {
    struct stat status = {};
    EXPECT_EQ(::stat(path.c_str(), &status), 0) << path;
    return status;
  }

  TempDir directory_;
};

TEST_F(DumpCoreTest, ShowsWhereTheGuestFailed) {
  SERAI_NEED("gdb");
  const TenderResult result = RunTender(Spec("debuggee.hvt", {"--do=fail"}));
  EXPECT_EQ(result.status, 255);
  EXPECT_THAT(result.output, ContainsRegex("core\\.serai-tender\\.[0-9]+\n"));
  const std::string shown =
      RunGdb(Guest("debuggee.hvt"), Core(),
             {"bt", "p $rip", "x/s debuggee_add", "p $mxcsr"});
  EXPECT_THAT(shown, HasSubstr("SIGSEGV"));
  EXPECT_THAT(shown, ContainsRegex("#0 .*debuggee_store \\(at=0x0\\)"));
  EXPECT_THAT(shown, ContainsRegex("#1 .*debuggee_fail \\(at=0x0\\)"));
  EXPECT_THAT(shown, ContainsRegex("#2 .*Main"));
  EXPECT_THAT(shown, HasSubstr("debuggee.hvt --do=fail"));
}

TEST_F(DumpCoreTest, OnlyItsOwnerMayReadIt) {
  RunTender(Spec("crash.hvt", {}));
  EXPECT_EQ(StatusOf(Core()).st_mode, mode_t{S_IFREG | 0600});
}

TEST_F(DumpCoreTest, HoldsNoMoreThanTheGuestUsed) {
  TenderSpec spec = Spec("crash.hvt", {});
  spec.args[0] = "--mem=4096";
  const absl::Time start = absl::Now();
  EXPECT_EQ(RunTender(spec).status, 255);
  EXPECT_LT(absl::Now() - start, absl::Seconds(2));
  const struct stat status = StatusOf(Core());
  EXPECT_GT(status.st_size, 4095 * kMiB);
  EXPECT_LT(status.st_blocks * 512, kMiB);
}

TEST_F(DumpCoreTest, ComesOfAnAbortAsWell) {
  SERAI_NEED("gdb");
  EXPECT_EQ(RunTender(Spec("debuggee.hvt", {"--do=abort"})).status, 255);
  EXPECT_THAT(RunGdb(Guest("debuggee.hvt"), Core(), {"bt"}),
              AllOf(HasSubstr("SIGABRT"), ContainsRegex("#0 .*Exit")));
}

TEST_F(DumpCoreTest, ComesOfWhatTheAbiForbids) {
  const TenderResult result = RunTender(Spec("crash.hvt", {"--how=text"}));
  EXPECT_EQ(result.status, 1);
  EXPECT_GT(StatusOf(Core()).st_size, 31 * kMiB);
}

TEST_F(DumpCoreTest, ComesAtLevel0) {
  SERAI_NEED("gdb");
  TenderSpec spec = Spec("debuggee.hvt", {"--do=fail"});
  spec.args.insert(spec.args.begin(), "--cpl=0");
  EXPECT_EQ(RunTender(spec).status, 255);
  EXPECT_THAT(RunGdb(Guest("debuggee.hvt"), Core(), {"bt"}),
              ContainsRegex("#0 .*debuggee_store"));
}

TEST_F(DumpCoreTest, DoesNotComeOfAnExit) {
  EXPECT_EQ(RunTender(Spec("exit.hvt", {"--status=3"})).status, 3);
  EXPECT_THAT(Files(), IsEmpty());
}

class SignalledDumpCoreTest
    : public DumpCoreTest,
      public ::testing::WithParamInterface<const char*> {};

INSTANTIATE_TEST_SUITE_P(States, SignalledDumpCoreTest,
                         ::testing::Values("sleep", "spin"),
                         [](const auto& state) {
                           return std::string(state.param);
                         });

TEST_P(SignalledDumpCoreTest, SigquitEndsTheGuestWithOne) {
  SERAI_NEED("gdb");
  TenderSpec spec = Spec("debuggee.hvt", {std::string("--do=") + GetParam()});
  spec.args.insert(spec.args.begin(), "--status=@2");
  TenderProcess tender(spec);
  ASSERT_TRUE(tender.WaitForOutput("debuggee: "));
  absl::SleepFor(absl::Milliseconds(20));
  tender.Kill(SIGQUIT);
  EXPECT_EQ(tender.Wait(), 128 + SIGQUIT);
  EXPECT_THAT(tender.Output(),
              HasSubstr(R"({"end":"signal","status":131,"signal":3})"));
  EXPECT_THAT(RunGdb(Guest("debuggee.hvt"), Core(), {"bt"}),
              AllOf(HasSubstr("SIGQUIT"), ContainsRegex("#0 .*(Poll|Spin)")));
}

TEST_F(DumpCoreTest, WithoutTheOptionSigquitJustKills) {
  TenderSpec spec;
  spec.args = {"--mem=32", Guest("spin.hvt")};
  spec.directory = directory_.path();
  TenderProcess tender(spec);
  ASSERT_TRUE(tender.WaitForOutput("spinning"));
  tender.Kill(SIGQUIT);
  EXPECT_EQ(tender.Wait(), 128 + SIGQUIT);
  EXPECT_FALSE(tender.dumped_core());
  EXPECT_THAT(Files(), IsEmpty());
}

TEST_F(DumpCoreTest, TakesADescriptorOfTheDirectory) {
  SERAI_NEED("root");
  ASSERT_EQ(::chown(directory_.path().c_str(), 65534, 65534), 0);
  const UniqueFd directory(
      ::open(directory_.path().c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  const UniqueFd kernel(::open(Guest("crash.hvt").c_str(), O_RDONLY));
  const UniqueFd kvm(::open("/dev/kvm", O_RDWR | O_CLOEXEC));
  TenderSpec spec;
  spec.with_nothing = true;
  spec.fds = {{5, kernel.get()}, {6, kvm.get()}, {7, directory.get()}};
  spec.args = {"--mem=32", "--kvm=@6", "--dumpcore", "@7", "@5"};
  EXPECT_EQ(RunTender(spec).status, 255);
  EXPECT_GT(StatusOf(Core()).st_size, 31 * kMiB);
}

TEST_F(DumpCoreTest, NeverReplacesAFile) {
  SERAI_NEED("root");
  TenderSpec spec = Spec("crash.hvt", {});
  spec.first_of_pid_namespace = true;  // always process number 1
  EXPECT_EQ(RunTender(spec).status, 255);
  EXPECT_THAT(RunTender(spec).output, HasSubstr("core.serai-tender.1.1\n"));
  EXPECT_EQ(Files().size(), 2u);
}

TEST_F(DumpCoreTest, LeavesNothingWhereThereIsNoRoom) {
  rlimit before = {};
  ASSERT_EQ(::getrlimit(RLIMIT_FSIZE, &before), 0);
  rlimit small = before;
  small.rlim_cur = 8192;
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &small), 0);
  const TenderResult result = RunTender(Spec("crash.hvt", {}));
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &before), 0);
  EXPECT_EQ(result.status, 255);
  EXPECT_THAT(result.output, HasSubstr("could not write core.serai-tender."));
  EXPECT_THAT(Files(), IsEmpty());
}

TEST_F(DumpCoreTest, ChangesNothingWhereTheDirectoryIsGone) {
  const std::string directory = directory_ / "gone";
  ASSERT_EQ(::mkdir(directory.c_str(), 0700), 0);
  TenderSpec spec;
  spec.args = {"--mem=32", "--dumpcore=" + directory, Guest("spin.hvt")};
  TenderProcess tender(spec);
  ASSERT_TRUE(tender.WaitForOutput("spinning"));
  ASSERT_EQ(::rmdir(directory.c_str()), 0);
  tender.Kill(SIGQUIT);
  EXPECT_EQ(tender.Wait(), 128 + SIGQUIT);
  EXPECT_THAT(tender.Output(), HasSubstr("could not create core."));
}

TEST_F(DumpCoreTest, WantsADirectory) {
  TenderSpec spec = Spec("hello.hvt", {});
  spec.args[1] = "--dumpcore=" + Guest("hello.hvt");
  const TenderResult result = RunTender(spec);
  EXPECT_EQ(result.status, 1);
  EXPECT_THAT(result.output, HasSubstr("Not a directory"));
}

TEST_F(DumpCoreTest, IsNotForSpt) {
  const TenderResult result = RunTender(Spec("hello.spt", {}));
  EXPECT_EQ(result.status, 1);
  EXPECT_THAT(result.output, HasSubstr("run the tender under gdb"));
  EXPECT_THAT(result.output, Not(HasSubstr("SUCCESS")));
}

}  // namespace
}  // namespace serai::testing
