// SPDX-License-Identifier: Apache-2.0
// --jail: what a tender is when its guest runs.

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

using ::testing::AnyOf;
using ::testing::Each;
using ::testing::HasSubstr;
using ::testing::StartsWith;

constexpr int kStrayFd = 30;

// Every target with every jail.
class JailTest
    : public ::testing::TestWithParam<std::tuple<const char*, JailCase>> {
 protected:
  void SetUp() override {
    SERAI_NEED("root");
    if (IsHvt()) SERAI_NEED("kvm");
  }

  bool IsHvt() const { return target() == "hvt"; }
  std::string target() const { return std::get<0>(GetParam()); }
  const JailCase& jail() const { return std::get<1>(GetParam()); }

  // With all that the guest takes as descriptors, and one that it does not.
  TenderSpec SpecFor(const std::string& guest) {
    TenderSpec spec;
    spec.prepare = jail().Preparation();
    spec.args = {"--mem=32", jail().words};
    kernel_.reset(
        ::open(Guest(guest + "." + target()).c_str(), O_RDONLY | O_CLOEXEC));
    stray_.reset(::open("/", O_RDONLY | O_CLOEXEC));
    spec.fds = {{5, kernel_.get()}, {kStrayFd, stray_.get()}};
    if (IsHvt()) {
      kvm_.reset(::open("/dev/kvm", O_RDWR | O_CLOEXEC));
      spec.fds[6] = kvm_.get();
      spec.args.push_back("--kvm=@6");
    }
    spec.args.push_back("@5");
    return spec;
  }

  // The process in which the guest is.
  pid_t TenderOf(const TenderProcess& process) const {
    return absl::StrContains(jail().words, "pid") ? ChildOf(process.pid())
                                                  : process.pid();
  }

 private:
  UniqueFd kernel_;
  UniqueFd stray_;
  UniqueFd kvm_;
};

std::string NameOf(const ::testing::TestParamInfo<JailTest::ParamType>& info) {
  const auto& [target, jail] = info.param;
  return absl::StrCat(jail.name, "_", target);
}

INSTANTIATE_TEST_SUITE_P(All, JailTest,
                         ::testing::Combine(::testing::Values("hvt", "spt"),
                                            ::testing::ValuesIn(JailCases())),
                         NameOf);

void ExpectNamespaces(pid_t pid, const std::set<std::string>& own) {
  for (const char* name : {"user", "mnt", "pid", "net", "ipc", "uts"}) {
    const std::string file = absl::StrCat("ns/", name);
    EXPECT_EQ(LinkTo(Proc(pid, file)) != LinkTo(Proc(::getpid(), file)),
              own.count(name) == 1)
        << name;
  }
}

TEST_P(JailTest, LeavesTheTenderWithNothing) {
  TenderProcess process(SpecFor("spin"));
  ASSERT_TRUE(process.WaitForOutput("spin")) << process.Output();
  const pid_t pid = TenderOf(process);
  ASSERT_GT(pid, 0);
  ExpectNoRights(pid);
  ExpectUser(pid, jail().user);
  ExpectNamespaces(pid, jail().namespaces);
  if (absl::StrContains(jail().words, "mount")) {
    const std::string mounts = Contents(Proc(pid, "mountinfo"));
    EXPECT_THAT(mounts, HasSubstr("tmpfs"));
    EXPECT_EQ(std::count(mounts.begin(), mounts.end(), '\n'), 1) << mounts;
  }
  process.Kill(SIGTERM);
  EXPECT_EQ(process.Wait(), 128 + SIGTERM);
}

TEST_P(JailTest, LeavesTheDescriptorsThatTheGuestTakes) {
  TenderProcess process(SpecFor("spin"));
  ASSERT_TRUE(process.WaitForOutput("spin")) << process.Output();
  const pid_t pid = TenderOf(process);
  std::vector<std::string> targets;
  for (const std::string& fd : Names(Proc(pid, "fd"))) {
    EXPECT_NE(fd, absl::StrCat(kStrayFd));
    targets.push_back(LinkTo(Proc(pid, "fd/" + fd)));
  }
  EXPECT_THAT(targets, Each(AnyOf(StartsWith("pipe:"), HasSubstr("/spin."), "/",
                                  ::testing::EndsWith("/fdinfo"),
                                  StartsWith("anon_inode:"), "/dev/kvm")));
}

// The limit in force, of those in a process's table; "(not there)" if none.
std::string LimitOf(pid_t pid, const std::string& name) {
  for (absl::string_view line :
       absl::StrSplit(Contents(Proc(pid, "limits")), '\n')) {
    if (!absl::ConsumePrefix(&line, name)) continue;
    const std::vector<std::string> words =
        absl::StrSplit(line, ' ', absl::SkipEmpty());
    return words.empty() ? "" : words[0];
  }
  return "(not there)";
}

TEST_P(JailTest, SetsLimits) {
  TenderProcess process(SpecFor("spin"));
  ASSERT_TRUE(process.WaitForOutput("spin")) << process.Output();
  const pid_t pid = TenderOf(process);
  for (const char* name :
       {"Max core file size", "Max file size", "Max locked memory",
        "Max msgqueue size", "Max nice priority", "Max realtime priority"}) {
    EXPECT_EQ(LimitOf(pid, name), "0") << name;
  }
  if (!IsHvt()) {
    EXPECT_EQ(LimitOf(pid, "Max processes"), "0");
  }
  int files = 0;
  EXPECT_TRUE(absl::SimpleAtoi(LimitOf(pid, "Max open files"), &files));
  EXPECT_LT(files, 32);
}

TEST_P(JailTest, LimitsFilesToTheLargestDisk) {
  const TempDir directory;
  TenderSpec spec = SpecFor("block");
  UniqueFd disk(
      ::open((directory / "disk").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
  ASSERT_EQ(::ftruncate(disk.get(), 64 * 1024), 0);
  spec.fds[7] = disk.get();
  spec.args.insert(spec.args.begin(), "--block:storage=@7");
  const TenderResult result = RunTender(spec);
  EXPECT_EQ(result.status, 0) << result.output;
  // A console that is a file grows beyond it.
  const UniqueFd console(::open((directory / "console").c_str(),
                                O_RDWR | O_CREAT | O_CLOEXEC, 0600));
  spec = SpecFor("flood");
  spec.args.push_back("--lines=2000");
  spec.stdout_fd = console.get();
  EXPECT_EQ(RunTender(spec).status, 0);
  EXPECT_GT(::lseek(console.get(), 0, SEEK_END), 2000);
}

TEST_P(JailTest, RunsGuestsToTheirEnd) {
  TenderSpec spec = SpecFor("exit");
  spec.args.push_back("--status=7");
  const TenderResult result = RunTender(spec);
  EXPECT_EQ(result.status, 7) << result.output;
}

// Killed at the end, and with it what it has started.
class Parent {
 public:
  explicit Parent(pid_t pid) : pid_(pid) {}
  ~Parent() { Kill(); }
  Parent(const Parent&) = delete;
  Parent& operator=(const Parent&) = delete;

  void Kill() {
    if (pid_ <= 0) return;
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
    pid_ = -1;
  }

 private:
  pid_t pid_;
};

TEST_P(JailTest, EndsWithItsParent) {
  int pids[2];
  ASSERT_EQ(::pipe2(pids, O_CLOEXEC), 0);
  const UniqueFd reader(pids[0]);
  UniqueFd writer(pids[1]);
  const TenderSpec spec = SpecFor("spin");
  const pid_t child = ::fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    TenderProcess process(spec);
    if (!process.WaitForOutput("spin")) ::_exit(1);
    const pid_t both[] = {process.pid(), TenderOf(process)};
    if (::write(writer.get(), both, sizeof(both)) != sizeof(both)) ::_exit(1);
    for (;;) ::pause();
  }
  writer.reset();  // else nothing tells that it has failed
  Parent parent(child);
  pid_t both[2] = {};
  ASSERT_EQ(::read(reader.get(), both, sizeof(both)),
            static_cast<ssize_t>(sizeof(both)));
  const UniqueFd first = OpenPidfd(both[0]);
  const UniqueFd second = OpenPidfd(both[1]);
  parent.Kill();
  EXPECT_TRUE(EndsSoon(first));
  EXPECT_TRUE(EndsSoon(second));
}

class JailParentTest : public JailTest {};

// Other preparations loosen the tie as well.
std::vector<JailCase> WithoutPreparation() {
  std::vector<JailCase> cases = JailCases();
  std::erase_if(cases, [](const auto& one) { return one.prepare != nullptr; });
  return cases;
}

INSTANTIATE_TEST_SUITE_P(
    All, JailParentTest,
    ::testing::Combine(::testing::Values("hvt", "spt"),
                       ::testing::ValuesIn(WithoutPreparation())),
    NameOf);

// Also where it changes its user, of which the kernel takes that the tie is
// not wanted any longer.
TEST_P(JailParentTest, EndsWithItsParentAtAnyTime) {
  for (int delay = 0; delay < 1500; delay += 100) {
    int pipe[2];
    ASSERT_EQ(::pipe2(pipe, O_CLOEXEC), 0);
    const UniqueFd reader(pipe[0]);
    UniqueFd writer(pipe[1]);
    TenderSpec spec = SpecFor("spin");
    spec.stdout_fd = writer.get();
    spec.prepare = [prepare = spec.prepare] {
      const pid_t self = ::getpid();
      return prepare() &&
             ::write(STDOUT_FILENO, &self, sizeof(self)) == sizeof(self);
    };
    const pid_t child = ::fork();
    ASSERT_GE(child, 0);
    if (child == 0) {
      ::prctl(PR_SET_PDEATHSIG, SIGKILL);
      const TenderProcess process(spec);
      for (;;) ::pause();
    }
    writer.reset();
    Parent parent(child);
    pid_t tender = 0;
    ASSERT_EQ(::read(reader.get(), &tender, sizeof(tender)),
              static_cast<ssize_t>(sizeof(tender)));
    const UniqueFd pidfd = OpenPidfd(tender);
    ::usleep(static_cast<useconds_t>(delay));
    parent.Kill();
    EXPECT_TRUE(EndsSoon(pidfd)) << delay << " us";
  }
}

}  // namespace
}  // namespace serai::testing
