// SPDX-License-Identifier: Apache-2.0
// Other tests may change the machine meanwhile: only what this test makes, in
// places of its own, is looked for.
#include "tests/support/leak.h"

#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <climits>
#include <csignal>

#include "lib/base/file.h"
#include "lib/base/subprocess.h"
#include "lib/host/cgroup.h"
#include "lib/host/netns.h"
#include "tests/support/require.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temp_dir.h"

namespace serai::testing {
namespace {

using ::testing::AllOf;
using ::testing::Contains;
using ::testing::Each;
using ::testing::ElementsAre;
using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::StartsWith;

std::string OwnExecutable() {
  std::array<char, PATH_MAX> path{};
  EXPECT_GT(::readlink("/proc/self/exe", path.data(), path.size() - 1), 0);
  return path.data();
}

int RunProgram(const std::string& program,
               const std::vector<std::string>& args) {
  SubprocessSpec spec;
  spec.program = program;
  spec.args = args;
  const auto result = RunSubprocess(spec);
  return result.ok() ? result->exit_code : -1;
}

TEST(LeakTest, FilesBelowADirectoryAreCompared) {
  const TempDir dir;
  ASSERT_OK(MakeDirs(dir / "kept/inner"));
  ASSERT_OK(WriteFileAtomic(dir / "removed", ""));
  const Snapshot before = Take({dir.path()}, {});
  ASSERT_OK(WriteFileAtomic(dir / "kept/inner/lease", ""));
  ASSERT_OK(RemovePath(dir / "removed"));
  const auto changes = Diff(before, Take({dir.path()}, {}));
  EXPECT_THAT(changes, Contains("+ file " + (dir / "kept/inner/lease")));
  EXPECT_THAT(changes, Contains("- file " + (dir / "removed")));
  EXPECT_THAT(changes, Not(Contains(HasSubstr(dir / "kept/inner "))));
}

TEST(LeakTest, EqualSnapshotsHaveNoDifference) {
  const Snapshot snapshot = Take({"/etc"}, {OwnExecutable()});
  EXPECT_THAT(Diff(snapshot, snapshot), IsEmpty());
  EXPECT_THAT(snapshot.objects.at("mount"), Contains(StartsWith("/proc ")));
  EXPECT_THAT(snapshot.objects.at("process"),
              Contains(EndsWith(absl::StrCat(" pid ", ::getpid()))));
}

TEST(LeakTest, ASecondMountOnThePlaceOfAFirstIsSeen) {
  SERAI_NEED("root");
  const TempDir dir;
  ASSERT_EQ(::mount("none", dir.path().c_str(), "tmpfs", 0, nullptr), 0);
  const Snapshot before = Take({}, {});
  const int second = ::mount("none", dir.path().c_str(), "tmpfs", 0, nullptr);
  const auto changes = Diff(before, Take({}, {}));
  EXPECT_EQ(::umount(dir.path().c_str()), 0);
  ASSERT_EQ(second, 0);
  EXPECT_EQ(::umount(dir.path().c_str()), 0);
  EXPECT_THAT(changes, Contains("+ mount " + dir.path() + " (tmpfs)"));
}

TEST(LeakTest, NetworkNamespaceIsSeenAsSuchAndAsAMount) {
  SERAI_NEED("root");
  const TempDir dir;
  const Snapshot before = Take({}, {});
  ASSERT_OK(host::CreateNetns(dir / "ns"));
  const Snapshot with = Take({}, {});
  ASSERT_OK(host::RemoveNetns(dir / "ns"));
  EXPECT_THAT(Diff(before, with),
              AllOf(Contains(StartsWith("+ netns " + (dir / "ns net:["))),
                    Contains("+ mount " + (dir / "ns (nsfs)"))));
  EXPECT_THAT(Diff(before, Take({}, {})), Each(Not(HasSubstr(dir.path()))));
}

TEST(LeakTest, LinksAndRulesAreThoseOfTheCallersNamespace) {
  SERAI_NEED("net");
  const TempDir dir;
  ASSERT_OK(host::CreateNetns(dir / "ns"));
  std::vector<std::string> changes;
  std::vector<std::string> changes_after;
  const auto netns = host::OpenNetns(dir / "ns");
  ASSERT_OK(netns);
  EXPECT_OK(host::RunInNetns(netns->get(), [&] {
    // The first look at a table makes its own chains.
    Take({}, {});
    const Snapshot before = Take({}, {});
    EXPECT_EQ(RunProgram("/usr/sbin/ip",
                         {"link", "add", "one", "type", "veth", "peer", "two"}),
              0);
    EXPECT_EQ(RunProgram("/usr/sbin/iptables", {"-t", "nat", "-N", "NEW"}), 0);
    changes = Diff(before, Take({}, {}));
    EXPECT_EQ(RunProgram("/usr/sbin/iptables", {"-t", "nat", "-X", "NEW"}), 0);
    EXPECT_EQ(RunProgram("/usr/sbin/ip", {"link", "delete", "one"}), 0);
    changes_after = Diff(before, Take({}, {}));
    return absl::OkStatus();
  }));
  EXPECT_OK(host::RemoveNetns(dir / "ns"));
  EXPECT_THAT(changes, Contains("+ link one"));
  EXPECT_THAT(changes, Contains("+ link two"));
  EXPECT_THAT(changes, Contains("+ rule /usr/sbin/iptables-save nat :NEW -"));
  EXPECT_THAT(changes_after,
              Each(AllOf(Not(HasSubstr(" link ")), Not(HasSubstr(" rule ")))));
}

TEST(LeakTest, CgroupIsSeenInEveryHierarchy) {
  SERAI_NEED("cgroup");
  ASSERT_OK_AND_ASSIGN(const auto hierarchy, host::CgroupHierarchy::Detect());
  const std::string path = absl::StrCat("/serai-test-leak-", ::getpid());
  const Snapshot before = Take({}, {});
  ASSERT_OK_AND_ASSIGN(const host::Cgroup cgroup,
                       host::Cgroup::Create(hierarchy, path));
  const auto changes = Diff(before, Take({}, {}));
  EXPECT_OK(cgroup.Remove());
  for (const std::string& root : hierarchy.Roots()) {
    EXPECT_THAT(changes, Contains("+ cgroup " + root + path));
  }
}

TEST(LeakTest, ProcessAndThenItsZombieAreSeen) {
  const std::vector<std::string> programs = {OwnExecutable()};
  const Snapshot before = Take({}, programs);
  const pid_t child = ::fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    for (;;) ::pause();
  }
  const auto while_alive = Diff(before, Take({}, programs));
  ::kill(child, SIGKILL);
  siginfo_t info = {};
  EXPECT_EQ(::waitid(P_PID, static_cast<id_t>(child), &info, WEXITED | WNOWAIT),
            0);
  const auto as_zombie = Diff(before, Take({}, programs));
  EXPECT_EQ(::waitpid(child, nullptr, 0), child);
  EXPECT_THAT(while_alive, Contains(absl::StrCat("+ process ", programs[0],
                                                 " pid ", child)));
  EXPECT_THAT(as_zombie, Contains(absl::StrCat("+ process ", programs[0],
                                               " (zombie) pid ", child)));
}

TEST(LeakTest, ChangesSinceWaitsForWhatGoesAwayByItself) {
  const TempDir dir;
  const std::string file = dir / "late";
  Snapshot before = Take({dir.path()}, {});
  // Only this directory: the machine may be busy with other things.
  const auto in_dir = [&](const std::vector<std::string>& changes) {
    std::vector<std::string> ours;
    for (const std::string& change : changes) {
      if (change.find(dir.path()) != std::string::npos) ours.push_back(change);
    }
    return ours;
  };
  ASSERT_OK(WriteFileAtomic(file, ""));
  EXPECT_THAT(in_dir(ChangesSince(before, absl::ZeroDuration())),
              ElementsAre("+ file " + file));
  const pid_t child = ::fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    ::usleep(100'000);
    ::unlink(file.c_str());
    ::_exit(0);
  }
  EXPECT_THAT(in_dir(ChangesSince(before, absl::Seconds(2))), IsEmpty());
  EXPECT_EQ(::waitpid(child, nullptr, 0), child);
}

}  // namespace
}  // namespace serai::testing
