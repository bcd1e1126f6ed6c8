// SPDX-License-Identifier: Apache-2.0
// --jail: what it opens first, leaves behind and refuses.

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <optional>
#include <set>
#include <string>
#include <tuple>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "lib/base/unique_fd.h"
#include "tests/support/require.h"
#include "tests/support/temp_dir.h"
#include "tests/tender/jail/inspection.h"
#include "tests/tender/jail/jail_case.h"
#include "tests/tender/tender_process.h"

namespace serai::testing {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

// Nothing holds the place of an output that was closed but the empty root.
TEST(JailOutputTest, LeadsNowhereWhereItWasClosed) {
  SERAI_NEED("root");
  TenderSpec spec;
  spec.args = {"--mem=32", "--jail", Guest("spin.spt"), "--idle"};
  spec.prepare = [] {
    for (const int fd : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) {
      ::close(fd);
    }
    return true;
  };
  TenderProcess process(spec);
  const absl::Time deadline = absl::Now() + absl::Seconds(10);
  while (StatusOf(process.pid(), "Seccomp") != "2" && absl::Now() < deadline) {
    ::usleep(1000);
  }
  struct stat root = {};
  ASSERT_EQ(::stat(Proc(process.pid(), "root/").c_str(), &root), 0);
  for (const char* fd : {"fd/0", "fd/1", "fd/2"}) {
    struct stat place = {};
    EXPECT_EQ(::stat(Proc(process.pid(), fd).c_str(), &place), 0) << fd;
    EXPECT_EQ(place.st_dev, root.st_dev) << fd;
  }
}

class JailFilesTest : public ::testing::TestWithParam<const char*> {
 protected:
  void SetUp() override {
    SERAI_NEED("root");
    if (std::string(GetParam()) == "hvt") SERAI_NEED("kvm");
  }
};

INSTANTIATE_TEST_SUITE_P(Targets, JailFilesTest,
                         ::testing::Values("hvt", "spt"), [](const auto& one) {
                           return std::string(one.param);
                         });

// What is named by a path is open before the jail is entered.
TEST_P(JailFilesTest, OpensWhatIsNamedFirst) {
  const TempDir directory;
  const UniqueFd disk(
      ::open((directory / "disk").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
  ASSERT_EQ(::ftruncate(disk.get(), 64 * 1024), 0);
  TenderSpec spec;
  spec.args = {"--mem=32", "--jail=mount,pid,uid=12345,gid=12346",
               "--block:storage=" + (directory / "disk"),
               Guest(absl::StrCat("block.", GetParam()))};
  const TenderResult result = RunTender(spec);
  EXPECT_EQ(result.status, 0) << result.output;
  spec.args.back() = "/no/such/kernel";
  EXPECT_THAT(RunTender(spec).output, HasSubstr("/no/such/kernel: Could not"));
}

TEST(JailCoreTest, LeavesACoreFileWhereItMay) {
  SERAI_NEED("root");
  SERAI_NEED("kvm");
  const TempDir directory;
  ASSERT_EQ(::chown(directory.path().c_str(), 12345, 12346), 0);
  TenderSpec spec;
  spec.args = {"--mem=32", "--jail=mount,pid,uid=12345,gid=12346",
               "--dumpcore=" + directory.path(), Guest("spin.hvt")};
  TenderProcess process(spec);
  ASSERT_TRUE(process.WaitForOutput("spin")) << process.Output();
  process.Kill(SIGQUIT);
  EXPECT_EQ(process.Wait(), 128 + SIGQUIT) << process.Output();
  EXPECT_THAT(Names(directory.path()),
              ::testing::ElementsAre(StartsWith("core.serai-tender.1")));
}

TEST(JailMountTest, LeavesNothingBehind) {
  SERAI_NEED("root");
  const std::string before = Contents("/proc/self/mountinfo");
  for (const JailCase& one : JailCases()) {
    TenderSpec spec;
    spec.prepare = one.Preparation();
    const UniqueFd kernel(
        ::open(Guest("hello.spt").c_str(), O_RDONLY | O_CLOEXEC));
    spec.fds = {{5, kernel.get()}};
    spec.args = {"--mem=32", one.words, "@5"};
    EXPECT_EQ(RunTender(spec).status, 0) << one.name;
  }
  EXPECT_EQ(Contents("/proc/self/mountinfo"), before);
}

struct RefusalCase {
  const char* words;
  bool (*prepare)();
  const char* message;
};

TEST(JailRefusalTest, SaysWhatIsMissing) {
  SERAI_NEED("root");
  const RefusalCase cases[] = {
      {"--jail", BecomeNobody, "the word user (--jail=user)"},
      {"--jail=uid=1", BecomeNobody, "the word user (--jail=user)"},
      {"--jail=pid", BecomeNobody, "the word user (--jail=user)"},
      {"--jail=mount", BecomeNobody, "add the word user"},
      {"--jail=uts", BecomeNobody, "add the word user"},
      {"--jail=mount,uid=5", BecomeRootOfNamespace,
       "taking on the user or group"},
      {"--jail=user", EnterUnmappedNamespace, "does not allow it"},
  };
  for (const RefusalCase& one : cases) {
    TenderSpec spec;
    spec.prepare = one.prepare;
    const UniqueFd kernel(
        ::open(Guest("hello.spt").c_str(), O_RDONLY | O_CLOEXEC));
    spec.fds = {{5, kernel.get()}};
    spec.args = {"--mem=32", one.words, "@5"};
    const TenderResult result = RunTender(spec);
    EXPECT_EQ(result.status, 1) << one.words;
    EXPECT_THAT(result.output, HasSubstr(one.message)) << one.words;
    EXPECT_THAT(result.output, Not(HasSubstr("SUCCESS"))) << one.words;
  }
}

TEST(JailRefusalTest, SaysWhyThereIsNoKvm) {
  SERAI_NEED("root");
  SERAI_NEED("kvm");
  const UniqueFd kernel(
      ::open(Guest("hello.hvt").c_str(), O_RDONLY | O_CLOEXEC));
  TenderSpec spec;
  spec.prepare = BecomeNobody;
  spec.fds = {{5, kernel.get()}};
  spec.args = {"--mem=32", "--jail=user", "@5"};
  const TenderResult result = RunTender(spec);
  EXPECT_EQ(result.status, 1);
  EXPECT_THAT(result.output,
              HasSubstr("Could not open /dev/kvm: Permission denied"));
}

}  // namespace
}  // namespace serai::testing
